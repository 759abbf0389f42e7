//===- SplitResidual.cpp - A LayerNorm output of its own for sums ---------===//
//
// The pass tq-split-residual. In post-LN BERT two kinds of ops read a LayerNorm
// output: products, for which few bits are enough, and a residual sum.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/SchemeAttr.h"

#include "dialects/TQ/TQOps.h"

#include "mlir/IR/IRMapping.h"

namespace quern {
#define GEN_PASS_DEF_SPLITRESIDUAL
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {
struct SplitResidual : quern::impl::SplitResidualBase<SplitResidual> {
  using SplitResidualBase::SplitResidualBase;

  void runOnOperation() override {
    std::optional<SchemeAttr> scheme = SchemeAttr::read(getOperation());
    if (!scheme)
      return signalPassFailure();
    SmallVector<tq::ObserveOp> observes;
    getOperation().walk([&](tq::ObserveOp op) { observes.push_back(op); });
    for (tq::ObserveOp observe : observes) {
      std::optional<SiteQuantizer> site = scheme->site(observe.getSite());
      if (site && !site->residual.empty() && failed(split(observe)))
        return signalPassFailure();
    }
  }

  /// Copies the LayerNorm before `observe`, and what puts its channels in
  /// order, for the residual sums that read it.
  LogicalResult split(tq::ObserveOp observe) {
    auto reorder = observe.getX().getDefiningOp<tq::ReorderOp>();
    auto norm = (reorder ? reorder.getX() : observe.getX())
                    .getDefiningOp<tq::LayerNormOp>();
    if (!norm)
      return observe.emitError(
                 "codes for residual sums need a LayerNorm before "
                 "site '")
             << observe.getSite() << "'";
    auto isSum = [](Operation *user) { return isa<tq::AddOp>(user); };
    if (llvm::none_of(observe->getUsers(), isSum))
      return success();
    OpBuilder builder(observe);
    builder.setInsertionPointAfter(observe);
    IRMapping copies;
    builder.clone(*norm, copies);
    if (reorder)
      builder.clone(*reorder, copies);
    auto wide = cast<tq::ObserveOp>(builder.clone(*observe, copies));
    wide.setSite((observe.getSite() + ".residual").str());
    observe.getResult().replaceUsesWithIf(
        wide.getResult(),
        [&](OpOperand &use) { return isSum(use.getOwner()); });
    ++sitesSplit;
    return success();
  }
};
} // namespace
