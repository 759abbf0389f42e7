//===- Explain.h - quern inspect --explain ----------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Which kernel every step of a module has, with which tile, layout and
// instructions, what part of the operations it does, and why it is not a better
// one. Read from the manifest; nothing of the module is executed.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_EXPLAIN_H
#define QUERN_TOOLS_QUERN_EXPLAIN_H

#include "lib/Support/Status.h"

#include "runtime/src/manifest_generated.h"

#include <nlohmann/json.hpp>

#include <string>

namespace quern::cli {

struct ExplainOptions {
  /// The tier to explain; empty for the one that would run here.
  std::string tier;
  /// The run whose operations are counted. Length 0 is 128, or as many as the
  /// model takes.
  uint32_t batch = 1, length = 0;
  /// What `quern bench --json` wrote, or "".
  std::string measured;
};

/// The explanation as JSON: tier, run and steps.
Expected<nlohmann::json> explain(const manifest::Manifest &manifest,
                                 const std::string &name,
                                 ExplainOptions options);

/// For people: kernels with their steps, the largest share first.
void printExplanation(const nlohmann::json &explanation);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_EXPLAIN_H
