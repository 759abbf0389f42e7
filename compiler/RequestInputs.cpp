//===- RequestInputs.cpp - What a request asks to quantize by -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/RequestInputs.h"

#include "compiler/Calibrate/DefaultText.h"

using namespace quern;

Expected<Recipe> quern::recipeOf(const CompileRequest &request) {
  Expected<Recipe> recipe = Recipe::load(request.recipe);
  if (!recipe)
    return recipe;
  if (!request.quantDict.empty())
    if (Error error = recipe->setQuantDict(request.quantDict))
      return error;
  for (const std::string &assignment : request.overrides)
    if (Error error = recipe->set(assignment))
      return error;
  return recipe;
}

std::vector<CalibrationText> quern::textsOf(const CompileRequest &request,
                                            const ModelInfo &model) {
  if (!request.calibration.empty() || model.image)
    return request.calibration;
  std::vector<CalibrationText> texts;
  for (auto [text, pair] : defaultCalibrationText()) {
    texts.push_back({std::string(text), std::nullopt});
    if (!pair.empty() && model.typeVocab > 1)
      texts.back().pair = std::string(pair);
    else if (!pair.empty())
      texts.push_back({std::string(pair), std::nullopt});
  }
  return texts;
}
