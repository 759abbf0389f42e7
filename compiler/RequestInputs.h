//===- RequestInputs.h - What a request asks to quantize by -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_REQUESTINPUTS_H
#define QUERN_COMPILER_REQUESTINPUTS_H

#include "compiler/Compiler.h"
#include "compiler/Import/ModelInfo.h"
#include "compiler/Recipe/Recipe.h"

#include <vector>

namespace quern {

/// The recipe of a request, with its quant-dict and its single keys.
Expected<Recipe> recipeOf(const CompileRequest &request);

/// What to calibrate on: the request's own, or built-in texts. A vision model
/// has no others; without a second type of token there are no pairs.
std::vector<CalibrationText> textsOf(const CompileRequest &request,
                                     const ModelInfo &model);

} // namespace quern

#endif // QUERN_COMPILER_REQUESTINPUTS_H
