//===- AutoRecipe.cpp - quern compile --recipe auto -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/AutoRecipe.h"

#include "compiler/Auto/Auto.h"
#include "compiler/Auto/Front.h"
#include "compiler/RequestInputs.h"
#include "lib/Support/File.h"

#include <filesystem>

namespace quern::cli {

static Expected<std::string> measuredJson(const RecipeOptions &options,
                                          const CompileRequest &request,
                                          Progress &progress) {
  if (!request.quantDict.empty() || !request.rangesIn.empty())
    return Error("recipe auto: found --quant-dict or --ranges, expected "
                 "neither: auto finds sites and ranges itself");
  AutoRequest search;
  search.modelFolder = request.modelFolder;
  search.texts = request.calibration;
  search.overrides = request.overrides;
  search.maxDrop = options.maxDrop;
  search.threads = request.threads;
  search.progress = request.progress;
  Expected<AutoResult> found = chooseRecipe(search);
  if (!found)
    return found.takeError();
  if (progress.isOn()) {
    std::string table = autoTable(*found);
    table.pop_back();
    progress.line(table);
  }
  if (!options.saveFront.empty())
    if (Error error = writeFile(options.saveFront, frontJson(*found)))
      return error;
  return found->candidates[found->chosen].recipe;
}

Error settleRecipe(const RecipeOptions &options, CompileRequest &request,
                   Progress &progress) {
  bool measures = request.recipe == "auto";
  if (!measures && !options.saveFront.empty())
    return Error::make("--save-front: found recipe ", request.recipe,
                       ", expected auto");
  if (!measures && options.saveRecipe.empty())
    return Error::success();
  std::string path = options.saveRecipe;
  if (path.empty())
    path = std::filesystem::path(request.output)
               .replace_extension(".recipe.json")
               .string();
  // Paths that cannot be written are found before the work.
  request.alsoWritten = {path};
  if (!options.saveFront.empty())
    request.alsoWritten.push_back(options.saveFront);
  if (Error error = checkOutputs(request))
    return error;
  // From here on the recipe is an input.
  request.alsoWritten.clear();
  std::string json;
  if (measures) {
    Expected<std::string> found = measuredJson(options, request, progress);
    if (!found)
      return found.takeError();
    json = std::move(*found);
  } else {
    Expected<Recipe> recipe = recipeOf(request);
    if (!recipe)
      return recipe.takeError();
    json = recipe->toJson();
  }
  if (Error error = writeFile(path, json))
    return error;
  if (!measures)
    return Error::success();
  if (progress.isOn())
    progress.line("recipe written to " + path);
  request.recipe = path.find('/') == std::string::npos ? "./" + path : path;
  request.overrides.clear();
  return Error::success();
}

} // namespace quern::cli
