//===- KernelObjects.cpp - An object for each kernel ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelObjects.h"

#include "compiler/Emit/KernelCache.h"
#include "dialects/TK/TKDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace quern {

/// A module for each kernel, with its variants.
static std::vector<OwningOpRef<ModuleOp>> splitKernels(ModuleOp module) {
  llvm::MapVector<StringAttr, OwningOpRef<ModuleOp>> parts;
  for (Operation &op : *module.getBody()) {
    if (!tk::isKernel(&op))
      continue;
    StringAttr name = SymbolTable::getSymbolName(&op);
    if (auto function = dyn_cast<func::FuncOp>(op))
      if (FlatSymbolRefAttr of = tk::getVariantOf(function))
        name = of.getAttr();
    OwningOpRef<ModuleOp> &part = parts[name];
    if (!part)
      part = ModuleOp::create(module.getLoc());
    part->push_back(op.clone());
  }
  std::vector<OwningOpRef<ModuleOp>> result;
  for (auto &[name, part] : parts)
    result.push_back(std::move(part));
  return result;
}

Expected<std::vector<std::string>> makeObjects(ModuleOp module,
                                               const ObjectMaker &maker) {
  Expected<KernelCache> cache = KernelCache::fromEnvironment();
  if (!cache)
    return cache.takeError();
  std::vector<OwningOpRef<ModuleOp>> parts = splitKernels(module);
  std::vector<std::string> objects(parts.size());
  std::vector<std::optional<Error>> errors(parts.size());
  auto make = [&](size_t i) {
    std::string text;
    llvm::raw_string_ostream(text) << *parts[i];
    Expected<std::string> object =
        cache->get(text, maker.tag, [&] { return maker.make(*parts[i]); });
    if (object)
      objects[i] = std::move(*object);
    else
      errors[i] = object.takeError();
  };
  // The first alone: it loads the dialects of the passes into the context,
  // which must not happen on several threads.
  if (!parts.empty())
    make(0);
  parallelFor(module.getContext(), 1, std::max<size_t>(parts.size(), 1), make);
  for (std::optional<Error> &error : errors)
    if (error)
      return std::move(*error);
  return objects;
}

Expected<std::vector<std::string>> emitObjects(ModuleOp module, Tier tier,
                                               const PassSetup &setup) {
  if (setup)
    if (auto lowered = lowerKernels(module, tier, setup); !lowered)
      return lowered.takeError();
  return makeObjects(module, {getTierName(tier).str(), [&](ModuleOp kernel) {
                                return emitKernels(kernel, tier,
                                                   CodeForm::Object);
                              }});
}

} // namespace quern
