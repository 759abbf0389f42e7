//===- FoldPool.cpp - Pooling of codes ------------------------------------===//
//
// The pass tq-fold-pool.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Match.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_FOLDPOOL
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

struct FoldPoolPass : quern::impl::FoldPoolBase<FoldPoolPass> {
  using FoldPoolBase::FoldPoolBase;

  void runOnOperation() override {
    SmallVector<tq::PoolOp> pools;
    getOperation().walk([&](tq::PoolOp op) { pools.push_back(op); });
    for (tq::PoolOp pool : pools) {
      // A row that is taken as it is takes its own range along.
      bool isMean = pool.getKind() == tq::PoolKind::Mean;
      std::optional<Codes> x =
          isMean ? matchCodes(pool.getX()) : matchFactor(pool.getX());
      if (!x || x->bits > 8) {
        remarkRefused(pool, "FoldPool",
                      isMean && matchFactor(pool.getX())
                          ? "a mean of codes needs one scale, not one for each "
                            "token"
                          : "its input has no codes of at most 8 bits");
        continue;
      }
      OpBuilder builder(pool);
      Location loc = pool.getLoc();
      auto real = cast<RankedTensorType>(pool.getType());
      Value result;
      if (isMean) {
        result = tq::QPoolOp::create(builder, loc, real, x->value,
                                     pool.getOffsets(), pool.getKind());
      } else {
        auto codes = real.clone(
            cast<RankedTensorType>(x->value.getType()).getElementType());
        Value gathered = tq::QPoolOp::create(builder, loc, codes, x->value,
                                             pool.getOffsets(), pool.getKind());
        result = tq::DequantizeOp::create(builder, loc, real, gathered);
      }
      remarkFolded(pool, "FoldPool",
                   "pooling of " + Twine(x->bits) + "-bit codes");
      pool.replaceAllUsesWith(result);
      ++folded;
    }
  }
};

} // namespace
