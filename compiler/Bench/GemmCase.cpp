//===- GemmCase.cpp - Operands and reference of one GEMM kernel -----------===//
//
// The reference is written for reading: one output at a time.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/GemmCase.h"
#include "quern/module_abi.h"

#include "quern/quant_math.h"

#include <cmath>
#include <cstring>
#include <random>
#include <sys/mman.h>

namespace quern {

GemmShape linearShape(int64_t k, int64_t n, GemmActivation activation,
                      int64_t bits) {
  GemmShape shape;
  shape.k = k;
  shape.n = n;
  shape.xStride = spreadStride(k);
  shape.outStride = spreadStride(n, shape.out);
  shape.activation = activation;
  shape.weightBits = bits;
  return shape;
}

static constexpr unsigned char kUntouched = 0xa5;

AlignedBytes::AlignedBytes(size_t size, unsigned char fill) : count(size) {
  const size_t hugePage = 2 << 20;
  size_t side = size >= hugePage ? hugePage : 64;
  size_t whole = (size + 64 + side - 1) / side * side;
  bytes.reset(static_cast<unsigned char *>(std::aligned_alloc(side, whole)));
  if (side == hugePage)
    madvise(bytes.get(), whole, MADV_HUGEPAGE);
  std::memset(bytes.get(), fill, whole);
}

static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

GemmCase::GemmCase(const GemmShape &shape, int64_t rows, bool real)
    : shape(shape), rows(rows), real(real),
      kernel(real ? getFloatGemmName(shape) : getGemmName(shape)),
      x((rows + QUERN_SLACK_ROWS) * shape.xStride * (real ? 4 : 1) + 64,
        kUntouched),
      w(real ? packedFloatGemmSize(shape.n, shape.k) * 4
             : packedGemmBytes(shape.n, shape.k, shape.weightBits)),
      correction(padded(shape.n) * 4), zeros(padded(shape.n) * 4),
      multiplier(padded(shape.n) * 4), offset(padded(shape.n) * 4), post(8),
      y((rows + (shape.exact ? 0 : QUERN_SLACK_ROWS)) * shape.outStride *
                storageBytes(real ? Storage::F32 : shape.out) +
            64,
        kUntouched),
      weights(real ? 0 : shape.n * shape.k),
      floatWeights(real ? shape.n * shape.k : 0) {
  if (real)
    this->shape.out = Storage::F32;
  std::mt19937 random(unsigned(rows * 31 + shape.k * 7 + shape.n));
  std::uniform_real_distribution<float> unit(-1.0f, 1.0f);
  if (real) {
    for (float &v : floatWeights)
      v = unit(random);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < shape.k; ++j)
        x.as<float>()[i * shape.xStride + j] = 3 * unit(random);
    packFloatGemmWeights(floatWeights.data(), shape.n, shape.k, w.as<float>());
    for (int64_t n = 0; n < shape.n; ++n)
      offset.as<float>()[n] = unit(random);
  } else {
    int unused = 8 - int(shape.weightBits);
    for (int8_t &v : weights)
      v = int8_t(int8_t(random()) >> unused);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < shape.k; ++j)
        x.as<uint8_t>()[i * shape.xStride + j] = uint8_t(random());
    // The largest sums that bytes can make.
    for (int64_t j = 0; j < shape.k; ++j) {
      x.as<uint8_t>()[j] = 255;
      weights[j] = int8_t(-128 >> unused);
      if (shape.n > 1)
        weights[shape.k + j] = int8_t(127 >> unused);
    }
    packGemmWeights(weights.data(), shape.n, shape.k, w.as<int8_t>(),
                    shape.weightBits);
    // Scales that spread outputs over the codes, and beyond them.
    float typical =
        128.0f * 74.0f / float(1 << unused) * std::sqrt(float(shape.k));
    bool code = shape.out != Storage::F32;
    bool direct = shape.activation == GemmActivation::None && code;
    float middle = 0.5f * (shape.range.lo + shape.range.hi);
    for (int64_t n = 0; n < shape.n; ++n) {
      int32_t sum = 0;
      for (int64_t j = 0; j < shape.k; ++j)
        sum += weights[n * shape.k + j];
      if (shape.hasZeros) {
        // The first two are -3 and 17 of unsigned codes of 4 bits.
        int32_t zero = n == 0   ? -11
                       : n == 1 ? 9
                                : int32_t(random() % 401) - 200;
        zeros.as<int32_t>()[n] = zero;
        sum -= zero * int32_t(shape.k);
      }
      correction.as<int32_t>()[n] = -128 * sum;
      float spread = (direct ? middle : 3.0f) / typical;
      multiplier.as<float>()[n] = spread * (1.0f + 0.3f * unit(random));
      offset.as<float>()[n] = (direct ? middle : 0.0f) + unit(random);
    }
    post.as<float>()[0] = (shape.range.hi - shape.range.lo) / 7.3f;
    post.as<float>()[1] = shape.range.lo + 21.0f;
  }
  makeReference();
}

void GemmCase::build(mlir::ModuleOp module) const {
  if (real)
    buildFloatGemm(module, kernel, shape);
  else
    buildGemm(module, kernel, shape);
}

std::vector<void *> GemmCase::operands() {
  if (real)
    return {x.as<void>(), w.as<void>(), offset.as<void>(), y.as<void>()};
  std::vector<void *> list = {x.as<void>(), w.as<void>(),
                              correction.as<void>()};
  if (shape.hasZeros)
    list.push_back(zeros.as<void>());
  list.push_back(multiplier.as<void>());
  list.push_back(offset.as<void>());
  if (shape.activation != GemmActivation::None && shape.out != Storage::F32)
    list.push_back(post.as<void>());
  list.push_back(y.as<void>());
  return list;
}

int64_t GemmCase::chunks() const {
  GemmChunks chunks = getGemmChunks(shape);
  return (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
}

float referenceActivation(GemmActivation activation, float v) {
  switch (activation) {
  case GemmActivation::None:
    return v;
  case GemmActivation::Gelu:
    return qm_gelu(v);
  case GemmActivation::GeluTanh:
    return qm_gelu_tanh(v);
  case GemmActivation::Relu:
    return qm_relu(v);
  case GemmActivation::Tanh:
    return qm_tanh(v);
  case GemmActivation::IGelu:
    break;
  }
  return v;
}

void putReference(unsigned char *at, Storage storage, float value,
                  int32_t code) {
  if (storage == Storage::F32)
    std::memcpy(at, &value, 4);
  else if (storage == Storage::U16)
    std::memcpy(at, &code, 2);
  else
    *at = uint8_t(code);
}

void GemmCase::makeReference() {
  int64_t size = storageBytes(shape.out);
  expected.resize(size_t(rows * shape.n * size));
  float lo = shape.range.lo, hi = shape.range.hi;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t n = 0; n < shape.n; ++n) {
      float v;
      int32_t code = 0;
      if (real) {
        const float *row = x.as<float>() + i * shape.xStride;
        const float *column = floatWeights.data() + n * shape.k;
        float sum = 0.0f;
        for (int64_t j = 0; j < shape.k; ++j) {
          float product = row[j] * column[j];
          sum = sum + product;
        }
        v = referenceActivation(shape.activation, sum + offset.as<float>()[n]);
      } else {
        const uint8_t *row = x.as<uint8_t>() + i * shape.xStride;
        const int8_t *column = weights.data() + n * shape.k;
        int32_t sum = correction.as<int32_t>()[n];
        for (int64_t j = 0; j < shape.k; ++j)
          sum += int32_t(row[j]) * (column[j] - zeros.as<int32_t>()[n]);
        float multiplier = this->multiplier.as<float>()[n];
        float offset = this->offset.as<float>()[n];
        v = float(sum) * multiplier;
        v = v + offset;
        if (shape.activation == GemmActivation::None) {
          code = qm_requant(sum, multiplier, offset, lo, hi);
        } else {
          v = referenceActivation(shape.activation, v);
          float scaled = v * post.as<float>()[0];
          scaled = scaled + post.as<float>()[1];
          code = qm_round_code(scaled, lo, hi);
        }
      }
      putReference(expected.data() + (i * shape.n + n) * size, shape.out, v,
                   code);
    }
}

int64_t GemmCase::countWrong() {
  int64_t size = storageBytes(shape.out), wrong = 0;
  const unsigned char *out = y.as<unsigned char>();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t n = 0; n < shape.n; ++n)
      wrong += std::memcmp(out + (i * shape.outStride + n) * size,
                           expected.data() + (i * shape.n + n) * size,
                           size_t(size)) != 0;
  if (!shape.exact)
    return wrong;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t b = shape.n * size; b < shape.outStride * size; ++b)
      wrong += out[i * shape.outStride * size + b] != kUntouched;
  for (int64_t b = 0; b < 64; ++b)
    wrong += out[rows * shape.outStride * size + b] != kUntouched;
  return wrong;
}

} // namespace quern
