//===- Sites.cpp - Which site a value goes to -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Sites.h"

using namespace mlir;

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

LogicalResult quern::refuseUndecided(tq::ObserveOp observe) {
  return observe.emitError("site '") << observe.getSite()
                                     << "' has groups of the form \"auto\", "
                                        "expected \"folded\" or no form: "
                                        "the driver decides";
}
