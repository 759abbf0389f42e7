//===- LearnedFixture.h - Checkpoints with learned quantizers -*- C++ -*---===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_COMPILER_CALIBRATE_LEARNEDFIXTURE_H
#define QUERN_TEST_COMPILER_CALIBRATE_LEARNEDFIXTURE_H

#include "compiler/Calibrate/LearnedTable.h"
#include "compiler/Import/Safetensors.h"
#include "test/compiler/Recipe/RecipeFixture.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cstring>
#include <set>

namespace quern::test {

inline std::vector<Site> sitesOf(const TinyModelOptions &options) {
  return bertSites(int(options.layers));
}

inline std::vector<float> floatsOf(const SafetensorsOutput &tensor) {
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

inline const std::string layer0 = "bert.encoder.layer.0.";
inline const std::string actDelta = ".activation_quantizer.quantizer._delta";
inline const std::string actZero =
    ".activation_quantizer.quantizer._zero_float";

} // namespace quern::test

#endif // QUERN_TEST_COMPILER_CALIBRATE_LEARNEDFIXTURE_H
