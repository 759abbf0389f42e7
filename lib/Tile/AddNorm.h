//===- AddNorm.h - Residual sum and LayerNorm kernels ---------------------===//
//
// tq.qadd_norm on codes, tq.add + tq.layer_norm on floats. Chunks are blocks
// of rows: chunks(base = tokens, divide = kRowsPerChunk).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ADDNORM_H
#define QUERN_LIB_TILE_ADDNORM_H

#include "lib/Tile/Norm.h"

namespace quern {

/// How a fixed kernel computes one term of a sum: with all that constants may
/// need, without ties, or of byte codes in 32 bits. See FixedTerms.h.
enum class FixedTerm { Any, NoTies, Bytes };

/// What of a residual sum is fixed when the kernel is built. Strides count
/// elements.
struct AddNormShape {
  int64_t d = 0;
  int64_t aStride = 0, bStride = 0, outStride = 0, tapStride = 0;
  Storage a = Storage::U8, b = Storage::U8, sum = Storage::U8,
          out = Storage::U8;
  CodeRange sumRange, outRange;
  /// isNarrow of fixed terms and of a fixed LayerNorm, and isPlain of it.
  bool narrow = false, plain = false;
  /// Of a fixed kernel.
  FixedTerm aTerm = FixedTerm::Any, bTerm = FixedTerm::Any;
  RowsOf rows = RowsOf::Tokens;
};

/// The element type of a buffer.
mlir::Type storedType(mlir::MLIRContext *context, Storage storage);

/// The residual sum of `row`, whose operands and constants are buffers 0 to 4:
/// its codes go into `norm`, and to `tap` where `tapping` is true.
void emitRowSum(KernelBuilder &k, const AddNormShape &shape, CodeNorm &norm,
                mlir::Value row, mlir::Value tap, mlir::Value tapping);

/// Buffers: a and b (u8 or u16 codes), ma, mb, mo, gamma, beta (f32 vectors
/// padded to a multiple of 16), norm (i8, CodeNormParams), out (codes or f32),
/// and the tap of the sum (codes of `sum` storage).
mlir::func::FuncOp buildQAddNorm(mlir::ModuleOp module, llvm::StringRef name,
                                 const AddNormShape &shape);

/// Buffers: a, b, gamma, beta, params f32 [1] (eps), out, tap of the sum; all
/// f32.
mlir::func::FuncOp buildAddNorm(mlir::ModuleOp module, llvm::StringRef name,
                                const AddNormShape &shape);

/// Buffers: x, gamma, beta, params f32 [1] (eps), out; all f32. Uses aStride
/// and outStride.
mlir::func::FuncOp buildNorm(mlir::ModuleOp module, llvm::StringRef name,
                             const AddNormShape &shape);

/// Scratch bytes of one call of the integer and of the f32 kernels.
int64_t qaddNormScratch(const AddNormShape &shape);
int64_t normScratch(const AddNormShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_ADDNORM_H
