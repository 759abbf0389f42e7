//===- Summary.h - What a validation did ------------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_SUMMARY_H
#define QUERN_COMPILER_VALIDATE_SUMMARY_H

#include <cstdint>
#include <string>

namespace quern {

struct ValidationSummary {
  /// Runs of passes: interpreted before and after, without effect, intended to
  /// change the function, and on what the interpreter does not run.
  unsigned interpreted = 0, unchanged = 0, intended = 0, notInterpreted = 0;
  /// Rewrites proved in exact arithmetic: orders, sites, attentions.
  unsigned proved = 0;
  /// Values compared, and codes that were one apart at a tie.
  uint64_t values = 0, oneCode = 0;
  double seconds = 0;

  /// In words, for people.
  std::string line() const;
};

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_SUMMARY_H
