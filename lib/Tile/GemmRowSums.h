//===- GemmRowSums.h - Sums of a row's codes -----------------------*- C++ -*-//
//
// What a product with asymmetric weights needs besides dot products:
// sum_k x[k] (w[k] - z) = sum_k x[k] w[k] - z sum_k x[k].
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMROWSUMS_H
#define QUERN_LIB_TILE_GEMMROWSUMS_H

#include "lib/Tile/GemmParts.h"

namespace quern {

/// The sum of the first `columns` codes of each of `rows` rows, in all 16 lanes
/// of an i32 vector. Row i begins at element start + i * inputs.xStride; what
/// is behind its columns plays no part.
KernelBuilder::Values sumRows(KernelBuilder &k, const GemmInputs &inputs,
                              mlir::Value start, int64_t rows, int64_t columns);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMROWSUMS_H
