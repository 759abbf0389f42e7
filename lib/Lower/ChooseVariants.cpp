//===- ChooseVariants.cpp - Keep the form of a kernel that a tier has -----===//
//
// L3 is the same for all tiers; this is where they part.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

#include <algorithm>

namespace quern {
#define GEN_PASS_DEF_CHOOSEVARIANTS
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;

namespace {
struct ChooseVariants : quern::impl::ChooseVariantsBase<ChooseVariants> {
  using ChooseVariantsBase::ChooseVariantsBase;
  void runOnOperation() override {
    // The verifier knows that there are such kernels.
    llvm::MapVector<StringAttr, SmallVector<func::FuncOp>> variants;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (FlatSymbolRefAttr of = quern::tk::getVariantOf(function))
        variants[of.getAttr()].push_back(function);
    for (auto &[name, functions] : variants) {
      func::FuncOp best;
      for (func::FuncOp variant : functions)
        if (rankOf(variant) < (best ? rankOf(best) : means.size()))
          best = variant;
      for (func::FuncOp variant : functions)
        if (variant != best)
          variant.erase();
      if (!best)
        continue;
      getOperation().lookupSymbol(name)->erase();
      best.setSymName(name);
      best->removeAttr(quern::tk::TKDialect::getVariantAttrName());
      best->removeAttr(quern::tk::TKDialect::getMeansAttrName());
    }
  }

private:
  /// The place of the variant's means among those that the tier has.
  size_t rankOf(func::FuncOp variant) {
    llvm::StringRef needed = quern::tk::getVariantMeans(variant);
    return std::find(means.begin(), means.end(), needed) - means.begin();
  }
};
} // namespace
