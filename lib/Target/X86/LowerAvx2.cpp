//===- LowerAvx2.cpp - Micro-ops to AVX2 ----------------------------------===//
//
// One pattern for each micro-op that plain vector code does badly. Vectors of
// 512 bits are done in halves.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "dialects/TK/VectorCode.h"
#include "lib/Target/X86/Intrinsics.h"
#include "lib/Target/X86/X86Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace quern {
#define GEN_PASS_DEF_LOWERAVX2
#include "lib/Target/X86/X86Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;
using x86::call;

/// Lanes [at * size, (at + 1) * size) of a vector.
static Value part(OpBuilder &b, Location loc, Value v, int64_t at,
                  int64_t size) {
  return vector::ExtractStridedSliceOp::create(b, loc, v, at * size, size, 1);
}

/// Two halves as one vector.
static Value join(OpBuilder &b, Location loc, Value low, Value high) {
  int64_t lanes = cast<VectorType>(low.getType()).getNumElements();
  SmallVector<int64_t> all;
  for (int64_t i = 0; i < 2 * lanes; ++i)
    all.push_back(i);
  return vector::ShuffleOp::create(b, loc, low, high, all);
}

/// The one user of `op` that adds to its result, in the same block.
template <typename Add> static Add nextOfChain(Add op) {
  if (!op->hasOneUse())
    return {};
  auto next = dyn_cast<Add>(*op->user_begin());
  bool follows = next && next->getOperand(0) == op.getResult() &&
                 next->getBlock() == op->getBlock();
  return follows ? next : Add();
}

/// Puts each product just before the next one that adds to its sum. Tiles are
/// made for 32 registers: here most of their sums lie in memory, and this way a
/// sum is loaded and stored once for all products of a turn, not for each.
static void gatherChains(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (auto dot = dyn_cast<tk::Dot4Op>(op)) {
      if (tk::Dot4Op next = nextOfChain(dot))
        dot->moveBefore(next);
    } else if (auto add = dyn_cast<arith::AddFOp>(op)) {
      auto product = add.getRhs().getDefiningOp<arith::MulFOp>();
      if (!product || !product->hasOneUse() || product->getBlock() != &block)
        continue;
      arith::AddFOp next = nextOfChain(add);
      if (next)
        add->moveBefore(next);
      product->moveBefore(add);
    }
  }
}

namespace {

struct LowerDot4 : OpRewritePattern<tk::Dot4Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Dot4Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto sums = VectorType::get({8}, b.getI32Type());
    tk::Dot4Words words = tk::splitDot4(b, loc, op.getA(), op.getB());
    Value halves[2];
    for (int64_t i = 0; i < 2; ++i) {
      auto multiply = [&](Value x, Value y) {
        return call(b, loc, x86::kMultiplyPairs, sums,
                    {part(b, loc, x, i, 16), part(b, loc, y, i, 16)});
      };
      Value acc = part(b, loc, op.getAcc(), i, 8);
      Value even = multiply(words.evenA, words.evenB);
      Value odd = multiply(words.oddA, words.oddB);
      halves[i] = arith::AddIOp::create(
          b, loc, acc, arith::AddIOp::create(b, loc, even, odd));
    }
    b.replaceOp(op, join(b, loc, halves[0], halves[1]));
    return success();
  }
};

struct LowerLut16 : OpRewritePattern<tk::Lut16Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Lut16Op op,
                                PatternRewriter &b) const override {
    // Each half of the table has eight entries, which three bits of an index
    // pick; the instruction ignores the others. The fourth picks the half.
    Location loc = op.getLoc();
    auto reals = VectorType::get({8}, b.getF32Type());
    auto ints = VectorType::get({8}, b.getI32Type());
    Value eight = tk::splat<int32_t>(b, loc, ints, 8);
    Value zero = tk::splat<int32_t>(b, loc, ints, 0);
    Value tables[2] = {part(b, loc, op.getTable(), 0, 8),
                       part(b, loc, op.getTable(), 1, 8)};
    Value halves[2];
    for (int64_t i = 0; i < 2; ++i) {
      Value index = part(b, loc, op.getIndex(), i, 8);
      Value low =
          call(b, loc, x86::kPermuteEightFloats, reals, {tables[0], index});
      Value high =
          call(b, loc, x86::kPermuteEightFloats, reals, {tables[1], index});
      Value upper = arith::CmpIOp::create(
          b, loc, arith::CmpIPredicate::ne,
          arith::AndIOp::create(b, loc, index, eight), zero);
      halves[i] = arith::SelectOp::create(b, loc, upper, high, low);
    }
    b.replaceOp(op, join(b, loc, halves[0], halves[1]));
    return success();
  }
};

struct LowerLut256 : OpRewritePattern<tk::Lut256Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Lut256Op op,
                                PatternRewriter &b) const override {
    // Sixteen tables of 16 bytes: a code less the first one of its table is 0
    // to 15, and 0x70 more leaves the lower four bits of that; for all other
    // tables it saturates or reaches the highest bit, which gives 0.
    Location loc = op.getLoc();
    auto bytes = VectorType::get({32}, b.getI8Type());
    auto entries = VectorType::get({16}, b.getI8Type());
    auto splat = [&](int v) -> Value {
      return tk::splat<int8_t>(b, loc, bytes, int8_t(v));
    };
    SmallVector<int64_t> twice;
    for (int64_t i = 0; i < 32; ++i)
      twice.push_back(i % 16);
    Value halves[2] = {splat(0), splat(0)};
    for (int table = 0; table < 16; ++table) {
      Value skip = arith::ConstantIndexOp::create(b, loc, 16 * table);
      Value at = arith::AddIOp::create(b, loc, op.getOffset(), skip);
      Value row = vector::LoadOp::create(b, loc, entries, op.getTable(), at);
      row = vector::ShuffleOp::create(b, loc, row, row, twice);
      for (int64_t i = 0; i < 2; ++i) {
        Value index = arith::SubIOp::create(
            b, loc, part(b, loc, op.getCodes(), i, 32), splat(16 * table));
        index = LLVM::UAddSat::create(b, loc, bytes, index, splat(0x70));
        Value found = call(b, loc, x86::kShuffleBytes, bytes, {row, index});
        halves[i] = arith::OrIOp::create(b, loc, halves[i], found);
      }
    }
    b.replaceOp(op, join(b, loc, halves[0], halves[1]));
    return success();
  }
};

struct LowerAvx2 : quern::impl::LowerAvx2Base<LowerAvx2> {
  void runOnOperation() override {
    getOperation()->walk([](Block *block) { gatherChains(*block); });
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerDot4, LowerLut16, LowerLut256>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
