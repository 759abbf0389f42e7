//===- Assemble.cpp - A tiled module to a module file ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/Assemble.h"

#include "compiler/Emit/KernelObjects.h"
#include "dialects/TK/TKDialect.h"
#include "runtime/include/quern/module_abi.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cctype>

namespace quern {

TierInfo describeTier(Tier tier) {
  static constexpr const char *widened =
      "no dot product of bytes on this tier: codes are widened to 16 bits "
      "and summed in pairs";
  static constexpr const char *small =
      "16 vector registers hold no larger tiles";
  switch (tier) {
  case Tier::Scalar:
    return {QUERN_TIER_SCALAR, getTierName(tier).str(), "x86-64 scalar",
            "no vectors at all: what other tiers are compared with"};
  case Tier::Sse2:
    return {QUERN_TIER_SSE2, getTierName(tier).str(), "x86-64",
            std::string("plain code for any x86-64; ") + small};
  case Tier::Sse41:
    return {QUERN_TIER_SSE41, getTierName(tier).str(), "pmaddwd xmm",
            std::string(widened) +
                "; dot products without library are those of sse2"};
  case Tier::Avx2:
    return {QUERN_TIER_AVX2, getTierName(tier).str(), "vpmaddwd ymm",
            std::string(widened) + "; " + small};
  case Tier::AvxVnni:
    return {QUERN_TIER_AVXVNNI, getTierName(tier).str(), "vpdpbusd ymm",
            std::string("kernels without dot products are those of avx2; ") +
                small};
  case Tier::Avx512Bw:
    return {QUERN_TIER_AVX512BW, getTierName(tier).str(), "vpmaddwd zmm",
            std::string(widened) +
                "; kernels without dot products are those of avx2"};
  case Tier::Avx512Vnni:
    return {QUERN_TIER_AVX512VNNI, getTierName(tier).str(), "vpdpbusd zmm", ""};
  case Tier::Amx:
    return {QUERN_TIER_AMX, getTierName(tier).str(), "tdpbusd tmm",
            "kernels without tiles are those of avx512vnni"};
  }
  llvm_unreachable("every tier is described");
}

std::optional<Tier> parseTier(llvm::StringRef name) {
  for (Tier tier : allTiers)
    if (name == getTierName(tier))
      return tier;
  return std::nullopt;
}

/// Families and tiles of kernels whose code on `tier` is not the tier's own or
/// a variant.
static std::map<std::string, KernelCodeInfo>
describeKernels(mlir::ModuleOp module, Tier tier) {
  llvm::MapVector<mlir::StringAttr, llvm::SmallVector<mlir::Operation *>> all;
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    mlir::FlatSymbolRefAttr of = tk::getVariantOf(function);
    if (tk::isKernel(function))
      all[of ? of.getAttr() : function.getSymNameAttr()].push_back(function);
  }
  std::map<std::string, KernelCodeInfo> described;
  for (auto &[name, forms] : all) {
    Tier code = getCodeTier(forms, tier);
    mlir::Operation *form = getCodeForm(forms, tier);
    KernelCodeInfo info{describeTier(code).family, ""};
    auto notes = form->getAttrOfType<mlir::DictionaryAttr>("notes");
    if (auto tile = notes ? notes.getAs<mlir::StringAttr>("tile") : nullptr)
      info.tile = tile.str();
    if (code != tier || !tk::getVariantMeans(form).empty())
      described[name.str()] = info;
  }
  return described;
}

Expected<AssembledModule>
assembleModule(mlir::ModuleOp module, const std::vector<Tier> &tiers,
               ManifestRequest request, std::string tokenizer, unsigned threads,
               const PassSetup &setup) {
  AssembledModule result;
  result.tokenizer = std::move(tokenizer);
  auto objects = emitObjects(module, tiers, threads, setup);
  if (!objects)
    return objects.takeError();
  for (size_t i = 0; i < tiers.size(); ++i) {
    request.tiers.push_back(describeTier(tiers[i]));
    request.tiers.back().kernels = describeKernels(module, tiers[i]);
    result.tiers.push_back(
        {tiers[i], request.tiers.back().id, std::move((*objects)[i])});
  }
  mlir::FailureOr<ManifestResult> manifest = buildManifest(module, request);
  if (mlir::failed(manifest))
    return Error("the program cannot be described");
  result.manifest = std::move(*manifest);
  return Expected<AssembledModule>(std::move(result));
}

static ModuleParts partsOf(const AssembledModule &module,
                           std::string_view code) {
  ModuleParts parts;
  parts.code = code;
  parts.manifest = module.manifest.bytes;
  parts.tokenizer = module.tokenizer;
  parts.data = module.manifest.data;
  parts.weightBytes = module.manifest.weightBytes;
  return parts;
}

Error writeModule(const std::string &path, const AssembledModule &module) {
  Expected<std::string> code = linkSharedObject(
      module.tiers, module.manifest.kernels, partsOf(module, ""));
  if (!code)
    return code.takeError();
  return writeModuleFile(path, partsOf(module, *code));
}

Error writeObject(const std::string &path, const AssembledModule &module) {
  std::string name = llvm::sys::path::stem(path).str();
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)))
      c = '_';
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])))
    name = "m" + name;
  // Not the bare name: `m` is a variable of the user's, `main` a function.
  name += "_model";
  return linkObject(path, name, module.tiers, module.manifest.kernels,
                    partsOf(module, ""));
}

Error writeExecutable(const std::string &path, const AssembledModule &module) {
  return linkExecutable(path, module.tiers, module.manifest.kernels,
                        partsOf(module, ""));
}

} // namespace quern
