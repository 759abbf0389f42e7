//===- BenchInput.h - What a timed run of a module reads --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Made-up tokens or images of one size, or the texts of a file in batches as
// they come.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHINPUT_H
#define QUERN_TOOLS_QUERN_BENCHINPUT_H

#include "tools/quern/Handles.h"

#include <string>
#include <vector>

namespace quern::cli {

/// A file of texts, as `quern tokenize` reads it.
struct BenchTexts {
  std::string path;
  /// Lines hold two texts with a tab between.
  bool pairs = false;
  /// Encodings are cut to this many tokens; 0: to as many as the model takes.
  uint32_t maxLength = 0;
  /// Texts to take at most.
  uint32_t samples = 1 << 20;
};

/// The sequences that go through a session in one call.
struct BenchBatch {
  std::vector<int32_t> ids, types;
  /// Where each sequence begins in `ids`, and the end of the last.
  std::vector<int32_t> offsets = {0};

  uint32_t sequences() const { return uint32_t(offsets.size() - 1); }
};

/// All that one run reads.
struct BenchInput {
  std::vector<BenchBatch> batches;
  /// Of a vision model, instead: images one after the other.
  std::vector<float> pixels;
  uint32_t images = 0;

  uint64_t sequences() const;
  /// Tokens of all sequences; none of them is padding.
  uint64_t tokens() const;
  /// Tokens of a sequence in the mean, rounded; `ofImages` for images.
  uint32_t length(uint32_t ofImages) const;
};

/// One batch of `batch` sequences of `length` tokens, the same on every
/// machine; of a vision model `batch` images.
BenchInput madeUpInput(const quern_module *module, uint32_t batch,
                       uint32_t length);

/// The texts of a file, encoded by the module at `path`, in batches of at most
/// `batch` in the order of the file. An error for a module without tokenizer,
/// a file that cannot be read, and one without a text.
Expected<BenchInput> textInput(const std::string &path,
                               const quern_module *module,
                               const BenchTexts &texts, uint32_t batch);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHINPUT_H
