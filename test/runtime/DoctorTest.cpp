//===- DoctorTest.cpp - tiers and the doctor's report ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.

#include "quern/introspect.h"
#include "runtime/src/Cpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

using namespace quern;
using testing::HasSubstr;

namespace {

std::string report(int json) {
  std::string text(quern_doctor(json, nullptr, 0) + 1, '\0');
  EXPECT_EQ(quern_doctor(json, text.data(), text.size()), text.size() - 1);
  text.pop_back();
  return text;
}

TEST(Doctor, TextNamesTiersAndReasons) {
  std::string text = report(0);
  EXPECT_THAT(text, HasSubstr("sse2        yes"));
  EXPECT_THAT(text, HasSubstr("avx512vnni"));
  setenv("QUERN_MAX_ISA", "sse2", 1);
  text = report(0);
  unsetenv("QUERN_MAX_ISA");
  EXPECT_THAT(text, HasSubstr("QUERN_MAX_ISA=sse2"));
  EXPECT_THAT(text, HasSubstr("sse2        yes, the best here"));
  for (const char *tier :
       {"sse41", "avx2", "avxvnni", "avx512bw", "avx512vnni"})
    EXPECT_THAT(text, HasSubstr("\n  " + std::string(tier) +
                                std::string(12 - strlen(tier), ' ') + "no: "));
}

TEST(Doctor, SaysWhereWeightsWillLie) {
  EXPECT_THAT(report(0), HasSubstr("\nweights     "));
  setenv("QUERN_WEIGHTS", "mapped", 1);
  EXPECT_THAT(report(0), HasSubstr("weights     stay in the mapped file: "
                                   "QUERN_WEIGHTS=mapped\n"));
  EXPECT_THAT(report(1), HasSubstr("\"weights\": \"mapped\""));
  setenv("QUERN_WEIGHTS", "huge", 1);
  EXPECT_THAT(report(0), HasSubstr("are read into huge pages"));
  EXPECT_THAT(report(1), HasSubstr("\"weights\": \"huge\""));
  setenv("QUERN_WEIGHTS", "big", 1);
  EXPECT_THAT(report(0), HasSubstr("QUERN_WEIGHTS: found \"big\""));
  EXPECT_THAT(report(1), HasSubstr("\"weights\": null"));
  unsetenv("QUERN_WEIGHTS");
}

TEST(Doctor, JsonIsOneObject) {
  setenv("QUERN_MAX_ISA", "a\"b", 1);
  std::string json = report(1);
  unsetenv("QUERN_MAX_ISA");
  EXPECT_EQ(json.front(), '{');
  EXPECT_THAT(json, HasSubstr("\"max_isa\": \"a\\\"b\""));
  EXPECT_THAT(json, HasSubstr("\"avx512_vnni\": "));
  EXPECT_THAT(json, HasSubstr("\"tiers\": [{\"name\": \"scalar\""));
  EXPECT_EQ(json.substr(json.size() - 3), "]}\n");
}

TEST(Doctor, CutsToTheBuffer) {
  char small[10];
  EXPECT_GT(quern_doctor(0, small, sizeof(small)), sizeof(small));
  EXPECT_EQ(std::string(small), "quern 0.1");
}

TEST(Cpu, ReasonsNameTheFirstMissingFeature) {
  EXPECT_EQ(whyTierUnusable(QUERN_TIER_SSE2, 0), nullptr);
  EXPECT_STREQ(whyTierUnusable(QUERN_TIER_SSE41, 0), "the CPU has no sse4_1");
  EXPECT_STREQ(whyTierUnusable(QUERN_TIER_AVX512VNNI, 0), "the CPU has no avx");
  uint64_t all = (uint64_t(1) << FeatureCount) - 1;
  EXPECT_EQ(whyTierUnusable(QUERN_TIER_AMX, all), nullptr);
  EXPECT_STREQ(whyTierUnusable(QUERN_TIER_AVX512VNNI,
                               all & ~(uint64_t(1) << FeatureAvx512vnni)),
               "the CPU has no avx512_vnni");
  EXPECT_STREQ(whyTierUnusable(QUERN_TIER_AVXVNNI,
                               all & ~(uint64_t(1) << FeatureAvxVnni)),
               "the CPU has no avx_vnni");
  EXPECT_STREQ(whyTierUnusable(QUERN_TIER_AVX512VNNI,
                               all & ~(uint64_t(1) << FeatureOsZmm)),
               "the operating system does not save 512-bit registers");
  EXPECT_NE(whyTierUnusable(12345, all), nullptr);
}

TEST(Cpu, ClaimsCountUntilTheyAreTakenBack) {
  uint64_t before = queryCpu().features;
  uint64_t tiles = uint64_t(1) << FeatureAmxTile | uint64_t(1)
                                                       << FeatureOsTiles;
  claimFeatures(tiles);
  EXPECT_EQ(queryCpu().features, before | tiles);
  EXPECT_TRUE(requestTiles());
  claimFeatures(0);
  EXPECT_EQ(queryCpu().features, before);
}

TEST(Cpu, NamesGoBothWays) {
  for (uint32_t tier : {QUERN_TIER_SSE2, QUERN_TIER_AVX2, QUERN_TIER_AVX512BW,
                        QUERN_TIER_AVX512VNNI, QUERN_TIER_AMX, QUERN_TIER_CUDA})
    EXPECT_EQ(quern_tier_from_name(quern_tier_name(tier)), int(tier));
  EXPECT_EQ(quern_tier_from_name("sse9"), -1);
  EXPECT_GE(usableCpuCount(), 1u);
}

} // namespace
