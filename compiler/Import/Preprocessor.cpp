//===- Preprocessor.cpp - preprocessor_config.json ------------------------===//
//
// Bytes of image files to the numbers that a vision model was trained on; see
// ConfigParts.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/ConfigParts.h"
#include "lib/Support/File.h"

#include <cmath>

using namespace quern;

/// A number for each channel, or one for all of them.
static Error readChannels(const JsonObject &config, const char *key,
                          int64_t channels, float absent,
                          std::vector<float> &values) {
  const nlohmann::json *found = config.find(key);
  if (!found) {
    values.assign(channels, absent);
    return Error::success();
  }
  std::string expected =
      "a number for each of " + std::to_string(channels) + " channels";
  if (found->is_number())
    values.assign(channels, found->get<float>());
  else if (!found->is_array() || int64_t(found->size()) != channels)
    return config.expected(key, expected);
  else
    for (const nlohmann::json &value : *found) {
      if (!value.is_number())
        return config.expected(key, expected);
      values.push_back(value.get<float>());
    }
  for (float value : values)
    if (!std::isfinite(value))
      return config.expected(key, "finite numbers");
  return Error::success();
}

Error quern::readPreprocessor(const std::string &folder, ImageInfo &image) {
  std::string path = joinPath(folder, "preprocessor_config.json");
  if (!fileExists(path))
    return Error::success();
  auto root = readJsonObject(path);
  if (!root)
    return root.takeError();
  JsonObject config(*root, path);
  // Defaults are those of Hugging Face's image processors of ViT and DeiT.
  auto rescales = config.getBool("do_rescale", true);
  auto normalizes = config.getBool("do_normalize", true);
  auto factor = config.getNumber("rescale_factor", 1.0 / 255);
  if (!rescales || !normalizes)
    return rescales ? normalizes.takeError() : rescales.takeError();
  if (!factor)
    return factor.takeError();
  if (!(*factor > 0) || !std::isfinite(*factor))
    return config.expected("rescale_factor", "a number above 0");
  image.rescale = *rescales ? *factor : 1;
  if (!*normalizes) {
    image.mean.assign(image.channels, 0);
    image.deviation.assign(image.channels, 1);
    return Error::success();
  }
  if (Error error =
          readChannels(config, "image_mean", image.channels, 0.5f, image.mean))
    return error;
  if (Error error = readChannels(config, "image_std", image.channels, 0.5f,
                                 image.deviation))
    return error;
  for (float deviation : image.deviation)
    if (!(deviation > 0))
      return config.expected("image_std", "numbers above 0");
  return Error::success();
}
