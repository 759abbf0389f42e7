//===- Gemm.h - Kernels of linear layers ----------------------------------===//
//
// Generators of y = requantize(x * W^T) for u8 x s8 codes, and of the f32
// linear layer. The number of rows is known at run time, all else is part of
// the kernel; constants of a layer are buffers, so layers of one shape share a
// kernel.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMM_H
#define QUERN_LIB_TILE_GEMM_H

#include "lib/Tile/GemmTuning.h"
#include "lib/Tile/GemmWeights.h"
#include "lib/Tile/Norm.h"

namespace quern {

/// Function applied before the result is stored or requantized.
/// IGelu is for fixed products only.
enum class GemmActivation { None, Gelu, GeluTanh, Relu, Tanh, IGelu };

/// "none", "gelu", "gelu_tanh", "relu", "tanh" or "i_gelu".
llvm::StringRef activationName(GemmActivation activation);

/// Shape of a linear layer and form of its result. Strides count elements.
struct GemmShape {
  /// Inner and outer width: x is [rows, k], W is [n, k].
  int64_t k = 0, n = 0;
  /// At least k rounded up to 64 (u8), or k (f32).
  int64_t xStride = 0;
  /// At least n rounded up to 16, unless `exact`.
  int64_t outStride = 0;
  GemmActivation activation = GemmActivation::None;
  Storage out = Storage::U8;
  CodeRange range;
  RowsOf rows = RowsOf::Tokens;
  /// The result belongs to the caller: nothing outside of its rows and
  /// columns may be written. Otherwise rows are rounded up to 4 and columns
  /// to 16.
  bool exact = false;
  /// Integers from the sums to the codes, with constants as by packFixed.
  bool fixed = false;
  /// isNarrow of them all.
  bool narrow = false;
  /// Bits in which the weights of the integer kernel are stored: 8, 4 or 2.
  int64_t weightBits = 8;
  /// The weights have a zero point for each column. Of the u8 kernel only.
  bool hasZeros = false;
  /// Rows of one chunk; a multiple of those of a register tile.
  int64_t rowsPerChunk = 128;
  /// Tiles of 4 rows and 16 columns, for 16 vector registers, and epilogues one
  /// vector after the other. Chunks stay those of the tuning.
  bool smallTile = false;
  /// What the machine decides.
  GemmTuning tuning;

  /// Takes a choice, and chunks that fit it.
  void setTuning(const GemmTuning &choice) {
    tuning = choice;
    rowsPerChunk = choice.chunkRows(rowsPerChunk);
  }
};

/// The f32 kernel's result is f32, whatever `out` says.
using FloatGemmShape = GemmShape;

/// chunks(base = rows, divide, multiply) of a launch.
struct GemmChunks {
  int64_t divide = 1, multiply = 1;
};

/// How the columns are cut: tiles of `width` 16-column panels, `perChunk` tiles
/// to a chunk, `count` tiles in all.
struct GemmPanels {
  int64_t width = 1, count = 1, perChunk = 1;
};
GemmPanels getGemmPanels(const GemmShape &shape);
GemmChunks getGemmChunks(const GemmShape &shape);

/// Scratch bytes that the u8 kernel of `shape` needs.
int64_t getGemmScratchBytes(const GemmShape &shape);

/// A name that differs wherever the kernel does, such as
/// `linear_u8_768x3072_gelu_u8`.
std::string getGemmName(const GemmShape &shape);
std::string getFloatGemmName(const GemmShape &shape);

/// u8 x s8 with exact i32 accumulators. Buffers, in order:
///   x          i8   [rows][xStride], u8 codes
///   w          i8   packed as by packGemmWeights, in weightBits
///   correction i32  [n up to 16]: first value of each accumulator
///   zeros      i32  [n up to 16]: of the weights; only with hasZeros
///   multiplier f32  [n up to 16]
///   offset     f32  [n up to 16]
///   post       f32  [2] = {multiplier, offset}; only with an activation and
///                   codes as the result
///   y          i8, i16 or f32 [rows][outStride]
/// With hasZeros, zeros[n] times the sum of a row's codes is taken off acc.
/// v = f32(acc) * multiplier + offset; without activation the code is v rounded
/// and clamped, with one it is act(v) * post[0] + post[1]. An f32 result is v
/// or act(v). Columns up to the next multiple of 16 must have readable
/// constants. With `fixed`, in place of multiplier, offset and post:
///   outputs    i8   blocks of packFixed for the columns
///   post       i8   one block; only with an activation
/// and a result in codes, as a fixed tq.qlinear has it.
/// It also appends the variants `NAME.library`, `NAME.tiles` and `NAME.small`,
/// see GemmLibrary.h, GemmTiles.h and GemmShape::smallTile.
mlir::func::FuncOp buildGemm(mlir::ModuleOp module, llvm::StringRef name,
                             const GemmShape &shape);

/// f32 with products and sums rounded one by one, k ascending from 0, then the
/// bias. Buffers, in order:
///   x f32 [rows][xStride], w f32 packed as by packFloatGemmWeights,
///   bias f32 [n up to 16], y f32 [rows][outStride]
mlir::func::FuncOp buildFloatGemm(mlir::ModuleOp module, llvm::StringRef name,
                                  const GemmShape &shape);

/// As buildFloatGemm, with weights scale * code, rounded to f32. Buffers:
///   x f32, w i8 packed as by packCodedGemmWeights in weightBits,
///   scales f32 [n up to 16], bias, y
mlir::func::FuncOp buildCodedFloatGemm(mlir::ModuleOp module,
                                       llvm::StringRef name,
                                       const GemmShape &shape);
std::string getCodedFloatGemmName(const GemmShape &shape);

/// Bytes of [ceil(n / 16)][ceil(k * bits / 8)][16], where each byte holds the
/// codes of 8 / bits neighbouring k, the first lowest.
int64_t packedCodedGemmBytes(int64_t n, int64_t k, int64_t bits);
void packCodedGemmWeights(const int8_t *w, int64_t n, int64_t k, int64_t bits,
                          int8_t *packed);

/// Elements of [ceil(n / 16)][k][16].
int64_t packedFloatGemmSize(int64_t n, int64_t k);
void packFloatGemmWeights(const float *w, int64_t n, int64_t k, float *packed);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMM_H
