//===- Decisions.h - What is to be decided of a kernel ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The candidates that `quern tune` times, one decision after another.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_DECISIONS_H
#define QUERN_COMPILER_TUNE_DECISIONS_H

#include "compiler/Emit/ObjectCode.h"
#include "compiler/Tune/TunedKernel.h"

#include <optional>
#include <string>
#include <vector>

namespace quern {

/// Tile registers from the first row on.
constexpr int64_t kTilesAlways = 1;

/// A candidate of a decision, and what it is called.
struct Candidate {
  std::string name;
  GemmTuning tuning;
};

/// A decision: its candidates, the default first, where they are timed, and at
/// which rows.
struct Decision {
  std::string name;
  Tier tier = Tier::Sse2;
  std::vector<Candidate> candidates;
  std::vector<int64_t> rows;
};

/// The candidates of each decision for a kernel on a tier, given what was
/// decided before; `number` counts from 0. Nothing after the last one.
/// Decisions with one candidate need no timing.
std::optional<Decision> nextDecision(int number, Tier tier,
                                     const TunedKernel &kernel,
                                     const GemmTuning &before,
                                     const std::vector<int64_t> &rows);

} // namespace quern

#endif // QUERN_COMPILER_TUNE_DECISIONS_H
