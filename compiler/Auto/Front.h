//===- Front.h - What auto measured, as a file and a plot -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The candidates of the recipe `auto` outlive the compilation in a JSON file,
// so that the page of `inspect --accuracy` can show them:
//
//   { "max_drop": 0.5, "texts": 256, "candidates": [
//       {"name": "8 bits per tensor", "drop": 3.2, "predicted_time": 1,
//        "bytes": 1000, "front": true, "chosen": false},
//       {"name": "...", "failure": "why it could not be compiled"} ] }
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_AUTO_FRONT_H
#define QUERN_COMPILER_AUTO_FRONT_H

#include "compiler/Auto/Auto.h"

namespace quern {

/// A candidate that could be compiled.
struct FrontPoint {
  std::string name;
  /// Points of accuracy, time relative to the cheapest candidate, bytes.
  double drop = 0, time = 1;
  uint64_t bytes = 0;
  /// No other candidate is at least as good in all three.
  bool isOnFront = false;
  bool isChosen = false;
};

/// What a file of a front holds.
struct Front {
  double maxDrop = 0;
  uint64_t texts = 0;
  std::vector<FrontPoint> points;
};

/// The file for a result.
std::string frontJson(const AutoResult &result);

/// Reads a file that may come from anywhere; errors name file and key.
Expected<Front> readFront(const std::string &path);

/// Two plots in one inline SVG, drop over time and drop over size, and a table
/// of the numbers: a part of an HTML page that refers to nothing.
std::string frontHtml(const Front &front);

} // namespace quern

#endif // QUERN_COMPILER_AUTO_FRONT_H
