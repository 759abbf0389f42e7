//===- GemmWide.h - Kernels of linear layers over 16-bit codes ------------===//
//
// y = requantize(x * W^T) for u16 codes and s8 weights. A 16-bit code is two
// bytes, x = 256 * high + low, so that two u8 x s8 products that share the
// weights give the sum exactly. The bytes lie in planes of their own, which
// a small kernel before the product fills.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMWIDE_H
#define QUERN_LIB_TILE_GEMMWIDE_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// Columns of a row of one plane: padded like a row of bytes in a buffer.
inline int64_t planeStride(int64_t d) { return spreadStride(d); }
/// Columns of a row of planes: the high bytes of d codes, then the low ones.
inline int64_t planesWidth(int64_t d) { return 2 * planeStride(d); }

/// Shape of the kernel that fills planes. Strides count elements.
struct PlanesShape {
  int64_t d = 0, inStride = 0;
  RowsOf rows = RowsOf::Tokens;
};

/// Buffers: x i16 [rows][inStride], planes i8 [rows][planesWidth(d)].
/// chunks(base = rows, divide = kRowsPerChunk).
mlir::func::FuncOp buildPlanes(mlir::ModuleOp module, llvm::StringRef name,
                               const PlanesShape &shape);

/// A name that differs wherever the kernel does, such as
/// `linear_u16_768x3072_gelu_u8`.
std::string getWideGemmName(const GemmShape &shape);

/// Scratch bytes that the kernel of `shape` needs.
int64_t getWideGemmScratchBytes(const GemmShape &shape);

/// The first values of both sums of an output: 256 * high + low == correction.
struct WideCorrection {
  int32_t high, low;
};
inline WideCorrection splitCorrection(int64_t correction) {
  // The shift rounds down, so that the low part is 0 to 255.
  return {int32_t(correction >> 8), int32_t(correction & 255)};
}

/// Largest k whose sums fit: 256 * 128 * k < 2^31.
constexpr int64_t kLargestWideK = 65535;

/// f32(256 * high + low) of 16 lanes, rounded once.
mlir::Value combinePlanes(KernelBuilder &k, mlir::Value high, mlir::Value low);

/// u16 x s8, exact. Buffers, in order:
///   x          i8   planes; shape.xStride is that of one plane
///   w          i8   packed as by packGemmWeights
///   correction i32  [2][n up to 16]: high parts, then low parts
///   multiplier, offset, post, y as in buildGemm
/// acc = 256 * (high correction + sum of high bytes) + low correction + sum of
/// low bytes, in i64; then as buildGemm goes on from f32(acc).
/// It also appends the variants `NAME.tiles`, see GemmTiles.h, and
/// `NAME.small`.
mlir::func::FuncOp buildWideGemm(mlir::ModuleOp module, llvm::StringRef name,
                                 const GemmShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMWIDE_H
