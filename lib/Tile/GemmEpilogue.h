//===- GemmEpilogue.h - From the sums of a tile to its result -------------===//
//
// What the integer GEMM kernels do once a register tile is summed: scale, add
// the offset, activate, requantize, store.
//
// A long epilogue would leave the dot-product units idle, and these leave the
// adders idle. So with an activation the sums of a tile wait in scratch
// memory, and the inner loop of the next tile finishes one vector of them now
// and then. The first tile of a call finds no sums there: what it finishes is
// its own place, which is written again later.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMEPILOGUE_H
#define QUERN_LIB_TILE_GEMMEPILOGUE_H

#include "lib/Tile/FixedPoint.h"

namespace quern {

/// What the sums are when they come to the epilogue.
enum class GemmSums {
  /// i32, to be multiplied.
  Integer,
  /// f32, to be multiplied.
  Real,
  /// f32, multiplied already.
  Scaled
};

/// The operands of every integer GEMM from the multiplier on; a fixed one has
/// blocks of constants as its multiplier, and no offset.
struct GemmResult {
  mlir::Value multiplier, offset, post, y;
};

/// Appends the element types of these operands to those of the first ones.
void addResultElements(mlir::Builder &b, const GemmShape &shape,
                       llvm::SmallVectorImpl<mlir::Type> &elements);
/// The operands, of which the multiplier is buffer `first`.
GemmResult resultOperands(KernelBuilder &k, const GemmShape &shape,
                          unsigned first);

/// True if the epilogue of a tile is long enough to be done during the next
/// one, and may be: it writes the whole of its first tile twice.
bool hasLateEpilogue(const GemmShape &shape);

/// Bytes that `vectors` waiting sums take.
inline int64_t lateEpilogueBytes(int64_t vectors) { return vectors * 64 + 64; }

/// Those of a product of all of k over tiles of `rows` rows; 0 where its
/// epilogue is not late, or its turns are too few to finish a tile.
int64_t lateScratchBytes(const GemmShape &shape, int64_t rows);

/// Emits the end of tiles of up to `rows` rows.
class GemmEpilogue {
public:
  using Values = KernelBuilder::Values;

  /// If `late`, scratch memory begins with lateEpilogueBytes(vectors()), for
  /// small tiles with kSmallScratchBytes.
  GemmEpilogue(KernelBuilder &k, const GemmShape &shape,
               const GemmResult &operands, GemmSums sums, int64_t rows,
               bool late);

  bool late() const { return isLate; }
  /// Vectors of 16 sums in a whole tile.
  int64_t vectors() const { return rows * width; }
  /// Turns, and so vectors that wait, that go into one body of the inner loop:
  /// the chain of one is longer than a turn. Real sums, with two planes, wait
  /// for fewer turns, and their kernels spill less so.
  int64_t chains() const { return sums == GemmSums::Integer ? 2 : 1; }

  /// To be called before the first tile and after the last one.
  void start();
  void end();

  /// Ends a tile whose sums are `sum(row, panel)`, now or late.
  void finish(const GemmTile &tile,
              llvm::function_ref<mlir::Value(int64_t, int64_t)> sum);

  /// Where the tile lies that waits: its first element of y and its first
  /// column.
  struct Pending {
    mlir::Value at, column;
  };
  Pending loadPending();
  /// Finishes vector `i` of the tile that waits. Each of its vectors() must be
  /// finished before the next tile is.
  void finishOne(const Pending &pending, mlir::Value i);

  /// The constants of 16 columns.
  struct Constants {
    mlir::Value multiplier, offset;
    FixedLanes fixed;
  };
  Constants constantsAt(mlir::Value column);
  /// From sums to what is stored, several in step: each is a long chain of
  /// operations.
  void convert(Values &values, const Constants &constants);
  /// Stores what convert makes, from element `at` of the result on.
  void store(mlir::Value v, mlir::Value at);

private:
  /// Finishes the rows of a small tile one after the other, so that the code
  /// of one serves all: registers hold the chain of one vector.
  void finishInTurn(const GemmTile &tile,
                    llvm::function_ref<mlir::Value(int64_t, int64_t)> sum);
  void keep(const GemmTile &tile,
            llvm::function_ref<mlir::Value(int64_t, int64_t)> sum);
  void storePending(const GemmTile &tile);

  void convertFixed(Values &values, const FixedLanes &outputs);

  KernelBuilder &k;
  const GemmShape &shape;
  GemmResult operands;
  GemmSums sums;
  int64_t rows, width;
  bool isLate;
};

/// As multiplyTurns over all turns; the first of them finish the tile that
/// waits, a vector each. There must be as many, if the epilogue is late.
KernelBuilder::Values multiplyTile(KernelBuilder &k, const GemmStream &stream,
                                   const GemmTile &tile,
                                   const GemmInputs &inputs, mlir::Value start,
                                   KernelBuilder::Values sums,
                                   GemmEpilogue &epilogue);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMEPILOGUE_H
