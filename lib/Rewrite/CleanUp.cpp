//===- CleanUp.cpp - Remove what nobody reads -----------------------------===//
//
// The pass tq-clean-up.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Passes.h"

#include "dialects/TQ/TQDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace quern {
#define GEN_PASS_DEF_CLEANUP
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

struct CleanUpPass : quern::impl::CleanUpBase<CleanUpPass> {
  using CleanUpBase::CleanUpBase;

  void runOnOperation() override {
    // Backwards, so that a dead op frees its operands for the same sweep.
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (isOpTriviallyDead(&op)) {
          op.erase();
          ++erased;
        }
  }
};

} // namespace
