//===- Output.h - JSON lines and NumPy files of results ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_OUTPUT_H
#define QUERN_TOOLS_QUERN_OUTPUT_H

#include "tools/quern/Input.h"

#include <memory>

namespace quern::cli {

/// Writes the outputs of batches, in order.
class OutputWriter {
public:
  virtual ~OutputWriter() = default;

  /// `format` is "json" or "npy"; an empty `path` is standard output.
  static Expected<std::unique_ptr<OutputWriter>>
  create(const std::string &format, const std::string &path,
         const quern_module *module, const quern_description &description);

  /// Writes one batch.
  virtual Error write(const std::vector<Record> &records,
                      const quern_output &output) = 0;
  /// Ends the output; nothing was written under the path before.
  virtual Error finish() = 0;
};

/// One result as JSON: {"id", "label", "score", "logits"}, {"id", "score",
/// "logits"} for a regression, {"id", "embedding"}, or {"id", "logits",
/// "tokens"} with {"token", "start", "end", "label", "score"} per token (and
/// {"answer", "start", "end", "score"} for question answering).
nlohmann::json resultJson(const Record &record, const quern_output &output,
                          uint32_t sequence, const quern_module *module,
                          const quern_description &description);

/// Index of the largest of `count` logits and its softmax probability.
std::pair<uint32_t, double> bestLabel(const float *logits, uint32_t count);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_OUTPUT_H
