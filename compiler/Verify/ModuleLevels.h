//===- ModuleLevels.h - A finished module's graphs and tokens ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What it takes to run the levels of a module beside the module itself: the
// graphs, made again from the scheme in its manifest, and token ids.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VERIFY_MODULELEVELS_H
#define QUERN_COMPILER_VERIFY_MODULELEVELS_H

#include "compiler/Compiler.h"
#include "compiler/Levels.h"
#include "lib/Interpret/Tensor.h"
#include "runtime/include/quern/introspect.h"

namespace quern {

/// Token ids of a batch, or its images.
struct TokenBatch {
  std::vector<int32_t> ids, types, offsets;
  /// Of images: what quern_run_images takes, and the same as rows of patches.
  std::vector<float> pixels, patches;

  /// ids, types, positions, offsets, or patches, positions, offsets: what a
  /// graph takes.
  std::vector<Tensor> inputs() const;
  size_t tokens() const { return offsets.back(); }
};

/// The folder that a module says it was made from, or "".
std::string modelFolderOf(const quern_module *module);

/// L1 and L2 of a module. `folder` is that of the model; empty takes the one in
/// the manifest. Fails where the module has no scheme or the folder is not
/// there; `name` is the module's in messages.
Expected<RebuiltLevels> levelsOf(LevelContext &context,
                                 const quern_module *module,
                                 const std::string &name,
                                 const std::string &folder);

/// Tokens of texts (rows of images) in batches of up to `batchTokens`, or of
/// one text where that alone has more. Texts are cut to `maxLength` tokens, 0
/// for the model's own.
Expected<std::vector<TokenBatch>>
tokenBatches(const quern_module *module, const std::string &name,
             const std::vector<CalibrationText> &texts, uint32_t batchTokens,
             uint32_t maxLength = 0);

} // namespace quern

#endif // QUERN_COMPILER_VERIFY_MODULELEVELS_H
