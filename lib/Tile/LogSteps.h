//===- LogSteps.h - Logarithmic codes by the sum of their row ---*- C++ -*-===//
//
// The code of an exponential grows with the sum S of its row: it is the number
// of limits, each a function of S, that it does not exceed. There are 256
// exponentials and 2^bits limits, so the compiler finds every sum at which a
// code of one of them grows. A row then looks for its S among these sums once,
// and bytes do the rest:
//
//   code(d) = base[d] + (rank[d] < r)
//
// for a run of 2^shift sums, r being how many of the run are not above S, base
// the codes before the run, and rank the place in it where the code of d grows,
// which is one at most. This holds for any limits that grow with the sum, bit
// for bit, and needs no exponential of more than a byte.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_LOGSTEPS_H
#define QUERN_LIB_TILE_LOGSTEPS_H

#include "quern/integer_log_probs.h"

#include <cstdint>
#include <vector>

namespace quern {

struct LogSteps {
  /// Sums at which codes grow, rising; those of rows of `maxLength` scores at
  /// most, all above the least sum of a row.
  std::vector<int64_t> sums;
  /// Binary logarithm of the sums in a run.
  int shift = 0;
  /// 256 bases and 256 ranks of each run; one run more than is full.
  std::vector<uint8_t> tables;

  /// The code of a score d below the largest in a row of this sum.
  int32_t codeAt(int64_t sum, int d) const;
};

LogSteps makeLogSteps(const qi_log_probs &probs, int64_t maxLength);

/// As a kernel reads it, from byte `at` of its constants on: in 64 bytes the
/// first step of a search among the sums and its rounds, the shift, and where
/// tables begin (i64); the sums (i64), up to a power of two by ones that no row
/// has; the tables.
std::vector<int8_t> packLogSteps(const LogSteps &steps, int64_t at);

} // namespace quern

#endif // QUERN_LIB_TILE_LOGSTEPS_H
