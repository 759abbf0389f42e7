//===- LearnedStepsTest.cpp - Learned steps of a checkpoint ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Rows E18 and E19: steps, offsets, steps of heads and bits against what the
// checkpoint was written with, and every mismatch.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/Calibrate/LearnedFixture.h"

#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::test;

namespace {

/// Learned steps of some bits.
class E18 : public LearnedTest {
protected:
  E18() { writeSteps(8); }

  void writeSteps(int64_t bits) {
    options.learnedSteps = bits;
    write();
  }
  void set(const std::string &name, float value) {
    std::memcpy(tensor(name).data.data(), &value, 4);
  }
  void setAll(const std::string &name, float value) {
    std::vector<std::byte> &data = tensor(name).data;
    for (size_t at = 0; at < data.size(); at += 4)
      std::memcpy(data.data() + at, &value, 4);
  }
};

/// The values of the bits in use; what code 0 stands for is alpha times the
/// lowest code, plus beta, in double.
TEST_F(E18, StepsAndOffsets) {
  for (int64_t bits : {8, 4, 2}) {
    writeSteps(bits);
    std::string count = std::to_string(bits);
    Expected<RangeTable> table =
        read("w8a8", {"activation.bits=" + count, "weight.bits=" + count});
    ASSERT_TRUE(table) << table.message();
    for (auto [site, module] : {std::pair<std::string, std::string>{
                                    "L0.x", "attention.output.LayerNorm"},
                                {"L0.g", "attention.output.dense"},
                                {"L0.f", "intermediate.0"}}) {
      std::string name = layer0 + module + ".activation_quantizer.";
      const SiteRange &range = table->sites[site];
      ASSERT_EQ(range.learned.size(), 1u);
      float alpha = floatsOf(tensor(name + "alpha"))[size_t(bits - 2)];
      float beta = floatsOf(tensor(name + "beta"))[size_t(bits - 2)];
      EXPECT_EQ(range.learned[0].scale, alpha);
      EXPECT_EQ(range.learned[0].zero, 0);
      int lowest = site == "L0.f" ? 0 : -(1 << (bits - 1));
      ASSERT_TRUE(range.offset) << site;
      EXPECT_EQ(*range.offset, double(beta) + double(alpha) * lowest);
    }
    // Without an offset signed codes have their middle as zero.
    EXPECT_FALSE(table->sites["L0.q"].offset);
    EXPECT_EQ(table->sites["L0.q"].learned[0].zero, 1 << (bits - 1));
    EXPECT_EQ(table->sites["L0.p"].learned[0].zero, 0);
    EXPECT_EQ(
        table->weights["encoder.layer.0.output.dense.weight"].scales[0],
        floatsOf(tensor(layer0 + "output.dense.alpha"))[size_t(bits - 2)]);
  }
}

/// Learned steps of heads, and of many bits.
class E19 : public E18 {
protected:
  E19() {
    options.learnedMix = true;
    writeSteps(6);
  }
  Expected<RangeTable> readAll(std::vector<std::string> more = {}) {
    more.insert(more.begin(),
                {"activation.bits=learned", "weight.bits=learned"});
    return read("w8a8", more);
  }
};

TEST_F(E19, StepsOfHeads) {
  Expected<RangeTable> table = readAll();
  ASSERT_TRUE(table) << table.message();
  for (auto [module, ofColumns] :
       {std::pair<std::string, bool>{"attention.self.query", true},
        {"attention.self.key", true},
        {"attention.self.value", true},
        {"attention.output.dense", false}}) {
    const WeightScales &weight =
        table->weights.at("encoder.layer.0." + module + ".weight");
    EXPECT_EQ(weight.ofColumns, ofColumns) << module;
    std::vector<float> alpha = floatsOf(tensor(layer0 + module + ".alpha")),
                       bits = floatsOf(tensor(layer0 + module + ".nbits"));
    ASSERT_EQ(weight.scales.size(), size_t(options.heads));
    ASSERT_EQ(weight.bits.size(), size_t(options.heads));
    EXPECT_NE(weight.bits[0], weight.bits[1]);
    for (size_t head = 0; head < weight.scales.size(); ++head) {
      EXPECT_EQ(weight.bits[head], int64_t(bits[head]));
      // Seven rows, those of 2 to 8 bits, of a column for each head.
      EXPECT_EQ(
          weight.scales[head],
          alpha[size_t(weight.bits[head] - 2) * weight.scales.size() + head]);
    }
  }
}

/// Activations by heads: codes of the widest head, of which the others use the
/// middle, or, unsigned, the lowest ones.
TEST_F(E19, ActivationsOfHeads) {
  options.learnedHeads = true;
  writeSteps(6);
  Expected<RangeTable> table = readAll();
  ASSERT_TRUE(table) << table.message();
  const std::string self = layer0 + "attention.self.";
  for (auto [site, module] : {std::pair<std::string, std::string>{"q", "query"},
                              {"k", "key"},
                              {"v", "value"},
                              {"p", "attn_probs_act_quantizer"},
                              {"c", "context_act_quantizer"}}) {
    SCOPED_TRACE(site);
    const SiteRange &range = table->sites.at("L0." + site);
    const std::string name = self + module + ".activation_quantizer.";
    std::vector<float> alpha = floatsOf(tensor(name + "alpha")),
                       bits = floatsOf(tensor(name + "nbits"));
    size_t heads = size_t(options.heads);
    // One step for each number of bits, or one for each head as well.
    ASSERT_EQ(alpha.size(), site == "p" ? 7 : 7 * heads);
    ASSERT_EQ(range.headBits.size(), heads);
    ASSERT_EQ(range.learned.size(), heads);
    EXPECT_NE(range.headBits[0], range.headBits[1]);
    EXPECT_EQ(range.scheme.bits,
              *std::max_element(range.headBits.begin(), range.headBits.end()));
    EXPECT_FALSE(range.offset);
    for (size_t head = 0; head < heads; ++head) {
      EXPECT_EQ(range.headBits[head], unsigned(bits[head]));
      size_t row = range.headBits[head] - 2;
      EXPECT_EQ(range.learned[head].scale,
                alpha[site == "p" ? row : row * heads + head]);
      EXPECT_EQ(range.learned[head].zero,
                site == "p" ? 0 : 1 << (range.scheme.bits - 1));
    }
  }
}

TEST_F(E19, ActivationsOfHeadsThatDoNotFit) {
  options.learnedHeads = true;
  writeSteps(6);
  std::vector<SafetensorsOutput> good = tensors;
  const std::string context =
      layer0 + "attention.self.context_act_quantizer.activation_quantizer.";
  auto byHeads = [&](const std::string &name) {
    for (const char *part : {"alpha", "nbits"}) {
      const SafetensorsOutput &from = tensor(context + part);
      SafetensorsOutput &to = tensor(name + part);
      to.shape = from.shape;
      to.data = from.data;
    }
  };
  // Scores share a table of exponentials.
  byHeads(layer0 +
          "attention.self.attn_scores_act_quantizer.activation_quantizer.");
  expectRefusal(readAll(), "found 2 steps of heads at site L0.s, the recipe "
                           "expects one: those are for q, k, v, p and c");
  tensors = good;
  setAll(context + "beta", 0.25f);
  expectRefusal(readAll(), "found 0.250000 beside steps of heads, expected 0: "
                           "the published code does not read it");
  tensors = good;
  tensor(layer0 + "attention.self.attn_probs_act_quantizer."
                  "activation_quantizer.signed")
      .data[0] = std::byte(1);
  expectRefusal(readAll(), "found signed codes of heads at site L0.p, the "
                           "recipe expects unsigned ones");
}

/// Activations by blocks of channels, each with bits of its own: codes of the
/// widest block, of which the others use the middle, or, unsigned, the lowest.
TEST_F(E19, ActivationsOfBlocks) {
  options.learnedGroups = 4;
  writeSteps(6);
  Expected<RangeTable> table = readAll();
  ASSERT_TRUE(table) << table.message();
  for (auto [site, module] :
       {std::pair<std::string, std::string>{"g", "attention.output.dense"},
        {"u", "attention.output.res_act_quantizer"},
        {"x", "attention.output.LayerNorm"},
        {"f", "intermediate.0"},
        {"h", "output.dense"},
        {"y", "output.res_act_quantizer"},
        {"z", "output.LayerNorm"}}) {
    SCOPED_TRACE(site);
    const SiteRange &range = table->sites.at("L0." + site);
    const std::string name = layer0 + module + ".activation_quantizer.";
    std::vector<float> alpha = floatsOf(tensor(name + "alpha")),
                       bits = floatsOf(tensor(name + "nbits"));
    ASSERT_EQ(range.learned.size(), 4u);
    ASSERT_EQ(range.headBits.size(), 4u);
    EXPECT_NE(range.headBits[0], range.headBits[1]);
    EXPECT_EQ(range.scheme.bits,
              *std::max_element(range.headBits.begin(), range.headBits.end()));
    for (size_t block = 0; block < 4; ++block) {
      EXPECT_EQ(range.headBits[block], unsigned(bits[block]));
      EXPECT_EQ(range.learned[block].scale,
                alpha[(range.headBits[block] - 2) * 4 + block]);
      EXPECT_EQ(range.learned[block].zero,
                site == "f" ? 0 : 1 << (range.scheme.bits - 1));
    }
    EXPECT_NE(range.learned[0].scale, range.learned[1].scale);
  }
  // Other sites keep what they had.
  EXPECT_TRUE(table->sites.at("L0.s").headBits.empty());
}

TEST_F(E19, BitsOfTheCheckpoint) {
  Expected<RangeTable> table = readAll();
  ASSERT_TRUE(table) << table.message();
  std::set<unsigned> bits;
  for (const auto &[name, range] : table->sites) {
    bits.insert(range.scheme.bits);
    EXPECT_EQ(range.learned[0].qmax, (1 << range.scheme.bits) - 1) << name;
  }
  EXPECT_EQ(bits, (std::set<unsigned>{2, 3, 4, 5, 6, 7, 8}));
  // What is said of a site goes before.
  expectRefusal(readAll({"L0.q=7"}), "found 6 bits at site L0.q, the recipe "
                                     "expects 7");
  expectRefusal(readAll({"L0.f=fp32"}),
                "found a quantizer at site L0.f, the recipe expects none");
  expectRefusal(read("w8a8", {"activation.bits=learned"}),
                "bits, the recipe expects 8");
}

TEST_F(E19, WhatDoesNotFit) {
  std::vector<SafetensorsOutput> good = tensors;
  const std::string query = layer0 + "attention.self.query.";
  tensor(query + "alpha").shape = {options.heads, 7};
  expectRefusal(readAll(), query + "alpha: found shape 2x7, expected 7x2 or 7, "
                                   "steps for 2 to 8 bits of each head or of "
                                   "all");
  tensors = good;
  set(query + "nbits", -1);
  expectRefusal(readAll(), query + "nbits: found 2 values, one of them "
                                   "-1.000000, expected one, or one for each "
                                   "head, of 2 to 8 bits");
  tensors = good;
  for (const char *part : {"alpha", "nbits"}) {
    const SafetensorsOutput &from = tensor(query + part);
    SafetensorsOutput &to = tensor(layer0 + "output.LayerNorm." + part);
    to.shape = from.shape;
    to.data = from.data;
  }
  expectRefusal(readAll(), "found 2 scales of heads, expected one scale: those "
                           "are for linear layers");
  // Ranges have no bits.
  options.learnedSteps = 0;
  write();
  expectRefusal(readAll(), "site E.t: found no bits beside its quantizer, the "
                           "recipe expects learned bits; --set E.t=8");
  expectRefusal(readAll({"activation.bits=8"}),
                "found no bits of its own, the recipe expects those of learned "
                "steps");
}

TEST_F(E18, TheFloorOfThePublishedCode) {
  set(layer0 + "output.dense.alpha", -3);
  tensor(layer0 + "output.dense.alpha").shape = {1};
  tensor(layer0 + "output.dense.alpha").data.resize(4);
  Expected<RangeTable> table = read("w8a8");
  ASSERT_TRUE(table) << table.message();
  EXPECT_EQ(table->weights["encoder.layer.0.output.dense.weight"].scales[0],
            1e-4f);
}

TEST_F(E18, WhatDoesNotFit) {
  const std::string q = layer0 + "attention.self.query.activation_quantizer.";
  expectRefusal(read("w8a8", {"L0.q=7"}),
                "activation_quantizer.alpha: found 8 bits at site L0.q, the "
                "recipe expects 7");
  expectRefusal(read("w8a8", {"weight.bits=4"}),
                ".alpha: found 8 bits, the recipe expects 4");
  // As the published code has it, bits beyond the ends are those of the ends.
  set(q + "nbits", 8.7f);
  EXPECT_TRUE(read("w8a8"));
  set(q + "nbits", -1);
  expectRefusal(read("w8a8"),
                q + "nbits: found 1 values, one of them -1.000000, "
                    "expected one, or one for each head, of 2 to 8 bits");
  set(q + "nbits", 8);
  std::vector<SafetensorsOutput> all = tensors;
  SafetensorsOutput beta =
      tensor(layer0 + "intermediate.0.activation_quantizer.beta");
  beta.name = q + "beta";
  tensors.push_back(beta);
  expectRefusal(read("w8a8"),
                "found a real offset at site L0.q, the recipe expects none: it "
                "is for emb, c, g, x, f, h, z and P");
  tensors = all;
  beta.name = layer0 + "output.dense.beta";
  tensors.push_back(beta);
  expectRefusal(read("w8a8"), "output.dense.beta: found an offset of a weight");
  tensors = all;
  tensor(q + "signed").name = "unsigned";
  expectRefusal(read("w8a8"), "found no tensor .signed beside it");
  tensors = all;
  tensor(q + "nbits").name = "bits";
  expectRefusal(read("w8a8"), "found no tensor " + q + "nbits beside it");
  tensors = all;
  tensor(q + "alpha").shape = {6};
  tensor(q + "alpha").data.resize(24);
  expectRefusal(read("w8a8"),
                q + "alpha: found 6 values, expected one, or seven for 2 to 8 "
                    "bits");
}

} // namespace
