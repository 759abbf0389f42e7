//===- Elementwise.h - Kernels without a reduction, and normalize ---------===//
//
// Functions of single elements: activations, f32 sums, and the ways between
// values and codes; and the normalization of rows to length one. Chunks are
// blocks of rows: chunks(base = tokens or sequences, divide = kRowsPerChunk).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_ELEMENTWISE_H
#define QUERN_LIB_TILE_ELEMENTWISE_H

#include "lib/Tile/Norm.h"

namespace quern {

/// Shape of a row kernel. Strides count elements.
struct RowShape {
  int64_t d = 0;
  /// bStride is that of the second operand of a sum.
  int64_t inStride = 0, bStride = 0, outStride = 0;
  Storage in = Storage::F32, out = Storage::F32;
  RowsOf rows = RowsOf::Tokens;
};

enum class ElementFunction { Gelu, GeluTanh, Relu, Tanh };

/// Buffers: x, out; f32.
mlir::func::FuncOp buildElementFunction(mlir::ModuleOp module,
                                        llvm::StringRef name,
                                        ElementFunction function,
                                        const RowShape &shape);

/// Buffers: a, b, out; f32.
mlir::func::FuncOp buildAdd(mlir::ModuleOp module, llvm::StringRef name,
                            const RowShape &shape);

/// tq.quantize. Buffers: x f32, params f32 [4] = {f32(1/s), lo - z, hi - z, z},
/// out (codes).
mlir::func::FuncOp buildQuantize(mlir::ModuleOp module, llvm::StringRef name,
                                 const RowShape &shape);

/// tq.dequantize. Buffers: x (codes), params f32 [2] = {s, z}, out f32.
mlir::func::FuncOp buildDequantize(mlir::ModuleOp module, llvm::StringRef name,
                                   const RowShape &shape);

/// tq.dequantize of codes in groups of columns. Buffers: x (codes), scales and
/// zero points f32 by channel, padded to a multiple of 16, out f32.
mlir::func::FuncOp buildDequantizeChannels(mlir::ModuleOp module,
                                           llvm::StringRef name,
                                           const RowShape &shape);

/// tq.requantize. Buffers: x (codes), params f32 [4] = {multiplier, offset, lo,
/// hi}, out (codes).
mlir::func::FuncOp buildRequantize(mlir::ModuleOp module, llvm::StringRef name,
                                   const RowShape &shape);

/// tq.qlimit of bytes in rows of whole blocks of 64. Buffers: x, the greatest
/// codes of a row's columns and behind them the least (i8 [2][rowStride(d)]),
/// out.
mlir::func::FuncOp buildLimit(mlir::ModuleOp module, llvm::StringRef name,
                              const RowShape &shape);

/// tq.normalize. Buffers: x, params f32 [1] (eps), out; f32.
mlir::func::FuncOp buildNormalize(mlir::ModuleOp module, llvm::StringRef name,
                                  const RowShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_ELEMENTWISE_H
