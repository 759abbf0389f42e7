//===- LearnedTest.cpp - Learned quantizers of a checkpoint ---------------===//
//
// Rows E10 and E17 to E19: scales, zero points and groups against what the
// checkpoint was written with, and every mismatch of checkpoint, model and
// recipe.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/LearnedTable.h"
#include "compiler/Import/Safetensors.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

using namespace quern;
using namespace quern::test;

namespace {

std::vector<Site> sitesOf(const TinyModelOptions &options) {
  std::vector<Site> sites = {
      {"E.t", "e", -1}, {"E.e", "e", -1}, {"E.z", "emb", -1}};
  for (int layer = 0; layer < options.layers; ++layer)
    for (const char *key :
         {"q", "k", "v", "s", "p", "c", "g", "u", "x", "f", "h", "y", "z"})
      sites.push_back({"L" + std::to_string(layer) + "." + key, key, layer});
  sites.push_back({"P", "P", -1});
  sites.push_back({"C", "C", -1});
  return sites;
}

std::vector<float> floatsOf(const SafetensorsOutput &tensor) {
  std::vector<float> values(tensor.data.size() / 4);
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

class LearnedTest : public testing::Test {
protected:
  LearnedTest() {
    options.learned = true;
    write();
  }

  /// Writes the checkpoint of `options`.
  void write() {
    std::vector<SafetensorsOutput> weights = tinyWeights(options);
    tensors = learnedQuantizers(options, weights);
  }

  SafetensorsOutput &tensor(const std::string &name) {
    auto found = std::find_if(
        tensors.begin(), tensors.end(),
        [&](const SafetensorsOutput &t) { return t.name == name; });
    EXPECT_NE(found, tensors.end()) << name;
    return *found;
  }

  Expected<RangeTable> read(const std::string &recipeName,
                            const std::vector<std::string> &settings = {}) {
    std::string path = folder.file("model.safetensors");
    if (Error error = writeSafetensors(path, tensors))
      return error;
    Expected<LearnedQuantizers> learned = readLearnedQuantizers(path);
    if (!learned)
      return learned.takeError();
    Expected<Recipe> recipe = Recipe::load(recipeName);
    for (const std::string &setting : settings)
      if (Error error = recipe->set(setting))
        return error;
    if (Error error = adoptBits(*learned, sitesOf(options), *recipe))
      return error;
    return learnedRanges(*learned, sitesOf(options), *recipe);
  }

  void expectRefusal(const Expected<RangeTable> &table,
                     const std::string &message) {
    ASSERT_FALSE(table);
    EXPECT_NE(table.message().find(message), std::string::npos)
        << table.message();
  }

  TinyModelOptions options;
  std::vector<SafetensorsOutput> tensors;
  TempFolder folder;
};

const std::string layer0 = "bert.encoder.layer.0.";
const std::string actDelta = ".activation_quantizer.quantizer._delta";
const std::string actZero = ".activation_quantizer.quantizer._zero_float";

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
  // Scores share a table of exponentials; GELU is behind f.
  for (auto [site, module] :
       {std::pair<std::string, std::string>{
            "s", "attention.self.attn_scores_act_quantizer"},
        {"f", "intermediate.0"}}) {
    byHeads(layer0 + module + ".activation_quantizer.");
    if (site == "f")
      setAll(layer0 + module + ".activation_quantizer.beta", 0);
    expectRefusal(readAll(), "found 2 steps of heads at site L0." + site +
                                 ", the recipe expects one: those are for q, "
                                 "k, v, p and c");
    tensors = good;
  }
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
