//===- Adversary.h - Codes that rewrites stumble over -----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Given a run, other values for its sites: the least and the greatest codes,
// zero points, outliers of 50 times the value that saturate, sums in the middle
// between two codes, and random ones.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_ADVERSARY_H
#define QUERN_COMPILER_VALIDATE_ADVERSARY_H

#include "compiler/Validate/GraphRun.h"

namespace quern {

/// What all sites of a run are forced to.
enum class Adversary {
  /// What they hold.
  None,
  /// Each row of each site another one of: least, greatest, alternating, zero,
  /// outliers, ties, random.
  Mixed,
  /// Outliers everywhere, so that sums and products grow together.
  Outliers,
  /// The least codes at every other site, the greatest at the others.
  Extremes
};

/// "calibration data", "mixed adversarial codes", ...
const char *describe(Adversary adversary);

/// Values to force. Sums of two sites, as `function` has them, meet ties where
/// their rows want them.
ForcedSites forcedSites(mlir::func::FuncOp function, const GraphRun &run,
                        Adversary adversary);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_ADVERSARY_H
