//===- NvptxAttention.cpp - Append integer attention --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/NvptxPasses.h"

#include "lib/Target/NVPTX/AppendPass.h"
#include "lib/Target/NVPTX/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern {

#define GEN_PASS_DEF_NVPTXATTENTION
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

namespace {
struct NvptxAttention : AppendPass<impl::NvptxAttentionBase<NvptxAttention>> {
  using AppendPass::AppendPass;

  Error append() override {
    auto storage = nvptx::parseStorage(result);
    if (!storage)
      return storage.takeError();
    nvptx::AttentionForm form = {headDim, *storage, firstQuery};
    if (logBits)
      form.log = {int32_t(logBits), rootOfTwo ? 2 : 1};
    form.fixed = fixed;
    form.nearest = !down;
    form.perHead = perHead;
    form.keysAtOnce = keysAtOnce;
    if (Error error = nvptx::checkAttention(form))
      return error;
    nvptx::buildAttention(getOperation(), form);
    return Error::success();
  }
};
} // namespace

} // namespace quern
