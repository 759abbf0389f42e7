//===- NvptxReal.cpp - Append a kernel of real numbers --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/NvptxPasses.h"

#include "lib/Target/NVPTX/AppendPass.h"
#include "lib/Target/NVPTX/RealAttention.h"
#include "lib/Target/NVPTX/RealGemm.h"
#include "lib/Target/NVPTX/RealNorm.h"
#include "lib/Target/NVPTX/RealRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern {

#define GEN_PASS_DEF_NVPTXREAL
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

namespace {
struct NvptxReal : AppendPass<impl::NvptxRealBase<NvptxReal>> {
  using AppendPass::AppendPass;

  Error append() override {
    if (function == "linear")
      return appendLinear();
    if (function == "attention")
      return appendAttention();
    if (function == "norm")
      return appendNorm({nvptx::RealNormForm::Row});
    if (function == "add_norm")
      return appendNorm({nvptx::RealNormForm::Sum});
    if (function == "embed")
      return appendNorm({nvptx::RealNormForm::Tables, {bits, 32, 32}});
    auto parsed = nvptx::parseRealFunction(function);
    if (!parsed)
      return parsed.takeError();
    nvptx::buildRealFunction(getOperation(), *parsed);
    return Error::success();
  }

private:
  Error appendLinear() {
    auto parsed = nvptx::parseActivation(activation);
    if (!parsed)
      return parsed.takeError();
    nvptx::RealGemmForm form = {bits, *parsed};
    if (Error error = nvptx::checkRealGemm(form))
      return error;
    nvptx::buildRealGemm(getOperation(), form);
    return Error::success();
  }

  Error appendAttention() {
    nvptx::RealAttentionForm form = {headDim, firstQuery, quantizers,
                                     quantizers};
    if (Error error = nvptx::checkRealAttention(form))
      return error;
    nvptx::buildRealAttention(getOperation(), form);
    return Error::success();
  }

  Error appendNorm(const nvptx::RealNormForm &form) {
    if (Error error = nvptx::checkRealNorm(form))
      return error;
    nvptx::buildRealNorm(getOperation(), form);
    return Error::success();
  }
};
} // namespace

} // namespace quern
