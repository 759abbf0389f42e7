//===- MachineKey.cpp - What a machine's tuning depends on ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/MachineKey.h"

#include "compiler/Emit/KernelJit.h"

#include <cmath>
#include <unistd.h>

namespace quern {

std::string MachineKey::describe() const {
  std::string text = features.empty() ? "no vectors" : features.back();
  auto add = [&](int64_t bytes, const char *level) {
    text += ", " + std::to_string(bytes >> 10) + " KB " + level;
  };
  add(l1d, "L1d");
  add(l2, "L2");
  return text;
}

static int64_t cacheBytes(int name) {
  long bytes = sysconf(name);
  return bytes > 0 ? bytes : 0;
}

MachineKey hostKey(Tier last) {
  MachineKey key;
  for (Tier tier : hostTiers())
    if (!isPlain(tier) && tier <= last)
      key.features.push_back(getTierName(tier).str());
  key.l1d = cacheBytes(_SC_LEVEL1_DCACHE_SIZE);
  key.l2 = cacheBytes(_SC_LEVEL2_CACHE_SIZE);
  key.l3 = cacheBytes(_SC_LEVEL3_CACHE_SIZE);
  return key;
}

/// How often one size is twice the other; 0 where one is not known.
static double doublings(int64_t a, int64_t b) {
  return a && b ? std::abs(std::log2(double(a) / double(b))) : 0;
}

std::optional<double> distance(const MachineKey &a, const MachineKey &b) {
  if (a.features != b.features || doublings(a.l1d, b.l1d) != 0 ||
      doublings(a.l2, b.l2) > 1)
    return std::nullopt;
  return doublings(a.l2, b.l2) + doublings(a.l3, b.l3) / 16;
}

} // namespace quern
