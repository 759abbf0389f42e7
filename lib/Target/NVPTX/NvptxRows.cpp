//===- NvptxRows.cpp - Append row kernels -------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/NvptxPasses.h"

#include "lib/Target/NVPTX/AddCodes.h"
#include "lib/Target/NVPTX/AddNorm.h"
#include "lib/Target/NVPTX/AppendPass.h"
#include "lib/Target/NVPTX/Elements.h"
#include "lib/Target/NVPTX/Embed.h"
#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Target/NVPTX/GroupNorm.h"
#include "lib/Target/NVPTX/Lookup.h"
#include "lib/Target/NVPTX/TokenRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern {

#define GEN_PASS_DEF_NVPTXADD
#define GEN_PASS_DEF_NVPTXADDNORM
#define GEN_PASS_DEF_NVPTXELEMENTS
#define GEN_PASS_DEF_NVPTXEMBED
#define GEN_PASS_DEF_NVPTXLOOKUP
#define GEN_PASS_DEF_NVPTXTOKENS
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

/// Reads the names of storages into places.
static Error
parseAll(std::initializer_list<std::pair<StringRef, nvptx::Storage *>> all) {
  for (auto [name, place] : all) {
    auto storage = nvptx::parseStorage(name);
    if (!storage)
      return storage.takeError();
    *place = *storage;
  }
  return Error::success();
}

namespace {
struct NvptxAddNorm : AppendPass<impl::NvptxAddNormBase<NvptxAddNorm>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::AddNormForm form;
    form.d = d;
    if (Error error = parseAll({{a, &form.a},
                                {b, &form.b},
                                {sum, &form.sum},
                                {result, &form.out}}))
      return error;
    if (second == "planes") {
      form.second.kind = nvptx::SecondForm::Planes;
    } else if (second != "none") {
      form.second.kind = nvptx::SecondForm::Requantized;
      if (Error error = parseAll({{second, &form.second.storage}}))
        return error;
    }
    if (fixed) {
      nvptx::FixedAddNormForm whole = {form, factors};
      if (Error error = nvptx::checkFixedAddNorm(whole))
        return error;
      nvptx::buildFixedAddNorm(getOperation(), whole);
      return Error::success();
    }
    if (groups || ordered) {
      nvptx::GroupNormForm grouped = {form, groups, ordered};
      if (Error error = nvptx::checkGroupNorm(grouped))
        return error;
      nvptx::buildGroupNorm(getOperation(), grouped);
      return Error::success();
    }
    if (Error error = nvptx::checkAddNorm(form))
      return error;
    nvptx::buildAddNorm(getOperation(), form);
    return Error::success();
  }
};

struct NvptxAdd : AppendPass<impl::NvptxAddBase<NvptxAdd>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::AddCodesForm form;
    form.fixed = fixed;
    if (Error error =
            parseAll({{a, &form.a}, {b, &form.b}, {result, &form.out}}))
      return error;
    if (Error error = nvptx::checkAddCodes(form))
      return error;
    nvptx::buildAddCodes(getOperation(), form);
    return Error::success();
  }
};

struct NvptxLookup : AppendPass<impl::NvptxLookupBase<NvptxLookup>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::LookupForm form = {bits, rowScales};
    if (Error error = nvptx::checkLookup(form))
      return error;
    nvptx::buildLookup(getOperation(), form);
    return Error::success();
  }
};

struct NvptxElements : AppendPass<impl::NvptxElementsBase<NvptxElements>> {
  using AppendPass::AppendPass;

  Error append() override {
    auto parsed = nvptx::parseElementFunction(function);
    if (!parsed)
      return parsed.takeError();
    nvptx::ElementForm form;
    form.function = *parsed;
    form.offset = offset;
    if (Error error = parseAll({{in, &form.in}, {out, &form.out}}))
      return error;
    if (Error error = nvptx::checkElements(form))
      return error;
    nvptx::buildElements(getOperation(), form);
    return Error::success();
  }
};

struct NvptxEmbed : AppendPass<impl::NvptxEmbedBase<NvptxEmbed>> {
  using AppendPass::AppendPass;

  Error append() override {
    nvptx::EmbedForm form;
    form.d = d;
    form.rowScales[0] = wordScales;
    form.rowScales[1] = typeScales;
    form.rowScales[2] = positionScales;
    form.tableBits[0] = wordBits;
    form.fixed = fixed;
    form.factors = factors;
    if (Error error =
            parseAll({{e1, &form.e1}, {e2, &form.e2}, {result, &form.out}}))
      return error;
    if (Error error = nvptx::checkEmbed(form))
      return error;
    nvptx::buildEmbed(getOperation(), form);
    return Error::success();
  }
};

struct NvptxTokens : AppendPass<impl::NvptxTokensBase<NvptxTokens>> {
  using AppendPass::AppendPass;

  Error append() override {
    if (function == "shift_gelu") {
      nvptx::buildShiftGelu(getOperation());
      return Error::success();
    }
    if (function != "quantize" && function != "dequantize")
      return Error::make("function: found '", printable(function),
                         "', expected quantize, dequantize or shift_gelu");
    nvptx::TokenForm form = {function == "dequantize", bits, centred};
    if (Error error = nvptx::checkTokens(form))
      return error;
    nvptx::buildTokens(getOperation(), form);
    return Error::success();
  }
};
} // namespace

} // namespace quern
