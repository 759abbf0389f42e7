//===- GemmWeights.cpp - Packed weights of integer GEMMs ------------------===//
//
// Packing is on the host; reading is emitted into kernels.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmWeights.h"

#include <cassert>
#include <cstring>

using namespace mlir;

namespace quern {

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Adds a code to a byte that is zero in its bits.
static void put(int8_t &byte, int8_t code, int64_t bits, int64_t part) {
  unsigned mask = (1u << bits) - 1;
  byte = int8_t(uint8_t(byte) | (uint8_t(code) & mask) << (bits * part));
}

int64_t packedGemmBytes(int64_t n, int64_t k, int64_t bits) {
  return ceilDiv(n, 16) * ceilDiv(k, 64) * 128 * bits;
}

void packGemmWeights(const int8_t *w, int64_t n, int64_t k, int8_t *packed,
                     int64_t bits) {
  int64_t panel = ceilDiv(k, 64) * 128 * bits, codes = 8 / bits;
  std::memset(packed, 0, size_t(packedGemmBytes(n, k, bits)));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < k; ++j) {
      int64_t at = i / 16 * panel + j / 4 / codes * 64 + i % 16 * 4 + j % 4;
      put(packed[at], w[i * k + j], bits, j / 4 % codes);
    }
}

bool fitsBits(ArrayRef<int8_t> codes, int64_t bits) {
  int limit = 1 << (bits - 1);
  return llvm::all_of(
      codes, [&](int8_t code) { return code >= -limit && code < limit; });
}

int64_t tableRowBytes(int64_t d, int64_t bits) {
  return ceilDiv(d, 16 * (8 / bits)) * 16;
}

void packTableRow(const int8_t *codes, int64_t d, int64_t bits,
                  int8_t *packed) {
  int64_t blocks = 8 / bits;
  std::memset(packed, 0, size_t(tableRowBytes(d, bits)));
  for (int64_t j = 0; j < d; ++j)
    put(packed[j / 16 / blocks * 16 + j % 16], codes[j], bits, j / 16 % blocks);
}

KernelBuilder::Values WeightReader::read(Value start, int64_t t,
                                         int64_t width) {
  int64_t codes = 8 / bits;
  if (t % codes == 0) {
    packed.clear();
    for (int64_t j = 0; j < width; ++j)
      packed.push_back(k.loadVector(
          weights, k.add(k.add(start, t / codes * 64), j * panelBytes), 64));
  }
  if (bits == 8)
    return packed;
  KernelBuilder::Values result;
  for (Value v : packed)
    result.push_back(k.unpack(v, bits, t % codes));
  return result;
}

} // namespace quern
