//===- Auto.h - Measures recipes and chooses one ----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// One captured pass of the float model says what every site loses in 8 bits
// per tensor, in 8 bits with a range per channel, and in 16 bits. Candidates
// widen the most sensitive sites; each is compiled and run on the calibration
// texts, and the cheapest one within the drop is chosen. Biases of all
// candidates are corrected in one run of the float model.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_AUTO_AUTO_H
#define QUERN_COMPILER_AUTO_AUTO_H

#include "compiler/Auto/Drop.h"
#include "compiler/Compiler.h"

#include <limits>

namespace quern {

struct AutoRequest {
  std::string modelFolder;
  std::vector<CalibrationText> texts;
  /// `SITE=SCHEME`, on top of every candidate.
  std::vector<std::string> overrides;
  /// Points that may be lost; see Drop.h.
  double maxDrop = 0.5;
  unsigned threads = 0;
  std::function<void(const std::string &stage, double fraction)> progress;
};

/// What a site loses by itself, as signal to noise in dB.
struct SiteSensitivity {
  std::string name, key;
  double tensor8 = 0, wide16 = 0;
  /// NaN where ranges per channel are not allowed.
  double channel8 = std::numeric_limits<double>::quiet_NaN();
};

/// A recipe that was tried.
struct AutoCandidate {
  std::string name;
  /// As JSON.
  std::string recipe;
  Drop drop;
  /// Predicted time relative to the cheapest candidate, and bytes of the
  /// module.
  double cost = 0;
  uint64_t bytes = 0;
  /// Measured, all texts through, for information.
  double millisecondsPerText = 0;
  /// No other candidate is at least as good in cost, bytes and drop.
  bool onFront = false;
  /// Why it could not be compiled, or "".
  std::string failure;
};

struct AutoResult {
  /// In order of sensitivity: the lowest signal to noise first.
  std::vector<SiteSensitivity> sites;
  std::vector<AutoCandidate> candidates;
  size_t chosen = 0;
  double maxDrop = 0;
  size_t texts = 0;
};

/// Measures and chooses. The float model is a candidate, so that there is
/// always one within the drop.
Expected<AutoResult> chooseRecipe(const AutoRequest &request);

/// Makes costs relative to the cheapest candidate, marks the front and chooses:
/// the cheapest candidate whose drop is at most `maxDrop` and, of those as
/// cheap to within a hundredth, the one that loses least. The last candidate is
/// taken if there is no other.
void chooseCandidate(AutoResult &result);

/// The candidates and the most sensitive sites as tables.
std::string autoTable(const AutoResult &result);

} // namespace quern

#endif // QUERN_COMPILER_AUTO_AUTO_H
