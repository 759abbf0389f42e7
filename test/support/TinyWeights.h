//===- TinyWeights.h - Random weights of small models ---------------------===//
//
// Values come from a counter-based generator and sums of uniforms, without
// libm, so that they are the same everywhere.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TINYWEIGHTS_H
#define QUERN_TEST_SUPPORT_TINYWEIGHTS_H

#include "compiler/Import/Safetensors.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace quern::test {

/// Collects tensors with random values.
class TinyWeights {
public:
  /// `dtype`: F32, F16 or BF16.
  explicit TinyWeights(uint64_t seed, std::string dtype = "F32")
      : dtype(std::move(dtype)), state(seed * 0x9e3779b97f4a7c15u + 1) {}

  /// Adds a tensor of normal-like values around `mean`.
  void add(std::string name, std::vector<int64_t> shape, float deviation,
           float mean = 0) {
    size_t count = 1;
    for (int64_t dim : shape)
      count *= static_cast<size_t>(dim);
    SafetensorsOutput tensor{std::move(name), dtype, std::move(shape), {}};
    bool f32 = dtype == "F32";
    tensor.data.resize(count * (f32 ? 4 : 2));
    for (size_t i = 0; i < count; ++i) {
      float value = mean + deviation * normal();
      uint16_t half =
          dtype == "F16" ? floatToHalf(value) : floatToBfloat(value);
      if (f32)
        std::memcpy(&tensor.data[4 * i], &value, 4);
      else
        std::memcpy(&tensor.data[2 * i], &half, 2);
    }
    list.push_back(std::move(tensor));
  }

  /// Adds weight and bias of a linear layer.
  void linear(const std::string &name, int64_t outputs, int64_t inputs) {
    // A power of two near 1/sqrt(inputs) keeps activations near unit size.
    float deviation = 1;
    while (deviation * deviation * static_cast<float>(inputs) > 1)
      deviation /= 2;
    add(name + ".weight", {outputs, inputs}, 1.5f * deviation);
    add(name + ".bias", {outputs}, 0.125f);
  }

  /// Adds the gain and the shift of a LayerNorm.
  void layerNorm(const std::string &name, int64_t width,
                 const char *gain = ".weight", const char *shift = ".bias") {
    add(name + gain, {width}, 0.125f, 1);
    add(name + shift, {width}, 0.125f);
  }

  /// Makes channel 3 of the layer and the LayerNorm that were added last an
  /// outlier of the given size.
  void makeOutlier(int64_t size, int64_t hidden) {
    SafetensorsOutput &gain = list[list.size() - 2];
    SafetensorsOutput &bias = list[list.size() - 3];
    // The outlier alone makes the deviation that the LayerNorm divides by:
    // size / sqrt(hidden), to a power of two.
    float deviation = static_cast<float>(size);
    for (int64_t width = hidden; width > 1; width /= 4)
      deviation /= 2;
    for (int64_t j = 0; j < hidden; ++j)
      scale(gain, j, j == 3 ? 1 / static_cast<float>(size) : deviation);
    float value = static_cast<float>(size);
    std::memcpy(&bias.data[4 * 3], &value, 4);
  }

  std::vector<SafetensorsOutput> list;

private:
  static void scale(SafetensorsOutput &tensor, int64_t index, float factor) {
    float value;
    std::memcpy(&value, &tensor.data[4 * index], 4);
    value *= factor;
    std::memcpy(&tensor.data[4 * index], &value, 4);
  }

  /// splitmix64.
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Four uniform 16-bit integers, centred, scaled to deviation one.
  float normal() {
    uint64_t bits = next();
    int32_t sum = -2 * 65535;
    for (int i = 0; i < 4; ++i)
      sum += static_cast<int32_t>((bits >> (16 * i)) & 0xffff);
    return static_cast<float>(sum) * (1.7320508f / 65536);
  }

  std::string dtype;
  uint64_t state;
};

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TINYWEIGHTS_H
