//===- GemmWeights.h - Packed weights of integer GEMMs --------------------===//
//
// How weights of 8, 4 and 2 bits lie in memory, and how a kernel reads them.
// The kernels see the same vectors of 64 signed bytes at every width.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMWEIGHTS_H
#define QUERN_LIB_TILE_GEMMWEIGHTS_H

#include "lib/Tile/KernelBuilder.h"

namespace quern {

/// Bits in which codes of `bits` are stored: 2, 4 or 8.
inline int64_t storedWeightBits(int64_t bits) {
  return bits == 2 || bits == 4 ? bits : 8;
}

/// Bytes of [ceil(n / 16)][ceil(k / 64) * 2 * bits][16 n][4 k], where each byte
/// holds the codes of 8 / bits neighbouring groups of 4 k, the first lowest.
int64_t packedGemmBytes(int64_t n, int64_t k, int64_t bits = 8);
/// Packs row-major w[n][k]; what is beyond n and k becomes zero.
void packGemmWeights(const int8_t *w, int64_t n, int64_t k, int8_t *packed,
                     int64_t bits = 8);

/// True if all codes are signed numbers of `bits` bits.
bool fitsBits(llvm::ArrayRef<int8_t> codes, int64_t bits);

/// Bytes of a row of an embedding table of `d` codes; see packTableRow.
int64_t tableRowBytes(int64_t d, int64_t bits);
/// Packs a row of a table: 16 bytes hold the codes of 8 / bits neighbouring
/// blocks of 16 columns, the first block lowest.
void packTableRow(const int8_t *codes, int64_t d, int64_t bits, int8_t *packed);

/// Emits the loads of weights in the inner loop of a GEMM.
class WeightReader {
public:
  /// `panelBytes` apart lie the panels of 16 columns.
  WeightReader(KernelBuilder &k, mlir::Value weights, int64_t panelBytes,
               int64_t bits)
      : k(k), weights(weights), panelBytes(panelBytes), bits(bits) {}

  /// Bytes that four k of a panel take.
  int64_t stepBytes() const { return 8 * bits; }

  /// Weights of `width` panels for the `t`-th four k from `start` on, where
  /// `start` is the first byte of a whole number of packed groups. To be
  /// called with t = 0, 1, ... in order.
  KernelBuilder::Values read(mlir::Value start, int64_t t, int64_t width);

private:
  KernelBuilder &k;
  mlir::Value weights;
  int64_t panelBytes, bits;
  KernelBuilder::Values packed;
};

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMWEIGHTS_H
