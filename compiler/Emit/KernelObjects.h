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

/// How the module of one kernel becomes an object. Called on several threads,
/// each with a context of its own.
struct ObjectMaker {
  /// Tells objects apart that are made in different ways.
  std::function<std::string(Tier)> tag;
  /// Makes the object of a kernel for getCodeTier(kernel, tier).
  std::function<Expected<std::string>(mlir::ModuleOp, Tier)> make;
};

/// For each of `tiers`, the objects of all kernels of an L3 module, in the
/// order of the module. Those that tiers share are made once. They do not
/// depend on `threads`, of which 0 is one for each CPU.
Expected<std::vector<std::vector<KernelObject>>>
makeObjects(mlir::ModuleOp module, llvm::ArrayRef<Tier> tiers,
            const ObjectMaker &maker, unsigned threads = 1);

/// The same by emitKernels. With `setup`, the passes are first run over the
/// whole module under its eyes.
Expected<std::vector<std::vector<KernelObject>>>
emitObjects(mlir::ModuleOp module, llvm::ArrayRef<Tier> tiers,
            unsigned threads = 1, const PassSetup &setup = {});

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELOBJECTS_H
