//===- NvptxGemm.cpp - Append matrix products -----------------------------===//
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

#define GEN_PASS_DEF_NVPTXGEMM
#define GEN_PASS_DEF_NVPTXWGMMA
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

namespace {
/// A pass with the options of products.
template <typename Generated> class ProductPass : public AppendPass<Generated> {
public:
  using AppendPass<Generated>::AppendPass;

protected:
  /// What is to be computed.
  Expected<nvptx::GemmForm> form() {
    auto function = nvptx::parseActivation(this->activation);
    if (!function)
      return function.takeError();
    auto stored = nvptx::parseStorage(this->result);
    if (!stored)
      return stored.takeError();
    return nvptx::GemmForm{*function,  *stored,     this->zeros, this->groups,
                           this->wide, this->fixed, this->tokens};
  }
};

struct NvptxGemm : ProductPass<impl::NvptxGemmBase<NvptxGemm>> {
  using ProductPass::ProductPass;

  Error append() override {
    nvptx::GemmSchedule schedule = {blockM, blockN, warpM, warpN, stages};
    Expected<nvptx::GemmForm> product = form();
    if (!product)
      return product.takeError();
    if (Error error = nvptx::checkForm(schedule, *product))
      return error;
    nvptx::buildGemm(getOperation(), schedule, *product);
    return Error::success();
  }
};

struct NvptxWgmma : ProductPass<impl::NvptxWgmmaBase<NvptxWgmma>> {
  using ProductPass::ProductPass;

  Error append() override {
    nvptx::WgmmaSchedule schedule = {blockM, blockN, stages};
    Expected<nvptx::GemmForm> product = form();
    if (!product)
      return product.takeError();
    if (Error error = nvptx::checkWgmmaForm(schedule, *product))
      return error;
    nvptx::buildWgmmaGemm(getOperation(), schedule, *product);
    return Error::success();
  }
};
} // namespace

} // namespace quern
