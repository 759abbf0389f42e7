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

/// A kernel with its variants, in a module of its own.
struct KernelPart {
  std::string name;
  OwningOpRef<ModuleOp> module;
};

static std::vector<KernelPart> splitKernels(ModuleOp module) {
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
  std::vector<KernelPart> result;
  for (auto &[name, part] : parts)
    result.push_back({name.str(), std::move(part)});
  return result;
}

Expected<std::vector<KernelObject>>
makeObjects(ModuleOp module, const ObjectMaker &maker,
            const std::vector<KernelObject> &known) {
  Expected<KernelCache> cache = KernelCache::fromEnvironment();
  if (!cache)
    return cache.takeError();
  std::vector<KernelPart> parts = splitKernels(module);
  std::vector<KernelObject> objects(parts.size());
  std::vector<std::optional<Error>> errors(parts.size());
  // Whether the object was not there yet.
  auto make = [&](size_t i) -> bool {
    ModuleOp part = *parts[i].module;
    Tier tier = getCodeTier(part, maker.tier);
    KernelObject &object = objects[i];
    object.kernel = parts[i].name;
    object.entry = getEntryName(object.kernel, tier);
    auto made = llvm::find_if(known, [&](const KernelObject &other) {
      return other.entry == object.entry;
    });
    if (made != known.end()) {
      object.bytes = made->bytes;
      return false;
    }
    std::string text;
    llvm::raw_string_ostream(text) << part;
    bool isNew = false;
    Expected<std::string> bytes = cache->get(text, maker.tag(tier), [&] {
      isNew = true;
      return maker.make(part, tier);
    });
    if (bytes)
      object.bytes = std::move(*bytes);
    else
      errors[i] = bytes.takeError();
    return isNew;
  };
  // The first that is made, alone: it loads the dialects of the passes into the
  // context, which must not happen on several threads.
  size_t next = 0;
  while (next < parts.size() && !make(next++))
    ;
  parallelFor(module.getContext(), next, parts.size(),
              [&](size_t i) { make(i); });
  for (std::optional<Error> &error : errors)
    if (error)
      return std::move(*error);
  return objects;
}

Expected<std::vector<KernelObject>>
emitObjects(ModuleOp module, Tier tier, const PassSetup &setup,
            const std::vector<KernelObject> &known) {
  if (setup)
    if (auto lowered = lowerKernels(module, tier, setup); !lowered)
      return lowered.takeError();
  ObjectMaker maker = {tier, [](Tier code) { return getTierName(code).str(); },
                       [](ModuleOp kernel, Tier code) {
                         return emitKernels(kernel, code, CodeForm::Object);
                       }};
  return makeObjects(module, maker, known);
}

} // namespace quern
