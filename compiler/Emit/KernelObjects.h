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

/// How the module of one kernel becomes an object.
struct ObjectMaker {
  /// Tells objects apart that are made in different ways: the tier.
  std::string tag;
  std::function<Expected<std::string>(mlir::ModuleOp)> make;
};

/// The objects of all kernels of an L3 module, in the order of the module.
Expected<std::vector<std::string>> makeObjects(mlir::ModuleOp module,
                                               const ObjectMaker &maker);

/// The same for a tier. With `setup`, the passes are first run over the whole
/// module under its eyes.
Expected<std::vector<std::string>> emitObjects(mlir::ModuleOp module, Tier tier,
                                               const PassSetup &setup = {});

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELOBJECTS_H
