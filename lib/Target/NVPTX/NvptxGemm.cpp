//===- NvptxGemm.cpp - Append a matrix product ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/NvptxPasses.h"

#include "lib/Target/NVPTX/AppendPass.h"
#include "lib/Target/NVPTX/Gemm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern {

#define GEN_PASS_DEF_NVPTXGEMM
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

namespace {
struct NvptxGemm : AppendPass<impl::NvptxGemmBase<NvptxGemm>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::GemmSchedule schedule = {blockM, blockN, warpM, warpN, stages};
    auto function = nvptx::parseActivation(activation);
    if (!function)
      return function.takeError();
    auto stored = nvptx::parseStorage(result);
    if (!stored)
      return stored.takeError();
    nvptx::GemmForm form = {*function, *stored, zeros, groups,
                            wide,      fixed,   tokens};
    if (Error error = nvptx::checkForm(schedule, form))
      return error;
    nvptx::buildGemm(getOperation(), schedule, form);
    return Error::success();
  }
};
} // namespace

} // namespace quern
