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
      // A row that is taken as it is takes its own range along, and may have
      // codes of any kind.
      bool isMean = pool.getKind() == tq::PoolKind::Mean;
      auto dequantize = pool.getX().getDefiningOp<tq::DequantizeOp>();
      std::optional<Codes> mean;
      if (isMean && dequantize)
        mean = describeOffsetCodes(dequantize.getX());
      if (isMean ? !mean || mean->bits > 8 : !dequantize) {
        remarkRefused(pool, "FoldPool",
                      isMean && matchFactor(pool.getX())
                          ? "a mean of codes needs one scale, not one for each "
                            "token"
                      : isMean ? "its input has no codes of at most 8 bits"
                               : "its input has no codes");
        continue;
      }
      Value x = dequantize.getX();
      auto type = cast<RankedTensorType>(x.getType());
      OpBuilder builder(pool);
      Location loc = pool.getLoc();
      auto real = cast<RankedTensorType>(pool.getType());
      Value result;
      if (isMean) {
        result = tq::QPoolOp::create(builder, loc, real, x, pool.getOffsets(),
                                     pool.getKind());
      } else {
        Value gathered =
            tq::QPoolOp::create(builder, loc, real.clone(type.getElementType()),
                                x, pool.getOffsets(), pool.getKind());
        result = tq::DequantizeOp::create(builder, loc, real, gathered);
      }
      remarkFolded(pool, "FoldPool",
                   "pooling of " +
                       Twine(tq::getCodeStorage(type.getElementType())->bits) +
                       "-bit codes");
      pool.replaceAllUsesWith(result);
      ++folded;
    }
  }
};

} // namespace
