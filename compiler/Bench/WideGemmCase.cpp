//===- WideGemmCase.cpp - Operands and reference of a 16-bit GEMM ---------===//
//
// The reference is written for reading: one output at a time.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/WideGemmCase.h"
#include "quern/module_abi.h"

#include "quern/quant_math.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace quern {

WideData randomWideData(int64_t rows, const GemmShape &shape) {
  std::mt19937 random(7);
  WideData data;
  data.zero = 40000;
  for (int64_t i = 0; i < rows * shape.k; ++i)
    data.x.push_back(uint16_t(random()));
  for (int64_t i = 0; i < shape.n * shape.k; ++i)
    data.w.push_back(int8_t(int8_t(int32_t(random() % 255) - 127) >>
                            (8 - shape.weightBits)));
  return data;
}

WideGemmCase::WideGemmCase(const GemmShape &shape, int64_t rows,
                           const WideData &data, float scale)
    : shape(shape), rows(rows), columns((shape.n + 15) / 16 * 16),
      x(2 * (rows + QUERN_SLACK_ROWS) * rowStride(shape.k) + 64, 0xab),
      planes((rows + QUERN_SLACK_ROWS) * planesWidth(shape.k) + 64, 0x77),
      w(packedGemmBytes(shape.n, shape.k, shape.weightBits)),
      correction(8 * columns), multiplier(4 * columns), offset(4 * columns),
      post(8),
      y((rows + QUERN_SLACK_ROWS) * shape.outStride * storageBytes(shape.out) +
            64,
        0xa5) {
  for (int64_t i = 0; i < rows; ++i)
    std::copy_n(data.x.begin() + i * shape.k, shape.k,
                x.as<uint16_t>() + i * rowStride(shape.k));
  packGemmWeights(data.w.data(), shape.n, shape.k, w.as<int8_t>(),
                  shape.weightBits);
  for (int64_t j = 0; j < shape.n; ++j) {
    multiplier.as<float>()[j] = scale;
    offset.as<float>()[j] = float(j % 5);
  }
  post.as<float>()[0] = 90;
  post.as<float>()[1] = 20;
  makeReference(data);
}

std::string WideGemmCase::planesName() const {
  return "planes_" + std::to_string(shape.k);
}

void WideGemmCase::build(mlir::ModuleOp module) const {
  buildPlanes(module, planesName(), {shape.k, rowStride(shape.k), shape.rows});
  buildWideGemm(module, name(), shape);
}

std::vector<void *> WideGemmCase::planesOperands() {
  return {x.as<void>(), planes.as<void>()};
}

std::vector<void *> WideGemmCase::operands() {
  std::vector<void *> list = {planes.as<void>(), w.as<void>(),
                              correction.as<void>(), multiplier.as<void>(),
                              offset.as<void>()};
  if (shape.activation != GemmActivation::None && shape.out != Storage::F32)
    list.push_back(post.as<void>());
  list.push_back(y.as<void>());
  return list;
}

void WideGemmCase::fillPlanes() {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t l = 0; l < shape.k; ++l) {
      uint16_t code = x.as<uint16_t>()[i * rowStride(shape.k) + l];
      unsigned char *row =
          planes.as<unsigned char>() + i * planesWidth(shape.k);
      row[l] = static_cast<unsigned char>(code >> 8);
      row[shape.xStride + l] = static_cast<unsigned char>(code);
    }
}

int64_t WideGemmCase::chunks() const {
  GemmChunks chunks = getGemmChunks(shape);
  return (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
}

void WideGemmCase::makeReference(const WideData &data) {
  int64_t size = storageBytes(shape.out), k = shape.k, n = shape.n;
  expected.resize(size_t(rows * n * size));
  for (int64_t j = 0; j < n; ++j) {
    int64_t sum = 0;
    for (int64_t l = 0; l < k; ++l)
      sum += data.w[j * k + l];
    WideCorrection parts = splitCorrection(-data.zero * sum);
    correction.as<int32_t>()[j] = parts.high;
    correction.as<int32_t>()[columns + j] = parts.low;
    for (int64_t i = 0; i < rows; ++i) {
      int64_t acc = -data.zero * sum;
      for (int64_t l = 0; l < k; ++l)
        acc += int64_t(data.x[i * k + l]) * data.w[j * k + l];
      float v = float(acc) * multiplier.as<float>()[j];
      v = referenceActivation(shape.activation, v + offset.as<float>()[j]);
      if (shape.activation != GemmActivation::None &&
          shape.out != Storage::F32) {
        v = v * post.as<float>()[0];
        v = v + post.as<float>()[1];
      }
      putReference(expected.data() + (i * n + j) * size, shape.out, v,
                   shape.out == Storage::F32
                       ? 0
                       : qm_round_code(v, shape.range.lo, shape.range.hi));
    }
  }
}

int64_t WideGemmCase::countWrong() {
  int64_t size = storageBytes(shape.out), wrong = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < shape.n; ++j)
      wrong +=
          std::memcmp(y.as<unsigned char>() + (i * shape.outStride + j) * size,
                      expected.data() + (i * shape.n + j) * size,
                      size_t(size)) != 0;
  return wrong;
}

} // namespace quern
