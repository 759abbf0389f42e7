//===- ReadWeights.h - Codes of weights from packed bytes -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The way back from what a launch reads to the codes of its weights, for
// whoever has a finished module and wants its graph.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_READWEIGHTS_H
#define QUERN_LIB_TILE_READWEIGHTS_H

#include "mlir/IR/Operation.h"

#include <optional>
#include <vector>

namespace quern {

/// Writes `codes` row-major codes to bytes, each to bits of its own.
using Packer = llvm::function_ref<void(const int8_t *codes, int8_t *packed)>;

/// The signed codes of `bits` bits that `pack` made `packed` of, whatever its
/// layout: it is shown the digits of each code's number.
std::vector<int8_t> unpackCodes(Packer pack, size_t codes, int64_t bits,
                                llvm::ArrayRef<int8_t> packed);

/// The codes of the weights of a matrix product of L2, row-major, from the
/// weights of its launch in codes of `bits` bits: a product of `n` outputs, of
/// which this one's begin with `row`. None if they have another size.
std::optional<std::vector<int8_t>> readWeights(mlir::Operation *product,
                                               int64_t bits, int64_t n,
                                               int64_t row,
                                               llvm::ArrayRef<int8_t> packed);

/// The weights of a product in f32, row-major, from those of its launch, where
/// they begin with output `column`, a multiple of 16. None if there are fewer.
std::optional<std::vector<float>>
readFloatWeights(mlir::Operation *product, int64_t column,
                 llvm::ArrayRef<float> packed);

} // namespace quern

#endif // QUERN_LIB_TILE_READWEIGHTS_H
