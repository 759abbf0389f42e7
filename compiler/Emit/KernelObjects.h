//===- KernelObjects.h - An object for each kernel --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Kernels know nothing of each other, so each becomes an object of its own:
// they are compiled side by side, and a kernel that was compiled before comes
// from the cache (KernelCache.h).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_KERNELOBJECTS_H
#define QUERN_COMPILER_EMIT_KERNELOBJECTS_H

#include "compiler/Emit/ObjectCode.h"

#include <vector>

namespace quern {

/// The code of one kernel.
struct KernelObject {
  std::string kernel;
  /// The symbol of its entry, which names the tier that the code is for.
  std::string entry;
  /// An object file.
  std::string bytes;
};

/// How the module of one kernel becomes an object.
struct ObjectMaker {
  Tier tier;
  /// Tells objects apart that are made in different ways.
  std::function<std::string(Tier)> tag;
  /// Makes the object of a kernel for getCodeTier(kernel, tier).
  std::function<Expected<std::string>(mlir::ModuleOp, Tier)> make;
};

/// The objects of all kernels of an L3 module, in the order of the module. What
/// is among `known` is not made again.
Expected<std::vector<KernelObject>>
makeObjects(mlir::ModuleOp module, const ObjectMaker &maker,
            const std::vector<KernelObject> &known = {});

/// The same for a tier. With `setup`, the passes are first run over the whole
/// module under its eyes.
Expected<std::vector<KernelObject>>
emitObjects(mlir::ModuleOp module, Tier tier, const PassSetup &setup = {},
            const std::vector<KernelObject> &known = {});

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELOBJECTS_H
