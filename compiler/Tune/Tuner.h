//===- Tuner.h - The best kernels of this machine ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// One decision after another, each on the winners of those before: a product of
// all candidates would take hours, and they hardly depend on each other. The
// default stays where nothing beats it by more than noise, twice.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_TUNER_H
#define QUERN_COMPILER_TUNE_TUNER_H

#include "compiler/Tune/CandidateTimer.h"
#include "compiler/Tune/Decisions.h"
#include "compiler/Tune/TuningTable.h"

#include <functional>

namespace quern {

/// A product to tune.
struct TuneShape {
  int64_t k = 0, n = 0, bits = 8;
  GemmActivation activation = GemmActivation::None;
  TunedInput input = TunedInput::Codes;
};

/// Those of an encoder of these widths: projections, and both of the FFN, for
/// all inputs and bits.
std::vector<TuneShape> encoderShapes(int64_t hidden, int64_t intermediate,
                                     GemmActivation activation,
                                     const std::vector<TunedInput> &inputs,
                                     const std::vector<int64_t> &bits);

struct TuneOptions {
  Tier tier = Tier::Sse2;
  std::vector<TuneShape> shapes;
  std::vector<int64_t> rows = {8, 16, 32, 128, 384};
  int rounds = 11;
  /// What a candidate must win over the default, on the mean of all rows.
  double margin = 0.02;
  /// Told of each decision, at each number of rows.
  std::function<void(const std::string &)> line;
};

/// The candidate that wins: the one with the largest mean gain, if that is more
/// than `margin` and it loses no more than twice that at any number of rows;
/// otherwise the first.
size_t chooseForm(const std::vector<std::vector<FormTime>> &times,
                  double margin);

/// Tunes all shapes on this machine. The name is left to the caller.
Expected<TunedMachine> tuneMachine(const TuneOptions &options);

} // namespace quern

#endif // QUERN_COMPILER_TUNE_TUNER_H
