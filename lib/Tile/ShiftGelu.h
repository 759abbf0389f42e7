//===- ShiftGelu.h - GELU by shifts over rows of codes --------------------===//
//
// tq.qshift_gelu: the largest code of a row chooses one of 256 tables, made at
// compile time, which the row is looked up in. So no element costs a division.
// Chunks are blocks of rows: chunks(base = rows, divide = kRowsPerChunk).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_SHIFTGELU_H
#define QUERN_LIB_TILE_SHIFTGELU_H

#include "lib/Tile/Elementwise.h"
#include "quern/integer_requant.h"

#include <vector>

namespace quern {

/// What a code means and becomes; see the op.
struct ShiftGeluParams {
  int64_t zero, unit;
  qi_affine post;
  int32_t lo, hi;
};

/// Content of the i8 buffer `tables`: the code of a code c in a row whose
/// largest one is t, at 256 t + c.
std::vector<int8_t> packShiftGelu(const ShiftGeluParams &params);

/// Buffers: x (u8 codes), tables (i8), out (u8 codes). Strides are multiples of
/// 64; the padding of a row is computed along.
mlir::func::FuncOp buildShiftGelu(mlir::ModuleOp module, llvm::StringRef name,
                                  const RowShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_SHIFTGELU_H
