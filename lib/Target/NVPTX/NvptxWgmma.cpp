//===- NvptxWgmma.cpp - Append a product of warpgroups --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/NvptxPasses.h"

#include "lib/Target/NVPTX/AppendPass.h"
#include "lib/Target/NVPTX/WgmmaGemm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern {

#define GEN_PASS_DEF_NVPTXWGMMA
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

namespace {
struct NvptxWgmma : AppendPass<impl::NvptxWgmmaBase<NvptxWgmma>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::WgmmaSchedule schedule = {blockM, blockN, stages};
    auto function = nvptx::parseActivation(activation);
    if (!function)
      return function.takeError();
    auto stored = nvptx::parseStorage(result);
    if (!stored)
      return stored.takeError();
    nvptx::GemmForm form;
    form.activation = *function;
    form.result = *stored;
    form.fixed = fixed;
    form.tokens = tokens;
    if (Error error = nvptx::checkWgmmaForm(schedule, form))
      return error;
    nvptx::buildWgmmaGemm(getOperation(), schedule, form);
    return Error::success();
  }
};
} // namespace

} // namespace quern
