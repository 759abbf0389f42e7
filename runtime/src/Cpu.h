//===- Cpu.h - what this machine can run ----------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Features come from cpuid and xgetbv, never from the CPU's name: virtual
// machines report wrong names. A tier is usable when the CPU has its features,
// the operating system saves its registers, and QUERN_MAX_ISA allows it.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CPU_H
#define QUERN_RUNTIME_SRC_CPU_H

#include <cstddef>
#include <cstdint>

namespace quern {

/// Features that tiers ask for. The order is that of featureNames in Cpu.cpp.
enum Feature : uint32_t {
  FeatureSse41,
  FeatureAvx,
  FeatureAvx2,
  FeatureFma,
  FeatureF16c,
  FeatureBmi1,
  FeatureBmi2,
  FeatureLzcnt,
  FeatureMovbe,
  FeatureAvx512f,
  FeatureAvx512bw,
  FeatureAvx512cd,
  FeatureAvx512dq,
  FeatureAvx512vl,
  FeatureAvx512vnni,
  FeatureAvx512vbmi,
  FeatureAvxVnni,
  FeatureAmxTile,
  FeatureAmxInt8,
  FeatureOsYmm,
  FeatureOsZmm,
  FeatureOsTiles,
  FeatureCount
};

struct CpuInfo {
  /// Bit i: feature i.
  uint64_t features;
  /// For people only.
  char vendor[13];
  char brand[49];
};

/// Asks the CPU. Cheap.
CpuInfo queryCpu();

/// For tests that execute instructions which the CPU lacks: from now on
/// queryCpu() reports these features, too, and requestTiles() grants tiles if
/// they are among them. 0 takes an earlier claim back.
void claimFeatures(uint64_t features);

/// Name of a feature as in /proc/cpuinfo.
const char *featureName(uint32_t feature);

/// The cap that QUERN_MAX_ISA sets, a large number where it is unset, or -1
/// where it names no tier.
int64_t environmentTierCap();

/// Why `tier` cannot run with these features, or null. AMX's system
/// permission is not part of it: see requestTiles().
const char *whyTierUnusable(uint32_t tier, uint64_t features);

/// Asks the system for the permission to use tile registers (AMX). The
/// process keeps it.
bool requestTiles();

/// CPUs that this process may use: the affinity mask, cut to the control
/// group's quota where there is one.
uint32_t usableCpuCount();

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CPU_H
