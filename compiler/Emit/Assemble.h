//===- Assemble.h - A tiled module to a module file -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_ASSEMBLE_H
#define QUERN_COMPILER_EMIT_ASSEMBLE_H

#include "compiler/Emit/Link.h"
#include "compiler/Emit/Manifest.h"

namespace quern {

/// Everything of a module but its container. Refers to the constants of the IR
/// module it was made from.
struct AssembledModule {
  std::vector<TierObject> tiers;
  ManifestResult manifest;
  std::string tokenizer;
};

/// What the manifest says of a tier's kernels.
TierInfo describeTier(Tier tier);

/// The tier of a name ("sse2", "avx2", ..., "amx"), or nothing.
std::optional<Tier> parseTier(llvm::StringRef name);

/// Lowers the kernels of an L3 module for every tier and describes them.
/// `request.tiers` is filled in from `tiers`. The result does not depend on
/// `threads`, of which 0 is one for each CPU.
Expected<AssembledModule>
assembleModule(mlir::ModuleOp module, const std::vector<Tier> &tiers,
               ManifestRequest request, std::string tokenizer, unsigned threads,
               const PassSetup &setup = {});

/// Writes an assembled module in its container.
Error writeModule(const std::string &path, const AssembledModule &module);
Error writeObject(const std::string &path, const AssembledModule &module);
Error writeExecutable(const std::string &path, const AssembledModule &module);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_ASSEMBLE_H
