//===- Drop.h - What a recipe costs in accuracy, without labels -*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Calibration texts have no labels, so the drop is what the float model itself
// expects it to be, in points of a hundred:
//   classification   the float model's probability of its own class, less that
//                    of the class that the candidate chooses; a changed class
//                    counts little where the float model was in doubt
//   regression       100 * (1 - concordance), which sees a bias as well
//   embeddings       100 * (1 - mean cosine)
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_AUTO_DROP_H
#define QUERN_COMPILER_AUTO_DROP_H

#include "runtime/include/quern/quern.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// The outputs of a program on all texts.
class Outputs {
public:
  /// Appends those of a batch.
  void add(const quern_output &output);

  std::vector<float> values;
  uint32_t columns = 0;
  /// First row of each sequence, and the end, where rows are tokens; otherwise
  /// every row is one.
  std::vector<uint64_t> offsets = {0};
};

/// What a candidate loses against the float model.
struct Drop {
  /// Estimated drop in points.
  double points = 0;
  /// Share of decisions that are the float model's, and their number; 0 where
  /// nothing is decided.
  double agreement = 1;
  uint64_t decisions = 0;
  /// Mean absolute difference of the outputs.
  double difference = 0;
};

/// Compares outputs of the same texts. `problem` is quern_description's.
Drop measureDrop(const Outputs &real, const Outputs &ours, quern_head head,
                 const std::string &problem);

} // namespace quern

#endif // QUERN_COMPILER_AUTO_DROP_H
