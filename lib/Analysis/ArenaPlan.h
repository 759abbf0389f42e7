//===- ArenaPlan.h - Offsets of activations in one arena --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Activations whose lifetimes do not overlap share memory. Sizes are bytes per
// unit (a token, or a sequence): every buffer grows linearly with the run-time
// count, so that one plan made at compile time serves every batch. The entry
// point is planArena().
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_ANALYSIS_ARENAPLAN_H
#define QUERN_LIB_ANALYSIS_ARENAPLAN_H

#include <cstdint>
#include <vector>

namespace quern {

/// A buffer that lives from the step that first writes it to the step that
/// last reads it, both included.
struct ArenaBuffer {
  int64_t bytesPerUnit = 0;
  int64_t firstStep = 0;
  int64_t lastStep = 0;
};

/// Where each buffer starts, in bytes per unit, and the size of the arena.
struct ArenaPlan {
  std::vector<int64_t> offsets;
  int64_t bytesPerUnit = 0;
};

/// Places \p buffers so that two that are alive in a common step never
/// overlap. Offsets are multiples of \p alignment. Greedy by size, the
/// smallest gap that fits: within a few per cent of the optimum on chains.
ArenaPlan planArena(const std::vector<ArenaBuffer> &buffers,
                    int64_t alignment = 64);

/// The least any plan can need: the largest sum of sizes alive in one step.
int64_t arenaLowerBound(const std::vector<ArenaBuffer> &buffers,
                        int64_t alignment = 64);

} // namespace quern

#endif // QUERN_LIB_ANALYSIS_ARENAPLAN_H
