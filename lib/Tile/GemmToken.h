//===- GemmToken.h - The linear layer of codes with ranges of tokens ------===//
//
// As the u8 x s8 kernel of Gemm.h, but scale and zero point of the input come
// with each row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMTOKEN_H
#define QUERN_LIB_TILE_GEMMTOKEN_H

#include "lib/Tile/Gemm.h"

namespace quern {

/// A name that differs wherever the kernel does.
std::string getTokenGemmName(const GemmShape &shape);

/// Largest k for which 255 * 128 * k fits an i32.
constexpr int64_t kLargestTokenK = 65793;

/// u8 x s8 with exact i32 accumulators. shape.xStride is tokenRowStride(k).
/// Buffers, in order:
///   x          i8   rows of TokenRows.h
///   w          i8   packed as by packGemmWeights, in weightBits
///   correction i32  [n up to 16]: less the sum of the weights of an output
///   multiplier, offset, post, y as in buildGemm
/// v = f32(acc + zero * correction) * (scale * multiplier) + offset; from there
/// on as buildGemm. Needs the scratch bytes of that one, getGemmScratchBytes.
mlir::func::FuncOp buildTokenGemm(mlir::ModuleOp module, llvm::StringRef name,
                                  const GemmShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMTOKEN_H
