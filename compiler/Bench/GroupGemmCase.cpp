//===- GroupGemmCase.cpp - Operands and reference of a grouped GEMM -------===//
//
// The reference is written for reading: one output at a time.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/GroupGemmCase.h"
#include "quern/module_abi.h"

#include "quern/quant_math.h"

#include <cstring>
#include <random>

namespace quern {

std::vector<int64_t> equalGroupEnds(int64_t k, int64_t groups) {
  std::vector<int64_t> ends;
  for (int64_t g = 1; g <= groups; ++g)
    ends.push_back(g * k / groups);
  return ends;
}

GroupGemmCase::GroupGemmCase(const GroupGemmShape &shape, int64_t rows)
    : shape(shape), rows(rows), columns((shape.gemm.n + 15) / 16 * 16),
      x((rows + QUERN_SLACK_ROWS) * shape.gemm.xStride + 64, 0xa5),
      w(packedGroupGemmBytes(shape)), steps(8 * shape.groups()),
      correction(4 * shape.groups() * columns),
      multiplier(4 * shape.groups() * columns), offset(4 * columns), post(8),
      y((rows + QUERN_SLACK_ROWS) * shape.gemm.outStride *
                storageBytes(shape.gemm.out) +
            64,
        0xa5),
      weights(shape.gemm.n * shape.gemm.k) {
  fill();
  makeReference();
}

void GroupGemmCase::fill() {
  const GemmShape &gemm = shape.gemm;
  int64_t groups = shape.groups();
  std::mt19937 random(unsigned(gemm.k * 31 + gemm.n * 7 + groups + rows));
  std::uniform_real_distribution<float> unit(-1, 1);
  for (int8_t &v : weights)
    v = int8_t(int8_t(random()) >> (8 - gemm.weightBits));
  packGroupGemmWeights(weights.data(), shape, w.as<int8_t>());
  std::vector<GroupSteps> all = getGroupSteps(shape);
  for (int64_t g = 0; g < groups; ++g) {
    steps.as<int32_t>()[2 * g] = all[g].column;
    steps.as<int32_t>()[2 * g + 1] = all[g].count;
  }
  for (int64_t i = 0; i < gemm.n; ++i) {
    offset.as<float>()[i] = 128 + unit(random);
    for (int64_t g = 0; g < groups; ++g) {
      correction.as<int32_t>()[g * columns + i] =
          int32_t(random() % 20000) - 10000;
      multiplier.as<float>()[g * columns + i] =
          (g % 3 ? 1.0f : 20.0f) * (1 + unit(random)) * 1e-4f;
    }
  }
  post.as<float>()[0] = 0.7f;
  post.as<float>()[1] = 3;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < gemm.k; ++j)
      x.as<uint8_t>()[r * gemm.xStride + j] = r == 0 ? 255 : uint8_t(random());
}

void GroupGemmCase::build(mlir::ModuleOp module) const {
  buildGroupGemm(module, name(), shape);
}

std::vector<void *> GroupGemmCase::operands() {
  std::vector<void *> list = {x.as<void>(),          w.as<void>(),
                              steps.as<void>(),      correction.as<void>(),
                              multiplier.as<void>(), offset.as<void>()};
  if (shape.gemm.activation != GemmActivation::None &&
      shape.gemm.out != Storage::F32)
    list.push_back(post.as<void>());
  list.push_back(y.as<void>());
  return list;
}

int64_t GroupGemmCase::chunks() const {
  GemmChunks chunks = getGemmChunks(shape.gemm);
  return (rows + chunks.divide - 1) / chunks.divide * chunks.multiply;
}

void GroupGemmCase::makeReference() {
  const GemmShape &gemm = shape.gemm;
  int64_t size = storageBytes(gemm.out);
  expected.resize(size_t(rows * gemm.n * size));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < gemm.n; ++i) {
      const uint8_t *row = x.as<uint8_t>() + r * gemm.xStride;
      float v = 0;
      for (int64_t g = 0, j = 0; g < shape.groups(); ++g) {
        int32_t acc = correction.as<int32_t>()[g * columns + i];
        for (; j < shape.ends[g]; ++j)
          acc += int32_t(row[j]) * weights[i * gemm.k + j];
        float part = float(acc) * multiplier.as<float>()[g * columns + i];
        v = g ? v + part : part;
      }
      v = v + offset.as<float>()[i];
      if (gemm.activation != GemmActivation::None) {
        v = referenceActivation(gemm.activation, v);
        if (gemm.out != Storage::F32) {
          v = v * post.as<float>()[0];
          v = v + post.as<float>()[1];
        }
      }
      putReference(expected.data() + (r * gemm.n + i) * size, gemm.out, v,
                   gemm.out == Storage::F32
                       ? 0
                       : qm_round_code(v, gemm.range.lo, gemm.range.hi));
    }
}

int64_t GroupGemmCase::countWrong() {
  const GemmShape &gemm = shape.gemm;
  int64_t size = storageBytes(gemm.out), wrong = 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < gemm.n; ++i)
      wrong +=
          std::memcmp(y.as<unsigned char>() + (r * gemm.outStride + i) * size,
                      expected.data() + (r * gemm.n + i) * size,
                      size_t(size)) != 0;
  return wrong;
}

} // namespace quern
