//===- KernelMicroOpSteps.cpp - tk micro-ops in kernels -------------------===//
//
// Part of Quern. Each micro-op by the formula of its description, with
// quant_math.h for everything in f32.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelSteps.h"

#include "dialects/TK/TKDialect.h"
#include "quern/quant_math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;
using namespace quern;

/// result[l] = f(a[l]) in f32.
template <typename F>
static Step mapFloats(Operation *op, StepBuilder &builder, F f) {
  unsigned x = builder.slot(op->getOperand(0));
  unsigned result = builder.slot(op->getResult(0));
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (uint64_t lane : frame.slots[x])
      out.push_back(fromFloat(f(asFloat(lane))));
    return true;
  };
}

/// result[l] = f(a[l], b[l]) in f32.
template <typename F>
static Step zipFloats(Operation *op, StepBuilder &builder, F f) {
  unsigned x = builder.slot(op->getOperand(0));
  unsigned y = builder.slot(op->getOperand(1));
  unsigned result = builder.slot(op->getResult(0));
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (auto [a, b] : llvm::zip(frame.slots[x], frame.slots[y]))
      out.push_back(fromFloat(f(asFloat(a), asFloat(b))));
    return true;
  };
}

static int32_t unsignedByte(uint64_t lane) { return uint8_t(lane); }
static int32_t signedByte(uint64_t lane) { return int8_t(lane); }

static Step makeDot4(tk::Dot4Op op, StepBuilder &builder) {
  unsigned acc = builder.slot(op.getAcc()), x = builder.slot(op.getA());
  unsigned y = builder.slot(op.getB()), result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    const Lanes &a = frame.slots[x], &b = frame.slots[y];
    Lanes &out = frame.slots[result];
    out = frame.slots[acc];
    for (int l = 0; l < 16; ++l)
      for (int t = 4 * l; t < 4 * l + 4; ++t)
        out[l] = uint32_t(out[l] + unsignedByte(a[t]) * signedByte(b[t]));
    return true;
  };
}

static Step makeProduct(tk::ProductOp op, StepBuilder &builder) {
  unsigned x = builder.slot(op.getX()), xAt = builder.slot(op.getXAt());
  unsigned w = builder.slot(op.getW()), wAt = builder.slot(op.getWAt());
  unsigned out = builder.slot(op.getOut()), outAt = builder.slot(op.getOutAt());
  unsigned count = builder.slot(op.getRows());
  int64_t xStride = op.getXStride(), turns = op.getTurns();
  int64_t panels = op.getPanels(), panelBytes = op.getPanelBytes();
  unsigned bits = op.getBits();
  Operation *where = op;
  return [=](Frame &frame) {
    int64_t rows = (frame.slots[count][0] + 3) / 4 * 4;
    if (rows > 32) {
      where->emitOpError("is asked for ")
          << rows << " rows, expected at most 32";
      return false;
    }
    for (int64_t m = 0; m < rows; ++m) {
      const char *codes =
          accessBuffer(where, frame, x, frame.slots[xAt][0] + m * xStride,
                       turns * 4, 1, "reads");
      if (!codes)
        return false;
      for (int64_t p = 0; p < panels; ++p) {
        const char *weights =
            accessBuffer(where, frame, w, frame.slots[wAt][0] + p * panelBytes,
                         turns * 8 * bits, 1, "reads");
        char *sums = accessBuffer(where, frame, out,
                                  frame.slots[outAt][0] + (m * panels + p) * 64,
                                  64, 1, "writes");
        if (!weights || !sums)
          return false;
        uint32_t total[16] = {};
        for (int64_t k = 0; k < turns * 4; ++k)
          for (int64_t l = 0; l < 16; ++l) {
            int64_t turn = k / 4, inByte = 8 / bits;
            uint8_t byte = weights[turn / inByte * 64 + l * 4 + k % 4];
            int64_t code =
                signedBits(lowBits(byte >> turn % inByte * bits, bits), bits);
            total[l] += uint32_t(int64_t(uint8_t(codes[k])) * code);
          }
        std::memcpy(sums, total, sizeof(total));
      }
    }
    return true;
  };
}

static Step makeTileDot(tk::TileDotOp op, StepBuilder &builder) {
  unsigned acc = builder.slot(op.getAcc()), x = builder.slot(op.getA());
  unsigned y = builder.slot(op.getB()), result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    const Lanes &a = frame.slots[x], &b = frame.slots[y];
    Lanes &out = frame.slots[result];
    out = frame.slots[acc];
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n)
        for (int k = 0; k < 64; ++k)
          out[m * 16 + n] = uint32_t(
              out[m * 16 + n] + unsignedByte(a[m * 64 + k]) *
                                    signedByte(b[k / 4 * 64 + 4 * n + k % 4]));
    return true;
  };
}

/// Bytes of an element of a tile: 1, or 4 for numbers.
static int64_t tileElementBytes(Type tile) {
  return cast<VectorType>(tile).getElementTypeBitWidth() / 8;
}

static Step makeTileLoad(tk::TileLoadOp op, StepBuilder &builder) {
  unsigned buffer = builder.slot(op.getMemory());
  unsigned at = builder.slot(op.getIndex());
  unsigned result = builder.slot(op.getResult());
  int64_t stride = op.getStride(), bytes = tileElementBytes(op.getType());
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.assign(16 * 64 / bytes, 0);
    for (int64_t m = 0; m < 16; ++m) {
      char *from = accessBuffer(
          op, frame, buffer, frame.slots[at][0] + m * stride, 64, 1, "reads");
      if (!from)
        return false;
      for (int64_t l = 0; l < 64 / bytes; ++l)
        std::memcpy(&out[m * 64 / bytes + l], from + l * bytes, bytes);
    }
    return true;
  };
}

static Step makeTileStore(tk::TileStoreOp op, StepBuilder &builder) {
  unsigned buffer = builder.slot(op.getMemory());
  unsigned at = builder.slot(op.getIndex());
  unsigned value = builder.slot(op.getValue());
  int64_t stride = op.getStride();
  return [=](Frame &frame) {
    for (int64_t m = 0; m < 16; ++m) {
      char *to = accessBuffer(op, frame, buffer,
                              frame.slots[at][0] + m * stride, 64, 1, "writes");
      if (!to)
        return false;
      for (int64_t l = 0; l < 16; ++l)
        std::memcpy(to + 4 * l, &frame.slots[value][m * 16 + l], 4);
    }
    return true;
  };
}

static Step makeBroadcast4(tk::Broadcast4Op op, StepBuilder &builder) {
  unsigned buffer = builder.slot(op.getMemory());
  unsigned at = builder.slot(op.getIndex());
  unsigned result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    char *from =
        accessBuffer(op, frame, buffer, frame.slots[at][0], 4, 1, "reads");
    if (!from)
      return false;
    Lanes &out = frame.slots[result];
    out.resize(64);
    for (int l = 0; l < 64; ++l)
      out[l] = uint8_t(from[l % 4]);
    return true;
  };
}

static Step makeUnpack(tk::UnpackOp op, StepBuilder &builder) {
  unsigned packed = builder.slot(op.getPacked());
  unsigned result = builder.slot(op.getResult());
  unsigned bits = op.getBits(), from = op.getBits() * op.getPart();
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (uint64_t lane : frame.slots[packed])
      out.push_back(uint8_t(signedBits(uint8_t(lane) >> from, bits)));
    return true;
  };
}

static Step makeLut256(tk::Lut256Op op, StepBuilder &builder) {
  unsigned codes = builder.slot(op.getCodes());
  unsigned buffer = builder.slot(op.getTable());
  unsigned at = builder.slot(op.getOffset());
  unsigned result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    char *table =
        accessBuffer(op, frame, buffer, frame.slots[at][0], 256, 1, "reads");
    if (!table)
      return false;
    Lanes &out = frame.slots[result];
    out.clear();
    for (uint64_t code : frame.slots[codes])
      out.push_back(uint8_t(table[code]));
    return true;
  };
}

static Step makeLut16(tk::Lut16Op op, StepBuilder &builder) {
  unsigned index = builder.slot(op.getIndex());
  unsigned table = builder.slot(op.getTable());
  unsigned result = builder.slot(op.getResult());
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (uint64_t lane : frame.slots[index])
      out.push_back(frame.slots[table][lane & 15]);
    return true;
  };
}

static Step makeRound(tk::RoundOp op, StepBuilder &builder) {
  unsigned x = builder.slot(op.getValue());
  unsigned result = builder.slot(op.getResult());
  float lo = op.getLo().convertToFloat(), hi = op.getHi().convertToFloat();
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (uint64_t lane : frame.slots[x])
      out.push_back(uint32_t(qm_round_code(asFloat(lane), lo, hi)));
    return true;
  };
}

static Step makeRequant(tk::RequantOp op, StepBuilder &builder) {
  unsigned acc = builder.slot(op.getAcc());
  unsigned multiplier = builder.slot(op.getMultiplier());
  unsigned offset = builder.slot(op.getOffset());
  unsigned result = builder.slot(op.getResult());
  float lo = op.getLo().convertToFloat(), hi = op.getHi().convertToFloat();
  return [=](Frame &frame) {
    Lanes &out = frame.slots[result];
    out.clear();
    for (auto [a, m, o] : llvm::zip(frame.slots[acc], frame.slots[multiplier],
                                    frame.slots[offset]))
      out.push_back(
          uint32_t(qm_requant(int32_t(a), asFloat(m), asFloat(o), lo, hi)));
    return true;
  };
}

static Step makeLoadCodes(tk::LoadCodesOp op, StepBuilder &builder) {
  unsigned buffer = builder.slot(op.getMemory());
  unsigned at = builder.slot(op.getIndex());
  unsigned result = builder.slot(op.getResult());
  unsigned bits = bitsOf(op.getMemory().getType());
  bool isSigned = op.getIsSigned();
  return [=](Frame &frame) {
    char *from = accessBuffer(op, frame, buffer, frame.slots[at][0], 16,
                              bits / 8, "reads");
    if (!from)
      return false;
    Lanes &out = frame.slots[result];
    out.assign(16, 0);
    for (int l = 0; l < 16; ++l) {
      std::memcpy(&out[l], from + l * (bits / 8), bits / 8);
      if (isSigned)
        out[l] = uint32_t(signedBits(out[l], bits));
    }
    return true;
  };
}

static Step makeStoreCodes(tk::StoreCodesOp op, StepBuilder &builder) {
  unsigned buffer = builder.slot(op.getMemory());
  unsigned at = builder.slot(op.getIndex());
  unsigned value = builder.slot(op.getValue());
  unsigned bytes = bitsOf(op.getMemory().getType()) / 8;
  return [=](Frame &frame) {
    char *to = accessBuffer(op, frame, buffer, frame.slots[at][0], 16, bytes,
                            "writes");
    if (!to)
      return false;
    for (int l = 0; l < 16; ++l)
      std::memcpy(to + l * bytes, &frame.slots[value][l], bytes);
    return true;
  };
}

Step quern::makeMicroOpStep(Operation *op, StepBuilder &builder) {
  return TypeSwitch<Operation *, Step>(op)
      .Case([&](tk::Dot4Op o) { return makeDot4(o, builder); })
      .Case([&](tk::ProductOp o) { return makeProduct(o, builder); })
      .Case([&](tk::TileDotOp o) { return makeTileDot(o, builder); })
      .Case([&](tk::TileLoadOp o) { return makeTileLoad(o, builder); })
      .Case([&](tk::TileStoreOp o) { return makeTileStore(o, builder); })
      .Case([&](tk::Broadcast4Op o) { return makeBroadcast4(o, builder); })
      .Case([&](tk::UnpackOp o) { return makeUnpack(o, builder); })
      .Case([&](tk::Lut256Op o) { return makeLut256(o, builder); })
      .Case([&](tk::Lut16Op o) { return makeLut16(o, builder); })
      .Case([&](tk::RoundOp o) { return makeRound(o, builder); })
      .Case([&](tk::RequantOp o) { return makeRequant(o, builder); })
      .Case([&](tk::GeluOp) { return mapFloats(op, builder, qm_gelu); })
      .Case(
          [&](tk::GeluTanhOp) { return mapFloats(op, builder, qm_gelu_tanh); })
      .Case([&](tk::TanhOp) { return mapFloats(op, builder, qm_tanh); })
      .Case([&](tk::ExpOp) { return mapFloats(op, builder, qm_exp); })
      .Case([&](tk::MaxOp) { return zipFloats(op, builder, qm_max); })
      .Case([&](tk::MinOp) { return zipFloats(op, builder, qm_min); })
      .Case([&](tk::LoadCodesOp o) { return makeLoadCodes(o, builder); })
      .Case([&](tk::StoreCodesOp o) { return makeStoreCodes(o, builder); })
      .Default([](Operation *) { return Step(); });
}
