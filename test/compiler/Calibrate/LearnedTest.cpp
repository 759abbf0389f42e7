//===- LearnedTest.cpp - Learned quantizers of a checkpoint ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Rows E10 and E17: scales, zero points and groups against what the checkpoint
// was written with, and every mismatch of checkpoint, model and recipe. Steps
// of LSQ are in LearnedStepsTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Calibrate/LearnedFixture.h"

#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::test;

namespace {

using E17 = LearnedTest;
using E10 = LearnedTest;

TEST_F(E17, ZeroPointsAreRoundedAndClamped) {
  // Between integers, ties, below and above the codes, far away.
  const std::pair<float, int32_t> cases[] = {
      {127.6f, 128}, {127.5f, 128}, {126.5f, 126}, {0.5f, 0},   {1.5f, 2},
      {-3.f, 0},     {254.5f, 254}, {255.5f, 255}, {1e9f, 255}, {-1e9f, 0}};
  std::string module = layer0 + "output.LayerNorm";
  for (auto [real, code] : cases) {
    std::memcpy(tensor(module + actZero).data.data(), &real, 4);
    Expected<RangeTable> table = read("w8a8");
    ASSERT_TRUE(table) << table.message();
    const SiteRange &range = table->sites["L0.z"];
    ASSERT_EQ(range.learned.size(), 1u);
    EXPECT_EQ(range.learned[0].zero, code) << real;
    EXPECT_EQ(range.learned[0].scale, floatsOf(tensor(module + actDelta))[0]);
  }
  // Sixteen bits leave room for more.
  float far = 300.5f;
  std::memcpy(tensor(module + actZero).data.data(), &far, 4);
  Expected<RangeTable> table = read("w8a8", {"z=16"});
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->sites["L0.z"].learned[0].zero, 300);
  // The floor of the published code.
  float tiny = 1e-12f;
  std::memcpy(tensor(module + actDelta).data.data(), &tiny, 4);
  EXPECT_EQ(read("w8a8")->sites["L0.z"].learned[0].scale, 1e-8f);
}

TEST_F(E17, EverySiteAndWeightHasItsOwn) {
  Expected<RangeTable> table = read("w8a8");
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->sites.size(), sitesOf(options).size());
  auto scaleOf = [&](const std::string &module) {
    return floatsOf(tensor(module + actDelta))[0];
  };
  EXPECT_EQ(table->sites["L1.f"].learned[0].scale,
            scaleOf("bert.encoder.layer.1.intermediate.0"));
  EXPECT_EQ(table->sites["P"].learned[0].scale,
            scaleOf("bert.pooler.dense_act.0"));
  EXPECT_EQ(table->sites["L0.s"].learned[0].scale,
            scaleOf(layer0 + "attention.self.attn_scores_act_quantizer"));
  // 3 tables, 6 matrices and 2 gains a layer, a gain, pooler, classifier.
  EXPECT_EQ(table->weights.size(), 3u + 8 * 2 + 3);
  EXPECT_TRUE(
      table->weights["encoder.layer.0.intermediate.dense.weight"].isSigned);
  // Gains around one have no negative codes.
  EXPECT_FALSE(table->weights["embeddings.LayerNorm.weight"].isSigned);
  EXPECT_EQ(table->weights["pooler.dense.weight"].scales,
            floatsOf(tensor("bert.pooler.dense_act.0.weight_quantizer."
                            "quantizer._delta")));
}

TEST_F(E17, SymmetricSites) {
  options.learnedSymmetric = true;
  write();
  Expected<RangeTable> table = read("w8a8", {"activation.symmetric=true"});
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->sites["L0.x"].learned[0].zero, 128);
  EXPECT_EQ(table->sites["L0.p"].learned[0].zero, 0);
  expectRefusal(read("w8a8"), "found a symmetric quantizer at site E.t, the "
                              "recipe expects \"symmetric\": false");
}

TEST_F(E10, GroupsAreThoseOfTheVectors) {
  for (int64_t groups : {1, 2, 3, 4, 6, 8, 12, 32}) {
    options.learnedGroups = groups;
    write();
    std::string setting = "=" + std::to_string(groups);
    Expected<RangeTable> table =
        read("w8a8", {"x.groups" + setting, "h.groups" + setting,
                      "y.groups" + setting});
    ASSERT_TRUE(table) << table.message();
    for (auto [key, module] : {std::pair<const char *, const char *>{
                                   "x", "attention.output.LayerNorm"},
                               {"h", "output.dense"},
                               {"y", "output.res_act_quantizer"}}) {
      const SiteRange &range = table->sites[std::string("L0.") + key];
      ASSERT_EQ(range.learned.size(), size_t(groups));
      ASSERT_EQ(range.groupOf.size(), size_t(options.hidden));
      // There and back: the vectors themselves.
      std::vector<float> delta = floatsOf(tensor(layer0 + module + actDelta));
      std::vector<float> zero = floatsOf(tensor(layer0 + module + actZero));
      for (int64_t j = 0; j < options.hidden; ++j) {
        const UniformParams &params = range.learned[range.groupOf[j]];
        EXPECT_EQ(params.scale, delta[j]);
        EXPECT_EQ(params.zero, std::nearbyint(zero[j]));
        EXPECT_EQ(range.groupOf[j] == range.groupOf[0], (7 * j) % groups == 0);
      }
    }
  }
}

TEST_F(E10, OtherGroupsThanTheRecipe) {
  options.learnedGroups = 3;
  write();
  auto inGroups = [&](const std::string &groups) {
    return read("w8a8", {"x.groups=" + groups, "h.groups=" + groups,
                         "y.groups=" + groups});
  };
  EXPECT_TRUE(inGroups("3"));
  EXPECT_TRUE(read("w8a8", {"x.granularity=per-embedding",
                            "h.granularity=per-embedding",
                            "y.granularity=per-embedding"}));
  expectRefusal(inGroups("6"),
                "found 3 groups of 32 channels at site L0.x, the "
                "recipe expects 6 groups");
  expectRefusal(read("w8a8"), "found 3 groups of 32 channels at site L0.x, the "
                              "recipe expects one scale");
  options.learnedGroups = 0;
  write();
  expectRefusal(inGroups("3"), "found one scale at site L0.x, the recipe "
                               "expects groups of channels");
}

TEST_F(LearnedTest, WhatTheRecipeDoesNotExpect) {
  expectRefusal(read("w8a8", {"h=fp32"}),
                "output.dense.activation_quantizer.quantizer._delta: found a "
                "quantizer at site L0.h, the recipe expects none");
  expectRefusal(read("w8a8", {"x.granularity=channel"}),
                "found learned ranges at site L0.x");
  expectRefusal(read("w8a8-channel"),
                "found 1 scales, the recipe expects granularity channel");
  expectRefusal(read("w32a8"), "found a quantizer, the recipe leaves this "
                               "weight in f32");
  expectRefusal(read("w8a8", {"weight.rounding=adaround"}),
                "found a learned scale, the recipe expects rounding adaround");
  options.layers = 1;
  expectRefusal(read("w8a8"), "found a quantizer of site L1.c, which the model "
                              "lacks");
  options.layers = 3;
  expectRefusal(read("w8a8"), "site L2.q: found no quantizer, the recipe "
                              "expects 8 bits; --set L2.q=fp32");
}

TEST_F(LearnedTest, TensorsThatAreNoQuantizers) {
  std::vector<SafetensorsOutput> good = tensors;
  auto refuse = [&](const std::string &name, const std::string &message,
                    auto change) {
    tensors = good;
    change(tensor(name));
    expectRefusal(read("w8a8"), message);
  };
  std::string x = layer0 + "attention.output.LayerNorm";
  float bad = NAN;
  refuse(x + actDelta, "found NaN or infinity",
         [&](SafetensorsOutput &t) { std::memcpy(t.data.data(), &bad, 4); });
  refuse(x + actDelta, "found dtype I32",
         [](SafetensorsOutput &t) { t.dtype = "I32"; });
  refuse(x + actDelta, "found shape 2x2, expected one value or a vector",
         [](SafetensorsOutput &t) {
           t.shape = {2, 2};
           t.data.resize(16);
         });
  refuse(x + actZero, "found 3 values, expected 1, as many as in _delta",
         [](SafetensorsOutput &t) {
           t.shape = {3};
           t.data.resize(12);
         });
  refuse(x + actZero, "found neither _zero_float nor _signed beside it",
         [](SafetensorsOutput &t) { t.name += "s"; });
  tensors = good;
  tensor(x + actDelta).name = "bert.other" + actDelta;
  tensor(x + actZero).name = "bert.other" + actZero;
  expectRefusal(read("w8a8"), "tensor bert.other" + actDelta +
                                  ": found a quantizer of no site and no "
                                  "weight");
  tensors.clear();
  tensors.push_back(good.front());
  tensors.front().name = "weight";
  expectRefusal(read("w8a8"), "found no learned quantizers");
}

} // namespace
