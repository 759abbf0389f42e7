//===- IsolateKernels.cpp - Keep the kernels, drop all else ---------------===//
//
// The step between a whole L3 module and the object file of its kernels.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {
#define GEN_PASS_DEF_ISOLATEKERNELS
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;

namespace {
struct IsolateKernels : quern::impl::IsolateKernelsBase<IsolateKernels> {
  void runOnOperation() override {
    for (Operation &op :
         llvm::make_early_inc_range(getOperation().getBody()->getOperations()))
      if (quern::tk::isKernel(&op))
        ++numKernels;
      else
        op.erase();
    // What the model says about itself is no part of the code.
    SmallVector<StringAttr> names;
    for (NamedAttribute attribute : getOperation()->getDiscardableAttrs())
      if (attribute.getName().getValue().starts_with("tq."))
        names.push_back(attribute.getName());
    for (StringAttr name : names)
      getOperation()->removeDiscardableAttr(name);
  }
};
} // namespace
