//===- SplitResidual.cpp - A LayerNorm output of its own for sums ---------===//
//
// The pass tq-split-residual. In post-LN BERT two kinds of ops read a LayerNorm
// output: products, for which few bits are enough, and a residual sum.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/Sites.h"

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
    auto visit = [&](tq::ObserveOp observe, const SiteQuantizer &site) {
      return site.residual.empty() ? success() : split(observe);
    };
    if (failed(forEachQuantizedSite(getOperation(), visit)))
      signalPassFailure();
  }

  /// Copies the LayerNorm before `observe`, and what puts its channels in
  /// order, for the residual sums that read it.
  LogicalResult split(tq::ObserveOp observe) {
    auto [norm, reorder] = normBefore(observe);
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
