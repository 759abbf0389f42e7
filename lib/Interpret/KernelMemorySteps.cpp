//===- KernelMemorySteps.cpp - memref and vector in kernels ---------------===//
//
// Part of Quern. Loads and stores with bounds checks, and what moves lanes.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelSteps.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;
using namespace quern;

static Step makeLoad(Operation *op, StepBuilder &builder, Value memory,
                     Value index) {
  unsigned buffer = builder.slot(memory), at = builder.slot(index);
  unsigned result = builder.slot(op->getResult(0));
  int64_t lanes = lanesOf(op->getResult(0).getType());
  int64_t bytes = bitsOf(op->getResult(0).getType()) / 8;
  return [=](Frame &frame) {
    char *from = accessBuffer(op, frame, buffer, frame.slots[at][0], lanes,
                              bytes, "reads");
    if (!from)
      return false;
    Lanes &out = frame.slots[result];
    out.assign(lanes, 0);
    for (int64_t l = 0; l < lanes; ++l)
      std::memcpy(&out[l], from + l * bytes, bytes);
    return true;
  };
}

/// Stores the lanes that the mask has, or all. Masked lanes are not accessed.
static Step makeStore(Operation *op, StepBuilder &builder, Value stored,
                      Value memory, Value index, Value mask) {
  unsigned buffer = builder.slot(memory), at = builder.slot(index);
  unsigned value = builder.slot(stored);
  unsigned lanesSlot = mask ? builder.slot(mask) : 0;
  int64_t lanes = lanesOf(stored.getType());
  int64_t bytes = bitsOf(stored.getType()) / 8;
  bool masked = bool(mask);
  return [=](Frame &frame) {
    for (int64_t l = 0; l < lanes; ++l) {
      if (masked && !frame.slots[lanesSlot][l])
        continue;
      char *to = accessBuffer(op, frame, buffer, frame.slots[at][0] + l, 1,
                              bytes, "writes");
      if (!to)
        return false;
      std::memcpy(to, &frame.slots[value][l], bytes);
    }
    return true;
  };
}

/// The same bytes as lanes of another width, least significant byte first.
static Step makeBitCast(vector::BitCastOp op, StepBuilder &builder) {
  unsigned from = builder.slot(op.getSource());
  unsigned result = builder.slot(op.getResult());
  unsigned fromBytes = bitsOf(op.getSource().getType()) / 8;
  unsigned toBytes = bitsOf(op.getResult().getType()) / 8;
  int64_t lanes = lanesOf(op.getResult().getType());
  return [=](Frame &frame) {
    const Lanes &in = frame.slots[from];
    SmallVector<char, 64> bytes(in.size() * fromBytes);
    for (size_t l = 0; l < in.size(); ++l)
      std::memcpy(bytes.data() + l * fromBytes, &in[l], fromBytes);
    Lanes &out = frame.slots[result];
    out.assign(lanes, 0);
    for (int64_t l = 0; l < lanes; ++l)
      std::memcpy(&out[l], bytes.data() + l * toBytes, toBytes);
    return true;
  };
}

static Step makeShuffle(vector::ShuffleOp op, StepBuilder &builder) {
  unsigned x = builder.slot(op.getV1()), y = builder.slot(op.getV2());
  unsigned result = builder.slot(op.getResult());
  SmallVector<int64_t> pattern(op.getMask());
  return [=](Frame &frame) {
    Lanes both = frame.slots[x];
    both.append(frame.slots[y].begin(), frame.slots[y].end());
    Lanes &out = frame.slots[result];
    out.clear();
    for (int64_t lane : pattern)
      out.push_back(lane < 0 ? 0 : both[lane]);
    return true;
  };
}

/// Sums wrap; floats have no order here, so only integers are reduced.
static Step makeReduction(vector::ReductionOp op, StepBuilder &builder) {
  bool isAdd = op.getKind() == vector::CombiningKind::ADD;
  if (!isa<IntegerType>(op.getType()) || op.getAcc() ||
      (!isAdd && op.getKind() != vector::CombiningKind::MAXUI))
    return {};
  unsigned x = builder.slot(op.getVector());
  unsigned result = builder.slot(op.getResult());
  unsigned bits = bitsOf(op.getType());
  return [=](Frame &frame) {
    uint64_t total = 0;
    for (uint64_t lane : frame.slots[x])
      total = isAdd ? total + lane : std::max(total, lane);
    frame.slots[result].assign(1, lowBits(total, bits));
    return true;
  };
}

static Step makeExtract(vector::ExtractOp op, StepBuilder &builder) {
  if (op.getSourceVectorType().getRank() != 1 ||
      op.getStaticPosition().size() != 1 || op.hasDynamicPosition())
    return {};
  unsigned x = builder.slot(op.getSource());
  unsigned result = builder.slot(op.getResult());
  int64_t lane = op.getStaticPosition()[0];
  return [=](Frame &frame) {
    frame.slots[result].assign(1, frame.slots[x][lane]);
    return true;
  };
}

static Step makeBroadcast(vector::BroadcastOp op, StepBuilder &builder) {
  if (isa<VectorType>(op.getSource().getType()))
    return {};
  unsigned x = builder.slot(op.getSource());
  unsigned result = builder.slot(op.getResult());
  int64_t lanes = lanesOf(op.getResult().getType());
  return [=](Frame &frame) {
    uint64_t value = frame.slots[x][0];
    frame.slots[result].assign(lanes, value);
    return true;
  };
}

static Step makeMask(vector::CreateMaskOp op, StepBuilder &builder) {
  if (op.getType().getRank() != 1)
    return {};
  unsigned x = builder.slot(op.getOperands()[0]);
  unsigned result = builder.slot(op.getResult());
  int64_t lanes = lanesOf(op.getType());
  return [=](Frame &frame) {
    int64_t count = frame.slots[x][0];
    Lanes &out = frame.slots[result];
    out.assign(lanes, 0);
    for (int64_t l = 0; l < lanes && l < count; ++l)
      out[l] = 1;
    return true;
  };
}

Step quern::makeMemoryStep(Operation *op, StepBuilder &builder) {
  auto single = [](auto indices) { return indices.size() == 1; };
  return TypeSwitch<Operation *, Step>(op)
      .Case([&](memref::LoadOp load) {
        return single(load.getIndices())
                   ? makeLoad(op, builder, load.getMemRef(),
                              load.getIndices()[0])
                   : Step();
      })
      .Case([&](vector::LoadOp load) {
        return single(load.getIndices())
                   ? makeLoad(op, builder, load.getBase(), load.getIndices()[0])
                   : Step();
      })
      .Case([&](memref::StoreOp store) {
        return single(store.getIndices())
                   ? makeStore(op, builder, store.getValue(), store.getMemRef(),
                               store.getIndices()[0], {})
                   : Step();
      })
      .Case([&](vector::StoreOp store) {
        return single(store.getIndices())
                   ? makeStore(op, builder, store.getValueToStore(),
                               store.getBase(), store.getIndices()[0], {})
                   : Step();
      })
      .Case([&](vector::MaskedStoreOp store) {
        return single(store.getIndices())
                   ? makeStore(op, builder, store.getValueToStore(),
                               store.getBase(), store.getIndices()[0],
                               store.getMask())
                   : Step();
      })
      .Case([&](memref::PrefetchOp) {
        return Step([](Frame &) { return true; });
      })
      .Case([&](vector::BitCastOp o) { return makeBitCast(o, builder); })
      .Case([&](vector::ShuffleOp o) { return makeShuffle(o, builder); })
      .Case([&](vector::ReductionOp o) { return makeReduction(o, builder); })
      .Case([&](vector::ExtractOp o) { return makeExtract(o, builder); })
      .Case([&](vector::BroadcastOp o) { return makeBroadcast(o, builder); })
      .Case([&](vector::CreateMaskOp o) { return makeMask(o, builder); })
      .Default([](Operation *) { return Step(); });
}
