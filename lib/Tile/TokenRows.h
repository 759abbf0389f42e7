//===- TokenRows.h - Codes with a range of their own in each row ----------===//
//
// A row of `!tq.dynamic<uN, token>` is its codes, one byte each, padded to
// whole cache lines, and then one cache line that starts with the scale (f32)
// and the zero point (i32) of the row. So one buffer holds all of it.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_TOKENROWS_H
#define QUERN_LIB_TILE_TOKENROWS_H

#include "lib/Tile/Norm.h"

namespace quern {

/// Bytes from the start of a row of d codes to its scale, and to the next row.
inline int64_t tokenRangeAt(int64_t d) { return rowStride(d); }
inline int64_t tokenRowStride(int64_t d) { return rowStride(d) + 64; }

/// Shape of the kernels between values and such rows. `realStride` counts the
/// elements of a row of values.
struct TokenShape {
  int64_t d = 0, realStride = 0;
  int64_t bits = 8;
  /// The range is as wide above 0 as below.
  bool centred = false;
  RowsOf rows = RowsOf::Tokens;
};

/// A name that differs wherever the kernels do.
std::string tokenName(llvm::StringRef kind, const TokenShape &shape);

/// tq.quantize to ranges of tokens. Buffers: x f32, codes i8. Chunks are blocks
/// of rows: chunks(base = rows, divide = kRowsPerChunk).
mlir::func::FuncOp buildTokenQuantize(mlir::ModuleOp module,
                                      llvm::StringRef name,
                                      const TokenShape &shape);

/// tq.dequantize of them. Buffers: codes i8, x f32. Chunks as above.
mlir::func::FuncOp buildTokenDequantize(mlir::ModuleOp module,
                                        llvm::StringRef name,
                                        const TokenShape &shape);

/// Scale (f32) and zero point (i32) of the row that starts at `row`, in each of
/// 16 lanes.
struct TokenRange {
  mlir::Value scale, zero;
};
TokenRange loadTokenRange(KernelBuilder &k, mlir::Value codes, mlir::Value row,
                          int64_t d);

} // namespace quern

#endif // QUERN_LIB_TILE_TOKENROWS_H
