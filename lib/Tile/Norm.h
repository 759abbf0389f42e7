//===- Norm.h - LayerNorm of one row, and rows in blocks ------------------===//
//
// Parts shared by the kernels that end in a LayerNorm, and the walk over rows
// that all row kernels use.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_NORM_H
#define QUERN_LIB_TILE_NORM_H

#include "lib/Tile/KernelBuilder.h"

#include <array>

namespace quern {

/// Rows that a kernel works on: those of all tokens, or one per sequence.
enum class RowsOf { Tokens, Sequences };

/// Rows of one chunk: a launch is chunks(base = tokens or sequences,
/// divide = kRowsPerChunk). With few, so that threads share short texts, too: a
/// row takes about as long as handing a chunk to a thread.
constexpr int64_t kRowsPerChunk = 4;

/// Runs `body` for each row of the chunks [begin, end).
void forEachRow(KernelBuilder &k, RowsOf rows,
                llvm::function_ref<void(mlir::Value)> body);

/// The same for `together` rows at a time; in place of rows beyond the last the
/// last comes again.
void forEachRows(KernelBuilder &k, RowsOf rows, int64_t together,
                 llvm::function_ref<void(llvm::ArrayRef<mlir::Value>)> body);

/// A LayerNorm over codes as constants: three doubles, as bytes.
struct CodeNormParams {
  double scale, factor, eps;

  /// `sumScale` of the codes, width d. factor = scale^2 / (d * d).
  CodeNormParams(float sumScale, int64_t d, double eps);
  static constexpr int64_t size = 24;
  /// Content of the i8 buffer `norm`.
  std::array<int8_t, size> data() const;
};

/// A row of d codes at the start of the scratch memory.
class CodeRow {
public:
  CodeRow(KernelBuilder &k, int64_t d, Storage sum) : k(k), d(d), sum(sum) {}

  /// Stores the codes of the columns [column, column + 16).
  void putCodes(mlir::Value codes, mlir::Value column, mlir::Value mask);

  /// Scratch bytes of a row of d columns.
  static int64_t scratchBytes(int64_t d, Storage sum);

protected:
  mlir::Value loadSum(mlir::Value column);

  KernelBuilder &k;
  int64_t d;
  Storage sum;
};

/// LayerNorm over codes. The codes of the row are put in scratch memory first
/// (putCodes), then finish() writes the normalized row.
class CodeNorm : public CodeRow {
public:
  /// `d` columns of sum codes of `sum` storage. `norm`, `gamma`, `beta` and
  /// `out` are buffers.
  CodeNorm(KernelBuilder &k, int64_t d, Storage sum, mlir::Value norm,
           mlir::Value gamma, mlir::Value beta, mlir::Value out,
           CodeRange range);

  /// Normalizes the row and writes it at `outOffset`.
  void finish(mlir::Value outOffset);
  /// Normalizes the row and hands over 16 reals at each column.
  void forEachResult(
      llvm::function_ref<void(mlir::Value column, mlir::Value y)> body);

private:
  /// Sum of codes and of their squares, as i64.
  std::pair<mlir::Value, mlir::Value> sums();
  std::pair<mlir::Value, mlir::Value> byteSums();

  mlir::Value gamma, beta, out, scale, factor, eps;
  CodeRange range;
};

/// Sum of 16-lane blocks in the contract's order: lane l adds elements l,
/// l + 16, ..., then the tree. `value` gives a block.
mlir::Value sumColumns(KernelBuilder &k, int64_t d,
                       llvm::function_ref<mlir::Value(mlir::Value)> value);

/// LayerNorm in f32 of the d numbers at `offset` (in bytes) of the scratch
/// memory, written to the f32 buffer `out` at `outOffset`. `eps` is a scalar.
void emitRealNorm(KernelBuilder &k, int64_t d, mlir::Value offset,
                  mlir::Value gamma, mlir::Value beta, mlir::Value eps,
                  mlir::Value out, mlir::Value outOffset);

} // namespace quern

#endif // QUERN_LIB_TILE_NORM_H
