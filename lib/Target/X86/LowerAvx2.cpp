//===- LowerAvx2.cpp - Micro-ops to AVX2 ----------------------------------===//
//
// Patterns for micro-ops that plain vector code does badly. Vectors of 512 bits
// are done in halves.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "dialects/TK/VectorCode.h"
#include "lib/Target/X86/Intrinsics.h"
#include "lib/Target/X86/PairPatterns.h"
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
using x86::join;
using x86::part;

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

struct LowerVnniDot4 : OpRewritePattern<tk::Dot4Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Dot4Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto sums = VectorType::get({8}, b.getI32Type());
    SmallVector<Value> halves;
    for (int64_t i = 0; i < 2; ++i)
      halves.push_back(
          call(b, loc, x86::kDot4Half, sums,
               {part(b, loc, op.getAcc(), i, 8), part(b, loc, op.getA(), i, 32),
                part(b, loc, op.getB(), i, 32)}));
    b.replaceOp(op, join(b, loc, halves));
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
    SmallVector<Value> halves;
    for (int64_t i = 0; i < 2; ++i) {
      Value index = part(b, loc, op.getIndex(), i, 8);
      Value low =
          call(b, loc, x86::kPermuteEightFloats, reals, {tables[0], index});
      Value high =
          call(b, loc, x86::kPermuteEightFloats, reals, {tables[1], index});
      Value upper = arith::CmpIOp::create(
          b, loc, arith::CmpIPredicate::ne,
          arith::AndIOp::create(b, loc, index, eight), zero);
      halves.push_back(arith::SelectOp::create(b, loc, upper, high, low));
    }
    b.replaceOp(op, join(b, loc, halves));
    return success();
  }
};

struct LowerAvx2 : quern::impl::LowerAvx2Base<LowerAvx2> {
  using LowerAvx2Base::LowerAvx2Base;
  void runOnOperation() override {
    getOperation()->walk([](Block *block) { gatherChains(*block); });
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerLut16>(&getContext());
    populateShufflePatterns(patterns, /*bits=*/256);
    if (vnni)
      patterns.add<LowerVnniDot4>(&getContext());
    else
      populatePairPatterns(patterns, /*bits=*/256);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
