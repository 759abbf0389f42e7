//===- ReadWeightsTest.cpp - Codes of weights from packed bytes -----------===//
//
// What was packed is read back, in every layout and width.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ReadWeights.h"
#include "lib/Tile/GemmGroup.h"

#include <gtest/gtest.h>

#include <random>

using namespace quern;

namespace {

std::vector<int8_t> randomCodes(size_t count, int64_t bits) {
  std::mt19937 random(5);
  std::vector<int8_t> codes(count);
  for (int8_t &code : codes)
    code = int8_t(int8_t(random()) >> (8 - bits));
  return codes;
}

void checkRoundTrip(size_t count, int64_t bits, int64_t bytes, Packer pack) {
  std::vector<int8_t> codes = randomCodes(count, bits), packed(bytes);
  pack(codes.data(), packed.data());
  EXPECT_EQ(unpackCodes(pack, count, bits, packed), codes);
}

TEST(ReadWeights, PanelsOfEveryWidth) {
  constexpr int64_t n = 37, k = 101;
  for (int64_t bits : {8, 4, 2}) {
    checkRoundTrip(n * k, bits, packedGemmBytes(n, k, bits),
                   [=](const int8_t *codes, int8_t *packed) {
                     packGemmWeights(codes, n, k, packed, bits);
                   });
    checkRoundTrip(n * k, bits, packedCodedGemmBytes(n, k, bits),
                   [=](const int8_t *codes, int8_t *packed) {
                     packCodedGemmWeights(codes, n, k, bits, packed);
                   });
  }
}

TEST(ReadWeights, Groups) {
  GroupGemmShape shape;
  shape.gemm.n = 37;
  shape.gemm.k = 101;
  shape.ends = {3, 50, 55, 101};
  for (int64_t bits : {8, 4, 2}) {
    shape.gemm.weightBits = bits;
    checkRoundTrip(37 * 101, bits, packedGroupGemmBytes(shape),
                   [&](const int8_t *codes, int8_t *packed) {
                     packGroupGemmWeights(codes, shape, packed);
                   });
  }
}

} // namespace
