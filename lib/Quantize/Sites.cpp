//===- Sites.cpp - Which site a value goes to -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Sites.h"

using namespace mlir;
using namespace quern;

llvm::StringRef quern::siteBehind(Value value) {
  for (Operation *user : value.getUsers()) {
    if (auto observe = dyn_cast<tq::ObserveOp>(user))
      return observe.getSite();
    if (isa<tq::TanhOp, tq::GeluOp, tq::ReluOp>(user))
      return siteBehind(user->getResult(0));
  }
  return "";
}

llvm::StringRef quern::weightRole(tq::LinearOp linear) {
  StringRef site = siteBehind(linear.getResult());
  return site == "P" ? "pooler" : site == "C" ? "classifier" : "linear";
}

llvm::StringRef quern::weightRole(tq::EmbeddingOp embedding) {
  auto index = dyn_cast<BlockArgument>(embedding.getIndex());
  return index && index.getArgNumber() == 0 ? "word_table" : "table";
}

ObservedNorm quern::normBefore(tq::ObserveOp observe) {
  auto reorder = observe.getX().getDefiningOp<tq::ReorderOp>();
  Value output = reorder ? reorder.getX() : observe.getX();
  return {output.getDefiningOp<tq::LayerNormOp>(), reorder};
}

LogicalResult quern::forEachQuantizedSite(
    ModuleOp module,
    llvm::function_ref<LogicalResult(tq::ObserveOp, const SiteQuantizer &)>
        visit) {
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return failure();
  SmallVector<tq::ObserveOp> observes;
  module.walk([&](tq::ObserveOp op) { observes.push_back(op); });
  for (tq::ObserveOp observe : observes) {
    std::optional<SiteQuantizer> site = scheme->site(observe.getSite());
    if (site && failed(visit(observe, *site)))
      return failure();
  }
  return success();
}

LogicalResult quern::refuseUndecided(tq::ObserveOp observe) {
  return observe.emitError("site '") << observe.getSite()
                                     << "' has groups of the form \"auto\", "
                                        "expected \"folded\" or no form: "
                                        "the driver decides";
}
