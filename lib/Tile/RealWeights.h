//===- RealWeights.h - Weights of ops on real numbers ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A float product or table reads f32 numbers, or signed codes with a scale per
// row (or one), whose value is scale * code, rounded to f32. Codes stay packed
// in the module; the kernel makes numbers of them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_REALWEIGHTS_H
#define QUERN_LIB_TILE_REALWEIGHTS_H

#include "lib/Tile/Constants.h"

#include "mlir/IR/Value.h"

namespace quern {

class RealWeights {
public:
  /// What `value` is: a constant, or a tq.dequantize_weight of constants.
  /// Nothing otherwise.
  static std::optional<RealWeights> get(mlir::Value value);

  /// Bits in which an element is stored: 32 for numbers, else 8, 4 or 2.
  int64_t bits() const { return storedBits; }
  size_t size() const { return bits() == 32 ? reals->size() : codes->size(); }
  int64_t rows() const { return rowCount; }
  /// How the module's description names the numbers: "f32", "s4".
  std::string scheme() const;

  llvm::ArrayRef<int8_t> codeValues() const { return codes->values(); }
  bool hasScalePerRow() const { return scales->size() != 1; }
  /// The scales: one, or one per row.
  llvm::ArrayRef<float> scaleValues() const { return scales->values(); }
  float scaleOf(int64_t row) const {
    return (*scales)[hasScalePerRow() ? row : 0];
  }

  /// All elements as numbers.
  std::vector<float> values() const;

private:
  std::optional<ConstantView<float>> reals, scales;
  std::optional<ConstantView<int8_t>> codes;
  int64_t storedBits = 32, rowCount = 0;
};

} // namespace quern

#endif // QUERN_LIB_TILE_REALWEIGHTS_H
