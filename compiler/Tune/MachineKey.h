//===- MachineKey.h - What a machine's tuning depends on --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The key of an entry in a tuning table: which of the tiers' features a CPU
// has, and how large its caches are. No names of CPUs: hypervisors hide them,
// and CPUs of one name differ in cache.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_MACHINEKEY_H
#define QUERN_COMPILER_TUNE_MACHINEKEY_H

#include "compiler/Emit/ObjectCode.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

struct MachineKey {
  /// Names of the tiers that the machine can run, without the plain one.
  std::vector<std::string> features;
  /// Bytes of the caches that one core sees; 0 where the system does not say.
  int64_t l1d = 0, l2 = 0, l3 = 0;

  /// As "amx, 48 KB L1d, 2048 KB L2": the last feature stands for all.
  std::string describe() const;

  bool operator==(const MachineKey &other) const {
    return features == other.features && l1d == other.l1d && l2 == other.l2 &&
           l3 == other.l3;
  }
};

/// The key of this machine, or of one that is as this one and has no tiers
/// beyond `last`.
MachineKey hostKey(Tier last);

/// How far apart two machines of one class are: 0 for equal ones. Nothing if
/// they are of different classes: other features, another first-level cache, or
/// a second-level cache of more than twice the size. The last level counts
/// little: a virtual machine sees one that it shares.
std::optional<double> distance(const MachineKey &a, const MachineKey &b);

} // namespace quern

#endif // QUERN_COMPILER_TUNE_MACHINEKEY_H
