//===- Embed.h - Embedding kernels ----------------------------------------===//
//
// Three look-ups, their sums and a LayerNorm: tq.qembed on s8 tables, or the
// same in f32. Chunks are blocks of rows: chunks(base = tokens,
// divide = kRowsPerChunk).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_EMBED_H
#define QUERN_LIB_TILE_EMBED_H

#include "lib/Tile/Norm.h"

namespace quern {

/// What of the embedding is fixed when the kernel is built. Strides count
/// elements. Rows of a table are read in whole blocks of 16 columns, so
/// tableStride is at least d rounded up to 16 (or the data has slack).
struct EmbedShape {
  int64_t d = 0;
  int64_t tableStride = 0, outStride = 0, tapStride = 0;
  /// True where a table has a scale per row, false where it has one.
  bool wordScales = false, typeScales = false, positionScales = false;
  /// Bits of the codes of the word, type and position table: 8, 4 or 2. Rows
  /// are as by packTableRow, which of 8 bits are tableStride bytes.
  std::array<int64_t, 3> tableBits = {8, 8, 8};
  /// The same for the float kernel, where 32 is a table of numbers.
  std::array<int64_t, 3> realBits = {32, 32, 32};
  Storage e1 = Storage::U8, e2 = Storage::U8, out = Storage::U8;
  CodeRange e1Range, e2Range, outRange;
  /// Zero points of the sums, for the fixed kernel.
  int64_t e1Zero = 0, e2Zero = 0;
  /// Of the fixed kernel: whether each channel of the second sum has a factor.
  bool factors = false;
  /// isNarrow and isPlain of its LayerNorm.
  bool narrow = false, plain = false;
};

/// The 16 codes from column `i` (a multiple of 16) on, of the row that starts
/// at `row` in a table of `bits` bits.
mlir::Value loadTableCodes(KernelBuilder &k, mlir::Value table, mlir::Value row,
                           mlir::Value i, int64_t bits);
/// The number of a row: the index of the token's word (buffer 0), type (1) or
/// position (2).
mlir::Value embeddingRow(KernelBuilder &k, unsigned which, mlir::Value token);

/// The constants of tq.qembed; data() is the content of the `params` buffer.
struct QEmbedParams {
  float e1Multiplier, e1Zero, e1Scale, e2Multiplier, e2Zero;

  static constexpr int64_t size = 16;
  std::array<float, size> data() const;
};

/// Buffers: ids, types, positions (i32), word, type, position (i8 tables),
/// their scales (f32), params f32, gamma, beta (f32), norm (i8,
/// CodeNormParams of e2), out, and the taps of e1 and e2 (codes).
mlir::func::FuncOp buildQEmbed(mlir::ModuleOp module, llvm::StringRef name,
                               const EmbedShape &shape);

/// Buffers: ids, types, positions (i32), word, type, position (tables of f32,
/// or i8 as realBits says), gamma, beta, params f32 [1] (eps), with any table
/// in codes the scales of all three, out, and the taps of word + type and of
/// the whole sum; f32.
mlir::func::FuncOp buildEmbed(mlir::ModuleOp module, llvm::StringRef name,
                              const EmbedShape &shape);

/// One table alone.
struct LookupShape {
  int64_t d = 0, tableStride = 0, outStride = 0;
  /// 32 for a table of numbers, else bits of its codes.
  int64_t bits = 32;
  /// A scale per row rather than one.
  bool rowScales = false;
};

/// Buffers: indices i32, table f32 [rows][tableStride] or i8 as by
/// packTableRow, out f32 [tokens][outStride]; with codes also scales f32.
mlir::func::FuncOp buildLookup(mlir::ModuleOp module, llvm::StringRef name,
                               const LookupShape &shape);

/// Scratch bytes of one call.
int64_t qembedScratch(const EmbedShape &shape);
int64_t embedScratch(const EmbedShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_EMBED_H
