//===- ModuleLevels.cpp - A finished module's graphs and tokens -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/ModuleLevels.h"

#include "compiler/Verify/LearnedCodes.h"
#include "runtime/include/quern/image.h"
#include "runtime/src/manifest_generated.h"

#include <filesystem>

namespace quern {

static const manifest::Manifest &manifestOf(const quern_module *module) {
  uint64_t bytes = 0;
  return *manifest::GetManifest(quern_module_manifest(module, &bytes));
}

static Tensor vectorOf(const std::vector<int32_t> &values) {
  return Tensor::of(values, {int64_t(values.size())});
}

std::vector<Tensor> TokenBatch::inputs() const {
  std::vector<int32_t> positions;
  for (size_t s = 0; s + 1 < offsets.size(); ++s)
    for (int32_t i = offsets[s]; i < offsets[s + 1]; ++i)
      positions.push_back(i - offsets[s]);
  if (pixels.empty())
    return {vectorOf(ids), vectorOf(types), vectorOf(positions),
            vectorOf(offsets)};
  int64_t rows = positions.size(), width = patches.size() / rows;
  return {Tensor::of(patches, {rows, width}), vectorOf(positions),
          vectorOf(offsets)};
}

std::string modelFolderOf(const quern_module *module) {
  if (const auto *properties = manifestOf(module).provenance())
    for (const manifest::Property *property : *properties)
      if (property->key()->str() == "model" && property->value())
        return property->value()->str();
  return "";
}

Expected<RebuiltLevels> levelsOf(LevelContext &context,
                                 const quern_module *module,
                                 const std::string &name,
                                 const std::string &given) {
  const auto *scheme = manifestOf(module).scheme();
  if (!scheme || scheme->size() == 0)
    return Error::make(name, ": found no quantization scheme in the manifest, "
                             "expected a module that quern compile wrote");
  std::string folder = given.empty() ? modelFolderOf(module) : given;
  if (!std::filesystem::is_directory(folder))
    return Error::make(name, ": the model folder ", folder,
                       " that it was made from is not there, expected "
                       "--model FOLDER");
  return rebuildLevels(
      context, folder,
      std::string(reinterpret_cast<const char *>(scheme->data()),
                  scheme->size()),
      [&](mlir::ModuleOp simulation, mlir::ModuleOp integer) {
        return takeCodesOf(module, name, simulation, integer);
      });
}

/// Appends an image to a batch.
static void addImage(const manifest::Image &image,
                     const std::vector<float> &pixels, TokenBatch &batch) {
  batch.pixels.insert(batch.pixels.end(), pixels.begin(), pixels.end());
  uint32_t across = image.size() / image.patch();
  size_t width = size_t(image.channels()) * image.patch() * image.patch();
  std::vector<float> &patches = batch.patches;
  size_t begin = patches.size();
  patches.resize(begin + (image.special() + across * across) * width);
  quern_image_rows(pixels.data(), image.channels(), image.size(), image.patch(),
                   image.special(), width * sizeof(float),
                   reinterpret_cast<char *>(patches.data() + begin));
  batch.offsets.push_back(int32_t(patches.size() / width));
}

/// The images of a vision module in batches.
static Expected<std::vector<TokenBatch>>
imageBatches(const quern_module *module, const std::string &name,
             const std::vector<CalibrationText> &images, uint32_t batchTokens) {
  const manifest::Model &model = *manifestOf(module).model();
  const manifest::Image &image = *model.image();
  size_t numbers = size_t(image.channels()) * image.size() * image.size();
  std::vector<TokenBatch> batches;
  for (const CalibrationText &each : images) {
    size_t found = each.pixels ? each.pixels->size() : 0;
    if (found != numbers)
      return Error::make(name, ": found ",
                         each.pixels ? std::to_string(found) + " numbers"
                                     : std::string("a text"),
                         ", expected an image of ", numbers);
    if (batches.empty() ||
        batches.back().tokens() + model.max_length() > batchTokens) {
      batches.emplace_back();
      batches.back().offsets.push_back(0);
    }
    addImage(image, *each.pixels, batches.back());
  }
  if (batches.empty())
    return Error::make(name, ": found no image to run");
  return batches;
}

Expected<std::vector<TokenBatch>>
tokenBatches(const quern_module *module, const std::string &name,
             const std::vector<CalibrationText> &texts, uint32_t batchTokens,
             uint32_t maxLength) {
  if (manifestOf(module).model()->image())
    return imageBatches(module, name, texts, batchTokens);
  quern_error error = {};
  quern_session *made = nullptr;
  if (quern_session_create(module, 1, &made, &error))
    return Error(error.message);
  std::unique_ptr<quern_session, void (*)(quern_session *)> session(
      made, quern_session_destroy);
  quern_description about;
  quern_module_describe(module, &about);
  if (maxLength && quern_session_set_max_length(
                       made, std::min(maxLength, about.max_length), &error))
    return Error(error.message);
  std::vector<TokenBatch> batches;
  for (const CalibrationText &text : texts) {
    quern_text view = {text.text.data(), text.text.size(),
                       text.pair ? text.pair->data() : nullptr,
                       text.pair ? text.pair->size() : 0};
    quern_output tokens = {};
    if (quern_tokenize(made, &view, 1, 0, &tokens, &error))
      return Error(error.message);
    if (batches.empty() ||
        batches.back().ids.size() + tokens.tokens > batchTokens) {
      batches.emplace_back();
      batches.back().offsets.push_back(0);
    }
    TokenBatch &batch = batches.back();
    batch.ids.insert(batch.ids.end(), tokens.ids, tokens.ids + tokens.tokens);
    batch.types.insert(batch.types.end(), tokens.type_ids,
                       tokens.type_ids + tokens.tokens);
    batch.offsets.push_back(int32_t(batch.ids.size()));
  }
  if (batches.empty())
    return Error::make(name, ": found no text to run");
  return batches;
}

} // namespace quern
