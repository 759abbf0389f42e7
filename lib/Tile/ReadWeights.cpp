//===- ReadWeights.cpp - Codes of weights from packed bytes ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ReadWeights.h"
#include "lib/Tile/GemmGroup.h"

#include "dialects/TQ/TQOps.h"

using namespace mlir;

namespace quern {

std::vector<int8_t> unpackCodes(Packer pack, size_t codes, int64_t bits,
                                ArrayRef<int8_t> packed) {
  int64_t slots = 8 / bits;
  unsigned mask = (1u << bits) - 1;
  auto slotOf = [&](const int8_t *bytes, size_t slot) {
    return unsigned(uint8_t(bytes[slot / slots])) >> (bits * (slot % slots)) &
           mask;
  };
  auto sign = [&](unsigned digits) {
    return int8_t(int(digits << (32 - bits)) >> (32 - bits));
  };
  // Number 0 stands for padding.
  std::vector<uint64_t> number(packed.size() * slots);
  std::vector<int8_t> digits(codes), bytes(packed.size());
  for (int64_t shift = 0; codes >> shift; shift += bits) {
    for (size_t i = 0; i < codes; ++i)
      digits[i] = sign((i + 1) >> shift & mask);
    pack(digits.data(), bytes.data());
    for (size_t slot = 0; slot < number.size(); ++slot)
      number[slot] |= uint64_t(slotOf(bytes.data(), slot)) << shift;
  }
  std::vector<int8_t> result(codes);
  for (size_t slot = 0; slot < number.size(); ++slot)
    if (number[slot] != 0)
      result[number[slot] - 1] = sign(slotOf(packed.data(), slot));
  return result;
}

std::optional<std::vector<int8_t>> readWeights(Operation *product, int64_t bits,
                                               int64_t n, int64_t row,
                                               ArrayRef<int8_t> packed) {
  auto w = cast<RankedTensorType>(product->getOperand(1).getType());
  int64_t rows = w.getDimSize(0), k = w.getDimSize(1);
  if ((bits != 8 && bits != 4 && bits != 2) || row + rows > n)
    return std::nullopt;
  auto unpack = [&](int64_t bytes, Packer pack) {
    std::optional<std::vector<int8_t>> codes;
    if (bytes != int64_t(packed.size()))
      return codes;
    codes = unpackCodes(pack, size_t(n * k), bits, packed);
    codes->erase(codes->begin(), codes->begin() + row * k);
    codes->resize(rows * k);
    return codes;
  };
  if (isa<tq::LinearOp>(product))
    return unpack(packedCodedGemmBytes(n, k, bits),
                  [&](const int8_t *codes, int8_t *bytes) {
                    packCodedGemmWeights(codes, n, k, bits, bytes);
                  });
  if (auto group = dyn_cast<tq::QGroupLinearOp>(product)) {
    GroupGemmShape shape;
    shape.gemm.k = k;
    shape.gemm.n = n;
    shape.ends = groupEnds(group);
    shape.gemm.weightBits = bits;
    return unpack(packedGroupGemmBytes(shape),
                  [&](const int8_t *codes, int8_t *bytes) {
                    packGroupGemmWeights(codes, shape, bytes);
                  });
  }
  return unpack(packedGemmBytes(n, k, bits),
                [&](const int8_t *codes, int8_t *bytes) {
                  packGemmWeights(codes, n, k, bytes, bits);
                });
}

std::optional<std::vector<float>>
readFloatWeights(Operation *product, int64_t column, ArrayRef<float> packed) {
  auto w = cast<RankedTensorType>(product->getOperand(1).getType());
  int64_t rows = w.getDimSize(0), k = w.getDimSize(1);
  if (column * k + packedFloatGemmSize(rows, k) > int64_t(packed.size()))
    return std::nullopt;
  packed = packed.drop_front(column * k);
  std::vector<float> values;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < k; ++j)
      values.push_back(packed[i / 16 * k * 16 + j * 16 + i % 16]);
  return values;
}

} // namespace quern
