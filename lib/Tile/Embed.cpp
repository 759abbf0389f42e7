//===- Embed.cpp - Embedding kernels --------------------------------------===//
//
// The rows of three tables meet block by block; only the last sum is kept, in
// scratch memory, for the LayerNorm.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Embed.h"
#include "lib/Tile/GemmWeights.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <algorithm>

using namespace mlir;

namespace quern {

/// Tokens between the request for a word's row and its use: a row takes longer
/// to come from memory than a token to be computed.
static constexpr int64_t kWordsAhead = 2;

std::array<float, QEmbedParams::size> QEmbedParams::data() const {
  std::array<float, size> d{};
  const float values[] = {e1Multiplier, e1Zero, e1Scale, e2Multiplier, e2Zero};
  std::copy(std::begin(values), std::end(values), d.begin());
  return d;
}

Value loadTableCodes(KernelBuilder &k, Value table, Value row, Value i,
                     int64_t bits) {
  if (bits == 8)
    return k.loadCodes(table, k.add(row, i), /*isSigned=*/true);
  int64_t group = 16 * (8 / bits);
  Value at = k.add(row, k.mul(k.div(i, k.index(group)), 16));
  Value part = k.div(k.rem(i, k.index(group)), k.index(16));
  Value above = k.sub(k.index(32 - bits), k.mul(part, bits));
  Value v = k.loadCodes(table, at);
  v = k.shiftLeft(v, k.broadcast(k.toI32(above)));
  return k.shiftRightSigned(v, k.splat(k.vec(16, k.i32()), double(32 - bits)));
}

Value embeddingRow(KernelBuilder &k, unsigned which, Value token) {
  return k.toIndex(k.load(k.buffer(which), token));
}

/// Asks for the word's row of a token that comes later: words are anywhere in
/// the table, so no prefetcher of a CPU knows them.
static void prefetchWord(KernelBuilder &k, const EmbedShape &shape,
                         Value token) {
  Value last = k.sub(k.tokens(), k.index(1));
  Value number = embeddingRow(k, 0, k.min(k.add(token, kWordsAhead), last));
  int64_t bits = shape.tableBits[0];
  int64_t bytes = bits == 8 ? shape.tableStride : tableRowBytes(shape.d, bits);
  Value row = k.mul(number, bytes);
  for (int64_t i = 0; i < bytes; i += 64)
    memref::PrefetchOp::create(k.op(), k.loc(), k.buffer(3),
                               ValueRange(k.add(row, i)), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
}

func::FuncOp buildQEmbed(ModuleOp module, StringRef name,
                         const EmbedShape &shape) {
  Builder types(module.getContext());
  Type f32 = types.getF32Type(), i8 = types.getI8Type();
  Type i32 = types.getI32Type();
  auto stored = [&](Storage s) -> Type {
    return s == Storage::F32 ? f32
                             : Type(types.getIntegerType(8 * storageBytes(s)));
  };
  KernelBuilder k(module, name,
                  {i32, i32, i32, i8, i8, i8, f32, f32, f32, f32, f32, f32, i8,
                   stored(shape.out), stored(shape.e1), stored(shape.e2)});
  Value params[5];
  for (int64_t i = 0; i != 5; ++i)
    params[i] = k.broadcast(k.load(k.buffer(9), k.index(i)));
  CodeNorm norm(k, shape.d, shape.e2, k.buffer(12), k.buffer(10), k.buffer(11),
                k.buffer(13), shape.outRange);
  const bool perRow[] = {shape.wordScales, shape.typeScales,
                         shape.positionScales};
  Value tapping = k.tapping();
  forEachRow(k, RowsOf::Tokens, [&](Value token) {
    prefetchWord(k, shape, token);
    Value rows[3], scales[3];
    for (unsigned t = 0; t != 3; ++t) {
      Value number = embeddingRow(k, t, token);
      int64_t bits = shape.tableBits[t];
      rows[t] = k.mul(number, bits == 8 ? shape.tableStride
                                        : tableRowBytes(shape.d, bits));
      Value scale = k.load(k.buffer(6 + t), perRow[t] ? number : k.index(0));
      scales[t] = k.broadcast(scale);
    }
    auto value = [&](unsigned t, Value i) {
      Value codes =
          loadTableCodes(k, k.buffer(3 + t), rows[t], i, shape.tableBits[t]);
      return k.mul(k.toFloat(codes, k.f32()), scales[t]);
    };
    auto firstSum = [&](Value i) {
      Value t = k.add(value(0, i), value(1, i));
      t = k.add(k.mul(t, params[0]), params[1]);
      return k.round(t, shape.e1Range);
    };
    auto secondSum = [&](Value e1, Value i) {
      Value t = k.sub(k.toFloat(e1, k.f32()), params[1]);
      t = k.add(k.mul(t, params[2]), value(2, i));
      t = k.add(k.mul(t, params[3]), params[4]);
      return k.round(t, shape.e2Range);
    };
    k.blocks(shape.d, [&](Value i, Value mask) {
      norm.putCodes(secondSum(firstSum(i), i), i, mask);
    });
    k.ifThen(tapping, [&] {
      Value tapRow = k.mul(token, shape.tapStride);
      k.blocks(shape.d, [&](Value i, Value) {
        Value e1 = firstSum(i);
        k.storeCodes(e1, k.buffer(14), k.add(tapRow, i));
        k.storeCodes(secondSum(e1, i), k.buffer(15), k.add(tapRow, i));
      });
    });
    norm.finish(k.mul(token, shape.outStride));
  });
  return k.finish();
}

namespace {

/// A row of a table as real numbers.
class RealRow {
public:
  /// `bits` is 32 for numbers; else `scales` is not null.
  RealRow(KernelBuilder &k, Value table, int64_t bits, Value number, int64_t d,
          int64_t stride, Value scales, bool perRow)
      : k(k), table(table), bits(bits) {
    row = k.mul(number,
                bits == 32 || bits == 8 ? stride : tableRowBytes(d, bits));
    if (bits != 32)
      scale = k.broadcast(k.load(scales, perRow ? number : k.index(0)));
  }

  /// The 16 numbers from column `i` on.
  Value at(Value i) const {
    if (bits == 32)
      return k.loadVector(table, k.add(row, i));
    return k.mul(k.toFloat(loadTableCodes(k, table, row, i, bits), k.f32()),
                 scale);
  }

private:
  KernelBuilder &k;
  Value table;
  int64_t bits;
  Value row, scale;
};

} // namespace

func::FuncOp buildEmbed(ModuleOp module, StringRef name,
                        const EmbedShape &shape) {
  Builder types(module.getContext());
  Type f32 = types.getF32Type(), i32 = types.getI32Type();
  Type i8 = types.getI8Type();
  SmallVector<Type> buffers = {i32, i32, i32};
  bool hasCodes = false;
  for (int64_t bits : shape.realBits) {
    buffers.push_back(bits == 32 ? f32 : i8);
    hasCodes |= bits != 32;
  }
  buffers.append(hasCodes ? 9 : 6, f32);
  KernelBuilder k(module, name, buffers);
  const bool perRow[] = {shape.wordScales, shape.typeScales,
                         shape.positionScales};
  unsigned out = hasCodes ? 12 : 9;
  Value eps = k.load(k.buffer(8), k.index(0));
  Value tapping = k.tapping();
  forEachRow(k, RowsOf::Tokens, [&](Value token) {
    SmallVector<RealRow, 3> rows;
    for (unsigned t = 0; t != 3; ++t)
      rows.emplace_back(k, k.buffer(3 + t), shape.realBits[t],
                        embeddingRow(k, t, token), shape.d, shape.tableStride,
                        hasCodes ? k.buffer(9 + t) : Value(), perRow[t]);
    auto value = [&](unsigned t, Value i) { return rows[t].at(i); };
    k.blocks(shape.d, [&](Value i, Value) {
      Value sum = k.add(k.add(value(0, i), value(1, i)), value(2, i));
      k.storeBytes(sum, k.scratch(), k.mul(i, 4));
    });
    k.ifThen(tapping, [&] {
      Value tapRow = k.mul(token, shape.tapStride);
      k.blocks(shape.d, [&](Value i, Value) {
        Value at = k.add(tapRow, i);
        Value first = k.add(value(0, i), value(1, i));
        k.storeVector(first, k.buffer(out + 1), at);
        k.storeVector(k.add(first, value(2, i)), k.buffer(out + 2), at);
      });
    });
    emitRealNorm(k, shape.d, k.index(0), k.buffer(6), k.buffer(7), eps,
                 k.buffer(out), k.mul(token, shape.outStride));
  });
  return k.finish();
}

func::FuncOp buildLookup(ModuleOp module, StringRef name,
                         const LookupShape &shape) {
  Builder types(module.getContext());
  Type f32 = types.getF32Type();
  bool hasCodes = shape.bits != 32;
  SmallVector<Type> buffers = {types.getI32Type(),
                               hasCodes ? Type(types.getI8Type()) : f32, f32};
  if (hasCodes)
    buffers.push_back(f32);
  KernelBuilder k(module, name, buffers);
  forEachRow(k, RowsOf::Tokens, [&](Value token) {
    RealRow row(k, k.buffer(1), shape.bits, embeddingRow(k, 0, token), shape.d,
                shape.tableStride, hasCodes ? k.buffer(3) : Value(),
                shape.rowScales);
    Value to = k.mul(token, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      k.storeVector(row.at(i), k.buffer(2), k.add(to, i));
    });
  });
  return k.finish();
}

int64_t qembedScratch(const EmbedShape &shape) {
  return CodeNorm::scratchBytes(shape.d, shape.e2);
}

int64_t embedScratch(const EmbedShape &shape) { return rowStride(shape.d) * 4; }

} // namespace quern
