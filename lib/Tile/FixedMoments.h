//===- FixedMoments.h - Mean and deviation of rows of codes -----*- C++ -*-===//
//
// qi_row_moments of integer_norm.h for a few rows in step. The numbers of the
// rows, codes that are shifted up, all alike or by channel, are put in scratch
// memory on the way.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDMOMENTS_H
#define QUERN_LIB_TILE_FIXEDMOMENTS_H

#include "lib/Tile/KernelBuilder.h"

#include <vector>

namespace quern {

/// What of a row its LayerNorm needs: the mean (i32), and as i64 the squares of
/// what is above it, cut by so many bits, and the deviation.
struct RowMoments {
  mlir::Value mean, squares, cut, deviation;
};

class FixedMoments {
public:
  using Value = mlir::Value;
  using Values = KernelBuilder::Values;
  /// Of each row, the codes of the 16 columns from `column` on.
  using Codes = llvm::function_ref<Values(Value column)>;

  /// `sum` is the range of the codes. With `byChannel` each channel has its
  /// factor, and codes are taken less the zero point, both from `channels`.
  FixedMoments(KernelBuilder &k, int64_t d, int64_t rows, CodeRange sum,
               bool byChannel, Value channels);

  /// Puts the numbers of all rows in scratch memory.
  std::vector<RowMoments> take(Codes codes);
  /// The numbers of 16 columns of a row: i32.
  Value loadNumbers(int64_t row, Value column);
  /// Whether a deviation may be 1.
  bool mayBeOne() const { return !hasBytes(); }

  /// Scratch bytes of `rows` rows.
  static int64_t scratchBytes(int64_t d, int64_t rows);

private:
  /// Whether codes are bytes and are all shifted up alike: then their sum and
  /// that of their squares give the deviation.
  bool hasBytes() const { return !byChannel && bits <= 8; }
  /// Whether numbers are of 9 to 16 bits, and are multiplied in pairs.
  bool hasPairs() const { return !byChannel && bits > 8; }
  /// The numbers of codes.
  Value numbersOf(Value codes, Value column, Value mask);
  Value placeOf(int64_t row, Value column);
  std::vector<RowMoments> putNumbers(Codes codes);
  std::vector<RowMoments> putBytes(Codes codes);
  std::vector<RowMoments> putPairs(Codes codes);
  /// Visits all rows in 32 columns at a time; the mask is null but for the last
  /// ones of a width that is no multiple.
  using PairBody = llvm::function_ref<Values(
      int64_t row, Value numbers, Value mask, llvm::ArrayRef<Value> carried)>;
  Values overPairs(llvm::ArrayRef<Value> initial, PairBody body);
  void cutPairs(llvm::MutableArrayRef<RowMoments> moments);
  /// The sums of squares of all rows; `state` has the squares and the cut of
  /// each.
  Values squaresOfPairs(llvm::ArrayRef<RowMoments> moments,
                        llvm::ArrayRef<Value> state);
  RowMoments momentsOfBytes(Value sum, Value squares);
  Value meanOf(Value sum);
  /// The sum of squares over the first `columns` columns, cut by so many bits.
  Value squares(int64_t row, Value mean, Value cut, Value columns);
  void cutSquares(int64_t row, RowMoments &moments);
  void findDeviations(std::vector<RowMoments> &moments);

  KernelBuilder &k;
  int64_t d, rows;
  /// Bits of the codes.
  int bits;
  bool byChannel;
  Value channels, zero;
};

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDMOMENTS_H
