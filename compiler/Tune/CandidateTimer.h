//===- CandidateTimer.h - Forms of one kernel, timed in turns ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Weights are streamed as in a model: every call reads the next of many copies,
// so that what prefetches do can be seen. Candidates take turns, because clocks
// and neighbours change within seconds, and each is compared with the first of
// its own round. Outputs are checked bit for bit.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_CANDIDATETIMER_H
#define QUERN_COMPILER_TUNE_CANDIDATETIMER_H

#include "compiler/Emit/ObjectCode.h"
#include "compiler/Tune/TunedKernel.h"

namespace quern {

/// A kernel in some forms, on one tier and at some numbers of rows.
struct TimedForms {
  TunedKernel kernel;
  std::vector<GemmTuning> candidates;
  Tier tier = Tier::Sse2;
  std::vector<int64_t> rows;
  /// Rounds in which each candidate is timed once, and seconds of a timing.
  int rounds = 11;
  double seconds = 1e-3;
};

/// How a candidate did at one number of rows.
struct FormTime {
  /// Median of how many times faster it was than the first candidate in the
  /// same round.
  double gain = 1;
  /// Median share of the peak of the tier's instruction beside it.
  double share = 0;
};

/// Times by number of rows, then by candidate. Fails where kernels cannot be
/// made, or where outputs differ from the reference.
Expected<std::vector<std::vector<FormTime>>> timeForms(const TimedForms &forms);

} // namespace quern

#endif // QUERN_COMPILER_TUNE_CANDIDATETIMER_H
