//===- PairPatterns.cpp - Micro-ops without VNNI and VBMI -----------------===//
//
// See PairPatterns.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/X86/PairPatterns.h"

#include "dialects/TK/TKDialect.h"
#include "dialects/TK/VectorCode.h"
#include "lib/Target/X86/Intrinsics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace quern;
using x86::call;
using x86::join;
using x86::part;

Value x86::part(OpBuilder &b, Location loc, Value v, int64_t at, int64_t size) {
  if (cast<VectorType>(v.getType()).getNumElements() == size)
    return v;
  return vector::ExtractStridedSliceOp::create(b, loc, v, at * size, size, 1);
}

Value x86::join(OpBuilder &b, Location loc, ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts[0];
  int64_t lanes = cast<VectorType>(parts[0].getType()).getNumElements();
  SmallVector<int64_t> all;
  for (int64_t i = 0; i < 2 * lanes; ++i)
    all.push_back(i);
  return vector::ShuffleOp::create(b, loc, parts[0], parts[1], all);
}

namespace {

struct LowerDot4 : OpRewritePattern<tk::Dot4Op> {
  LowerDot4(MLIRContext *context, int64_t bits)
      : OpRewritePattern(context), bits(bits) {}
  LogicalResult matchAndRewrite(tk::Dot4Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    int64_t lanes = bits / 32;
    auto sums = VectorType::get({lanes}, b.getI32Type());
    x86::Name name = bits == 512 ? x86::kMultiplyPairs512 : x86::kMultiplyPairs;
    tk::Dot4Words words = tk::splitDot4(b, loc, op.getA(), op.getB());
    SmallVector<Value> parts;
    for (int64_t i = 0; i < 16 / lanes; ++i) {
      auto multiply = [&](Value x, Value y) {
        return call(
            b, loc, name, sums,
            {part(b, loc, x, i, 2 * lanes), part(b, loc, y, i, 2 * lanes)});
      };
      Value acc = part(b, loc, op.getAcc(), i, lanes);
      Value even = multiply(words.evenA, words.evenB);
      Value odd = multiply(words.oddA, words.oddB);
      parts.push_back(arith::AddIOp::create(
          b, loc, acc, arith::AddIOp::create(b, loc, even, odd)));
    }
    b.replaceOp(op, join(b, loc, parts));
    return success();
  }
  int64_t bits;
};

struct LowerLut256 : OpRewritePattern<tk::Lut256Op> {
  LowerLut256(MLIRContext *context, int64_t bits)
      : OpRewritePattern(context), bits(bits) {}
  LogicalResult matchAndRewrite(tk::Lut256Op op,
                                PatternRewriter &b) const override {
    // Sixteen tables of 16 bytes: a code less the first one of its table is 0
    // to 15, and 0x70 more leaves the lower four bits of that; for all other
    // tables it saturates or reaches the highest bit, which gives 0.
    Location loc = op.getLoc();
    int64_t size = bits / 8;
    x86::Name name = bits == 512 ? x86::kShuffleBytes512 : x86::kShuffleBytes;
    auto bytes = VectorType::get({size}, b.getI8Type());
    auto entries = VectorType::get({16}, b.getI8Type());
    auto splat = [&](int v) -> Value {
      return tk::splat<int8_t>(b, loc, bytes, int8_t(v));
    };
    SmallVector<int64_t> repeated;
    for (int64_t i = 0; i < size; ++i)
      repeated.push_back(i % 16);
    SmallVector<Value> parts(64 / size, splat(0));
    for (int table = 0; table < 16; ++table) {
      Value skip = arith::ConstantIndexOp::create(b, loc, 16 * table);
      Value at = arith::AddIOp::create(b, loc, op.getOffset(), skip);
      Value row = vector::LoadOp::create(b, loc, entries, op.getTable(), at);
      row = vector::ShuffleOp::create(b, loc, row, row, repeated);
      for (auto [i, found] : llvm::enumerate(parts)) {
        Value index = arith::SubIOp::create(
            b, loc, part(b, loc, op.getCodes(), int64_t(i), size),
            splat(16 * table));
        index = LLVM::UAddSat::create(b, loc, bytes, index, splat(0x70));
        Value some = call(b, loc, name, bytes, {row, index});
        found = arith::OrIOp::create(b, loc, found, some);
      }
    }
    b.replaceOp(op, join(b, loc, parts));
    return success();
  }
  int64_t bits;
};

} // namespace

void quern::populatePairPatterns(RewritePatternSet &patterns, int64_t bits) {
  patterns.add<LowerDot4>(patterns.getContext(), bits);
}

void quern::populateShufflePatterns(RewritePatternSet &patterns, int64_t bits) {
  patterns.add<LowerLut256>(patterns.getContext(), bits);
}
