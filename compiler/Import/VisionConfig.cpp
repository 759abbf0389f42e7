//===- VisionConfig.cpp - config.json of ViT and DeiT ---------------------===//
//
// Keys of vision encoders to ModelInfo; see ConfigParts.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/ConfigParts.h"

using namespace quern;

bool quern::isVision(std::string_view modelType) {
  return modelType == "vit" || modelType == "deit";
}

static Error readImage(const JsonObject &config, ImageInfo &image) {
  if (Error error = readSize(config, "image_size", 1 << 14, image.size))
    return error;
  if (Error error = readSize(config, "patch_size", 1 << 10, image.patch))
    return error;
  if (Error error = readSize(config, "num_channels", 64, image.channels))
    return error;
  if (image.size % image.patch != 0)
    return config.expected("image_size", "a multiple of patch_size, " +
                                             std::to_string(image.patch));
  if (image.patches() > 1 << 16)
    return config.expected("image_size", "at most 65536 patches");
  return Error::success();
}

static Error readVisionHead(const JsonObject &config, bool distilled,
                            ModelInfo &info) {
  const char *supported = distilled ? "DeiTForImageClassification or DeiTModel"
                                    : "ViTForImageClassification or ViTModel";
  std::string family = distilled ? "DeiT" : "ViT";
  auto name = readArchitecture(config, supported);
  if (!name)
    return name.takeError();
  if (*name == family + "Model") {
    info.head = HeadKind::Embedding;
    return Error::success();
  }
  if (*name != family + "ForImageClassification")
    return Error::make(config.path(), ": architectures: found \"",
                       printable(*name), "\", expected ", supported);
  info.head = HeadKind::Classification;
  return readLabels(config, info);
}

Error quern::readVision(const JsonObject &config, ModelInfo &info) {
  auto type = config.getString("model_type", "");
  if (!type)
    return type.takeError();
  info.family = *type;
  if (Error error = readSizes(config, info))
    return error;
  if (Error error = readNumerics(config, info))
    return error;
  ImageInfo image;
  if (Error error = readImage(config, image))
    return error;
  bool distilled = *type == "deit";
  image.specialTokens = distilled ? 2 : 1;
  info.image = image;
  info.positions = info.maxLength = image.specialTokens + image.patches();
  auto bias = config.getBool("qkv_bias", true);
  if (!bias)
    return bias.takeError();
  info.qkvBias = *bias;
  return readVisionHead(config, distilled, info);
}
