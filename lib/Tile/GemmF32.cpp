//===- GemmF32.cpp - The f32 kernels of a linear layer --------------------===//
//
// Each product and each sum is rounded on its own and k ascends, so that the
// result does not depend on the machine's vectors or on fused instructions.
// Weights are f32 numbers, or codes that the inner loop makes numbers of:
// eight rows of x share that work.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"
#include "lib/Tile/GemmParts.h"

#include <cassert>
#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

int64_t packedCodedGemmBytes(int64_t n, int64_t k, int64_t bits) {
  int64_t codes = 8 / bits;
  return (n + 15) / 16 * ((k + codes - 1) / codes) * 16;
}

void packCodedGemmWeights(const int8_t *w, int64_t n, int64_t k, int64_t bits,
                          int8_t *packed) {
  int64_t codes = 8 / bits, panel = packedCodedGemmBytes(1, k, bits);
  unsigned mask = (1u << bits) - 1;
  std::memset(packed, 0, size_t(packedCodedGemmBytes(n, k, bits)));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) {
      int8_t &byte = packed[i / 16 * panel + j / codes * 16 + i % 16];
      byte = int8_t(uint8_t(byte) | (uint8_t(w[i * k + j]) & mask)
                                        << (bits * (j % codes)));
    }
}

namespace {

/// Reads the weights of a tile, 16 columns at one k.
class Reader {
public:
  /// `scales` is null for weights in f32.
  Reader(KernelBuilder &k, const GemmShape &shape, int64_t bits, Value scales)
      : k(k), bits(bits), codes(bits == 32 ? 1 : 8 / bits), scales(scales) {
    unroll = shape.k % 4 == 0 ? 4 : shape.k % 2 ? 1 : 2;
    // A byte begins in an earlier step where it holds more k than one does.
    isSplit = codes > unroll;
    panelElements = (shape.k + codes - 1) / codes * 16;
  }

  /// Steps of k that one turn of the inner loop does.
  int64_t unroll;
  /// Elements of a panel.
  int64_t panelElements;

  /// Reads the scales of a tile's columns.
  void begin(const GemmTile &tile) {
    panelStart = k.mul(tile.panel, panelElements);
    columnScales.clear();
    for (int64_t j = 0; scales && j < tile.width; ++j)
      columnScales.push_back(
          k.loadVector(scales, k.add(k.mul(tile.panel, 16), j * 16)));
  }

  /// The weights of all panels of the tile at k = `at`, the t-th of a step; to
  /// be called with ascending t.
  Values read(Value w, Value at, int64_t t, int64_t width) {
    if (isSplit || t % codes == 0) {
      Value line = k.mul(codes == 1 ? at : k.div(at, k.index(codes)), 16);
      packed.clear();
      for (int64_t j = 0; j < width; ++j)
        packed.push_back(load(
            w, k.add(k.add(panelStart, line), k.index(j * panelElements))));
    }
    if (bits == 32)
      return packed;
    Values result;
    for (int64_t j = 0; j < width; ++j)
      result.push_back(
          k.mul(columnScales[j], k.toFloat(unpack(packed[j], at, t), k.f32())));
    return result;
  }

private:
  Value load(Value w, Value offset) {
    return bits == 32 ? k.loadVector(w, offset)
                      : k.loadCodes(w, offset, /*isSigned=*/bits == 8);
  }

  Value unpack(Value v, Value at, int64_t t) {
    if (bits == 8)
      return v;
    VectorType type = k.vec(16, k.i32());
    Value above = k.splat(type, double(32 - bits - bits * (t % codes)));
    if (isSplit)
      above = k.broadcast(k.toI32(
          k.sub(k.index(32 - bits), k.mul(k.rem(at, k.index(codes)), bits))));
    return k.shiftRightSigned(k.shiftLeft(v, above),
                              k.splat(type, double(32 - bits)));
  }

  KernelBuilder &k;
  int64_t bits, codes;
  bool isSplit;
  Value scales, panelStart;
  Values columnScales, packed;
};

} // namespace

/// All sums of a tile.
static Values multiply(KernelBuilder &k, const GemmShape &shape,
                       const GemmStream &stream, const GemmTile &tile,
                       Reader &reader) {
  Value x = k.buffer(0), w = k.buffer(1);
  Values zeros(tile.rows * tile.width, k.zeros(k.vec(16, k.f32())));
  Value rowStart = k.mul(tile.row, shape.xStride);
  reader.begin(tile);
  return k.loop(k.index(0), k.index(stream.steps), 1, zeros,
                [&](Value step, ArrayRef<Value> carried) {
                  prefetchStep(k, stream, tile, w, step);
                  Values sums(carried.begin(), carried.end());
                  for (int64_t t = 0; t < reader.unroll; ++t) {
                    Value at = k.add(k.mul(step, reader.unroll), t);
                    Values weights = reader.read(w, at, t, tile.width);
                    for (int64_t i = 0; i < tile.rows; ++i) {
                      Value element =
                          k.add(k.add(rowStart, at), i * shape.xStride);
                      Value a = k.broadcast(k.load(x, element));
                      for (int64_t j = 0; j < tile.width; ++j) {
                        Value &sum = sums[i * tile.width + j];
                        sum = k.add(sum, k.mul(a, weights[j]));
                      }
                    }
                  }
                  return sums;
                });
}

/// The kernel for weights of `bits` bits, or of f32.
static func::FuncOp build(ModuleOp module, StringRef name, GemmShape shape,
                          int64_t bits) {
  shape.out = Storage::F32;
  assert((shape.exact || shape.outStride >= (shape.n + 15) / 16 * 16) &&
         "columns are written in blocks of 16");
  Type f32 = Float32Type::get(module.getContext());
  Type i8 = IntegerType::get(module.getContext(), 8);
  SmallVector<Type> buffers = {f32, bits == 32 ? f32 : i8};
  if (bits != 32)
    buffers.push_back(f32);
  buffers.append({f32, f32});
  KernelBuilder k(module, name, buffers);
  unsigned rest = buffers.size() - 2;
  Reader reader(k, shape, bits, bits == 32 ? Value() : k.buffer(2));
  GemmStream stream{/*lineElements=*/bits == 32 ? 16 : 64, reader.panelElements,
                    shape.k / reader.unroll, shape.smallTile ? 0 : 1};
  forEachTile(k, shape, stream, [&](const GemmTile &tile) {
    Values sums = multiply(k, shape, stream, tile, reader);
    for (int64_t j = 0; j < tile.width; ++j) {
      Value bias =
          k.loadVector(k.buffer(rest), k.add(k.mul(tile.panel, 16), j * 16));
      for (int64_t i = 0; i < tile.rows; ++i) {
        Value v = k.add(sums[i * tile.width + j], bias);
        storeBlock(k, shape, tile, i, j, activate(k, shape.activation, v),
                   k.buffer(rest + 1));
      }
    }
  });
  func::FuncOp kernel = k.finish();
  addSmallVariant(module, name, shape,
                  [&](ModuleOp to, StringRef small, const GemmShape &tile) {
                    return build(to, small, tile, bits);
                  });
  return kernel;
}

func::FuncOp buildFloatGemm(ModuleOp module, StringRef name,
                            const GemmShape &shape) {
  return build(module, name, shape, 32);
}

func::FuncOp buildCodedFloatGemm(ModuleOp module, StringRef name,
                                 const GemmShape &shape) {
  return build(module, name, shape, shape.weightBits);
}

std::string getCodedFloatGemmName(const GemmShape &shape) {
  return getFloatGemmName(shape) + "_w" + std::to_string(shape.weightBits);
}

} // namespace quern
