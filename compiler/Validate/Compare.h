//===- Compare.h - Two runs against a class ---------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_COMPARE_H
#define QUERN_COMPILER_VALIDATE_COMPARE_H

#include "compiler/Validate/GraphRun.h"
#include "compiler/Validate/PassClass.h"

namespace quern {

/// The first element that is not as its class wants it.
struct Mismatch {
  /// A site, or "" for the function's result.
  std::string site;
  /// Where the site is after the pass; null for the result.
  mlir::Operation *op = nullptr;
  /// In words: the element and both values.
  std::string text;
};

/// What was compared.
struct CompareCounts {
  uint64_t values = 0;
  /// Of these one code apart.
  uint64_t oneCode = 0;
};

/// Compares `after` with `before` site by site and then the results. Codes may
/// be one apart (OneCode) only where the real value that `reference` rounded
/// to its code lies in the middle between the two, give or take a hundredth of
/// a step and what f32 rounds.
std::optional<Mismatch> compareRuns(const GraphRun &before,
                                    const GraphRun &after,
                                    const GraphRun &reference,
                                    PassClass passClass, CompareCounts &counts);

/// Largest relative difference of real numbers, as a part of the largest
/// magnitude of the tensor.
inline constexpr double relativeTolerance = 1e-6;

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_COMPARE_H
