//===- AutoRecipe.h - quern compile --recipe auto ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Chooses a recipe by measuring before the compilation, and writes the recipe
// that was used to a file.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_AUTORECIPE_H
#define QUERN_TOOLS_QUERN_AUTORECIPE_H

#include "compiler/Compiler.h"
#include "tools/quern/Progress.h"

namespace quern::cli {

/// What `compile` adds for recipes.
struct RecipeOptions {
  /// Points of accuracy that `auto` may lose.
  double maxDrop = 0.5;
  /// Where the recipe goes; empty is beside the output, and only for `auto`.
  std::string saveRecipe;
  /// Where the candidates of `auto` go as JSON, or "".
  std::string saveFront;
};

/// If the request says `auto`, chooses a recipe, prints the front, and puts
/// the file of the recipe into the request. Saves a recipe where asked to.
Error settleRecipe(const RecipeOptions &options, CompileRequest &request,
                   Progress &progress);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_AUTORECIPE_H
