//===- Cpu.cpp - what this machine can run --------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Cpu.h. The text and JSON of `quern doctor` are in Doctor.cpp.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Cpu.h"

#include "quern/introspect.h"

#include <atomic>
#include <cpuid.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace quern;

namespace {

constexpr const char *featureNames[FeatureCount] = {
    "sse4_1",      "avx",      "avx2",     "fma",      "f16c",
    "bmi1",        "bmi2",     "lzcnt",    "movbe",    "avx512f",
    "avx512bw",    "avx512cd", "avx512dq", "avx512vl", "avx512_vnni",
    "avx512_vbmi", "avx_vnni", "amx_tile", "amx_int8", "os_ymm",
    "os_zmm",      "os_tiles"};

constexpr uint64_t bit(uint32_t feature) { return uint64_t(1) << feature; }

constexpr uint64_t sse41Needs = bit(FeatureSse41);
constexpr uint64_t avx2Needs =
    bit(FeatureAvx) | bit(FeatureAvx2) | bit(FeatureFma) | bit(FeatureF16c) |
    bit(FeatureBmi1) | bit(FeatureBmi2) | bit(FeatureLzcnt) |
    bit(FeatureMovbe) | bit(FeatureOsYmm);
constexpr uint64_t avxvnniNeeds = avx2Needs | bit(FeatureAvxVnni);
constexpr uint64_t avx512bwNeeds = avx2Needs | bit(FeatureAvx512f) |
                                   bit(FeatureAvx512bw) | bit(FeatureAvx512cd) |
                                   bit(FeatureAvx512dq) | bit(FeatureAvx512vl) |
                                   bit(FeatureOsZmm);
constexpr uint64_t avx512vnniNeeds =
    avx512bwNeeds | bit(FeatureAvx512vnni) | bit(FeatureAvx512vbmi);
constexpr uint64_t amxNeeds = avx512vnniNeeds | bit(FeatureAmxTile) |
                              bit(FeatureAmxInt8) | bit(FeatureOsTiles);

struct TierRow {
  uint32_t id;
  const char *name;
  uint64_t needs;
};

constexpr TierRow tiers[] = {
    {QUERN_TIER_SCALAR, "scalar", 0},
    {QUERN_TIER_SSE2, "sse2", 0},
    {QUERN_TIER_SSE41, "sse41", sse41Needs},
    {QUERN_TIER_AVX2, "avx2", avx2Needs},
    {QUERN_TIER_AVXVNNI, "avxvnni", avxvnniNeeds},
    {QUERN_TIER_AVX512BW, "avx512bw", avx512bwNeeds},
    {QUERN_TIER_AVX512VNNI, "avx512vnni", avx512vnniNeeds},
    {QUERN_TIER_AMX, "amx", amxNeeds},
    {QUERN_TIER_CUDA, "cuda", 0},
};

const TierRow *findTier(uint32_t id) {
  for (const TierRow &tier : tiers)
    if (tier.id == id)
      return &tier;
  return nullptr;
}

/// See claimFeatures().
std::atomic<uint64_t> claimed{0};

/// Register state that the operating system saves (XCR0).
uint64_t readXcr0() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

/// Why a feature is missing, in words. One static sentence for each.
constexpr const char *missingTexts[FeatureCount] = {
    "the CPU has no sse4_1",
    "the CPU has no avx",
    "the CPU has no avx2",
    "the CPU has no fma",
    "the CPU has no f16c",
    "the CPU has no bmi1",
    "the CPU has no bmi2",
    "the CPU has no lzcnt",
    "the CPU has no movbe",
    "the CPU has no avx512f",
    "the CPU has no avx512bw",
    "the CPU has no avx512cd",
    "the CPU has no avx512dq",
    "the CPU has no avx512vl",
    "the CPU has no avx512_vnni",
    "the CPU has no avx512_vbmi",
    "the CPU has no avx_vnni",
    "the CPU has no amx_tile",
    "the CPU has no amx_int8",
    "the operating system does not save 256-bit registers",
    "the operating system does not save 512-bit registers",
    "the operating system does not save tile registers"};

} // namespace

void quern::claimFeatures(uint64_t features) { claimed.store(features); }

CpuInfo quern::queryCpu() {
  CpuInfo info = {};
  info.features = claimed.load();
  uint32_t a, b, c, d;
  if (!__get_cpuid(0, &a, &b, &c, &d))
    return info;
  memcpy(info.vendor, &b, 4);
  memcpy(info.vendor + 4, &d, 4);
  memcpy(info.vendor + 8, &c, 4);
  auto set = [&](uint32_t feature, bool on) {
    info.features |= on ? bit(feature) : 0;
  };

  uint64_t xcr0 = 0;
  if (__get_cpuid(1, &a, &b, &c, &d)) {
    set(FeatureSse41, c >> 19 & 1);
    set(FeatureFma, c >> 12 & 1);
    set(FeatureMovbe, c >> 22 & 1);
    set(FeatureAvx, c >> 28 & 1);
    set(FeatureF16c, c >> 29 & 1);
    // xgetbv faults unless OSXSAVE is on.
    if (c >> 27 & 1)
      xcr0 = readXcr0();
  }
  // XMM and YMM; opmask and both halves of ZMM; tile configuration and data.
  set(FeatureOsYmm, (xcr0 & 0x6) == 0x6);
  set(FeatureOsZmm, (xcr0 & 0xe6) == 0xe6);
  set(FeatureOsTiles, (xcr0 & 0x60000) == 0x60000);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    set(FeatureBmi1, b >> 3 & 1);
    set(FeatureAvx2, b >> 5 & 1);
    set(FeatureBmi2, b >> 8 & 1);
    set(FeatureAvx512f, b >> 16 & 1);
    set(FeatureAvx512dq, b >> 17 & 1);
    set(FeatureAvx512cd, b >> 28 & 1);
    set(FeatureAvx512bw, b >> 30 & 1);
    set(FeatureAvx512vl, b >> 31 & 1);
    set(FeatureAvx512vbmi, c >> 1 & 1);
    set(FeatureAvx512vnni, c >> 11 & 1);
    set(FeatureAmxTile, d >> 24 & 1);
    set(FeatureAmxInt8, d >> 25 & 1);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
      set(FeatureAvxVnni, a >> 4 & 1);
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d))
    set(FeatureLzcnt, c >> 5 & 1);
  for (uint32_t leaf = 0; leaf < 3; ++leaf) {
    uint32_t words[4];
    if (!__get_cpuid(0x80000002 + leaf, &words[0], &words[1], &words[2],
                     &words[3]))
      break;
    memcpy(info.brand + 16 * leaf, words, 16);
  }
  return info;
}

const char *quern::featureName(uint32_t feature) {
  return feature < FeatureCount ? featureNames[feature] : "unknown";
}

const char *quern::whyTierUnusable(uint32_t tier, uint64_t features) {
  const TierRow *row = findTier(tier);
  if (!row)
    return "this runtime does not know the tier";
  if (tier == QUERN_TIER_CUDA)
    return "this runtime has no GPU driver interface";
  uint64_t missing = row->needs & ~features;
  if (!missing)
    return nullptr;
  return missingTexts[__builtin_ctzll(missing)];
}

int64_t quern::environmentTierCap() {
  const char *cap = getenv("QUERN_MAX_ISA");
  if (!cap || !*cap)
    return INT64_MAX;
  return quern_tier_from_name(cap);
}

bool quern::requestTiles() {
  if (claimed.load() & bit(FeatureAmxTile))
    return true;
  constexpr long archRequestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, archRequestPermission, tileData) == 0;
}

uint32_t quern::usableCpuCount() {
  cpu_set_t set;
  CPU_ZERO(&set);
  long count = sched_getaffinity(0, sizeof(set), &set) == 0
                   ? CPU_COUNT(&set)
                   : sysconf(_SC_NPROCESSORS_ONLN);
  // A container may see many CPUs and be allowed the time of two; spinning
  // threads beyond the quota only get everyone throttled.
  if (FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re")) {
    long long quota, period;
    if (fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 &&
        period > 0) {
      long limit = long((quota + period - 1) / period);
      if (limit < count)
        count = limit;
    }
    fclose(file);
  }
  return count > 0 ? uint32_t(count) : 1;
}

int quern_tier_from_name(const char *name) {
  for (const TierRow &tier : tiers)
    if (strcmp(tier.name, name) == 0)
      return int(tier.id);
  return -1;
}

const char *quern_tier_name(uint32_t tier) {
  const TierRow *row = findTier(tier);
  return row ? row->name : "unknown";
}

int quern_tier_usable(uint32_t tier, const char **reason) {
  const char *why = whyTierUnusable(tier, queryCpu().features);
  int64_t cap = environmentTierCap();
  if (!why && cap < 0)
    why = "QUERN_MAX_ISA names no tier";
  if (!why && int64_t(tier) > cap)
    why = "QUERN_MAX_ISA forbids it";
  if (!why && tier == QUERN_TIER_AMX && !requestTiles())
    why = "the operating system refuses permission for tile registers";
  if (reason)
    *reason = why;
  return why == nullptr;
}
