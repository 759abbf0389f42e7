//===- ChooseVariants.cpp - Keep the form of a kernel that a tier has -----===//
//
// L3 is the same for all tiers; this is where they part.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace quern {
#define GEN_PASS_DEF_CHOOSEVARIANTS
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;

namespace {
struct ChooseVariants : quern::impl::ChooseVariantsBase<ChooseVariants> {
  using ChooseVariantsBase::ChooseVariantsBase;
  void runOnOperation() override {
    SmallVector<func::FuncOp> variants;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (quern::tk::getVariantOf(function))
        variants.push_back(function);
    for (func::FuncOp variant : variants) {
      FlatSymbolRefAttr of = quern::tk::getVariantOf(variant);
      if (quern::tk::getVariantMeans(variant) != means) {
        variant.erase();
        continue;
      }
      // The verifier knows that there is such a kernel.
      getOperation().lookupSymbol(of.getValue())->erase();
      variant.setSymName(of.getValue());
      variant->removeAttr(quern::tk::TKDialect::getVariantAttrName());
      variant->removeAttr(quern::tk::TKDialect::getMeansAttrName());
    }
  }
};
} // namespace
