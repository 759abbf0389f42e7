//===- TinyVision.h - Small random ViT and DeiT folders for tests ---------===//
//
// As TinyModel.h, for vision encoders.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TINYVISION_H
#define QUERN_TEST_SUPPORT_TINYVISION_H

#include "compiler/Import/Safetensors.h"
#include "lib/Support/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern::test {

/// What to write. The default is small; deitTiny() has the widths and tokens of
/// DeiT-T (N = 197, d = 192, 3 heads) in two layers.
struct TinyVisionOptions {
  /// A DeiT with a token for distillation, else a ViT.
  bool distilled = false;
  /// A head of `labels` labels, else a bare model, which has a pooler if
  /// `pooler`.
  bool classifier = true;
  bool pooler = false;
  int64_t labels = 3;
  int64_t image = 24, patch = 8, channels = 3;
  int64_t hidden = 32, heads = 2, layers = 2, intermediate = 64;
  bool qkvBias = true;
  uint64_t seed = 1;

  static TinyVisionOptions deitTiny();
  /// A narrow model without a head and without biases of Q, K and V.
  static TinyVisionOptions bare(bool pooler);

  int64_t tokens() const {
    return (distilled ? 2 : 1) + (image / patch) * (image / patch);
  }
};

/// The weights in the order of the file.
std::vector<SafetensorsOutput> tinyVisionWeights(const TinyVisionOptions &);

/// Writes config.json and model.safetensors into `folder`, which is made when
/// it is not there.
Error writeTinyVision(const std::string &folder, const TinyVisionOptions &);

/// Pixels of an image, channel by channel and line by line:
/// ((a i + b i^2) mod 256) / 128 - 1 with a = 37, b = 11 + `image`, exact in
/// f32.
std::vector<float> tinyPixels(const TinyVisionOptions &, int64_t image);

/// The same image as the rows of patches that @forward reads (VisionGraph.h).
std::vector<float> tinyPatches(const TinyVisionOptions &, int64_t image);

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TINYVISION_H
