//===- FloatData.cpp - Stored weights as f32 ------------------------------===//
//
// Views and conversions of safetensors data; the declarations are in
// Safetensors.h. Pure integer arithmetic on the bits, so that values do not
// depend on the machine.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Safetensors.h"

#include <cstring>

using namespace quern;

static float fromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

static uint32_t toBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float quern::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return fromBits(sign | 0x7f800000 | (mantissa << 13));
  if (exponent != 0)
    return fromBits(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Subnormal: mantissa * 2^-24, exact in f32.
  float value = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -value : value;
}

float quern::bfloatToFloat(uint16_t bits) {
  return fromBits(uint32_t(bits) << 16);
}

uint16_t quern::floatToBfloat(float value) {
  uint32_t bits = toBits(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

uint16_t quern::floatToHalf(float value) {
  uint32_t bits = toBits(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  // From 65520 on the nearest half is infinity.
  if (magnitude >= 0x477ff000)
    return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal half: adding 0.5 leaves its multiples of 2^-24 in the
    // mantissa of a sum in [0.5, 1), rounded to nearest even.
    return sign | static_cast<uint16_t>(toBits(fromBits(magnitude) + 0.5f) -
                                        toBits(0.5f));
  }
  uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - (112u << 23)) >> 13);
}

size_t quern::findNonFinite(const float *data, size_t size) {
  // Blocks without a branch inside vectorize; the index is found afterwards.
  constexpr size_t block = 4096;
  for (size_t start = 0; start < size; start += block) {
    size_t end = start + block < size ? start + block : size;
    uint32_t found = 0;
    for (size_t i = start; i < end; ++i)
      found |= (toBits(data[i]) & 0x7f800000) == 0x7f800000;
    for (size_t i = start; found && i < end; ++i)
      if ((toBits(data[i]) & 0x7f800000) == 0x7f800000)
        return i;
  }
  return size;
}

Expected<FloatData> quern::readFloats(const std::string &name,
                                      const SafetensorsTensor &tensor) {
  FloatData result;
  result.size = static_cast<size_t>(tensor.elements());
  bool f32 = tensor.dtype == "F32";
  bool f16 = tensor.dtype == "F16";
  if (!f32 && !f16 && tensor.dtype != "BF16")
    return Error::make(tensor.file->path(), ": tensor ", printable(name),
                       ": found dtype ", tensor.dtype,
                       ", expected F32, F16 or BF16");
  if (f32 && reinterpret_cast<uintptr_t>(tensor.data) % alignof(float) == 0) {
    result.data = reinterpret_cast<const float *>(tensor.data);
    result.owner = tensor.file;
    result.mapped = true;
    return result;
  }
  std::shared_ptr<float[]> copy(new float[result.size]);
  if (f32) {
    // A header of odd length leaves the data unaligned.
    if (result.size != 0)
      std::memcpy(copy.get(), tensor.data, tensor.bytes);
  } else {
    for (size_t i = 0; i < result.size; ++i) {
      uint16_t bits;
      std::memcpy(&bits, tensor.data + 2 * i, sizeof(bits));
      copy[i] = f16 ? halfToFloat(bits) : bfloatToFloat(bits);
    }
  }
  result.data = copy.get();
  result.owner = std::shared_ptr<const void>(copy, copy.get());
  return result;
}
