//===- FixedNorm.h - LayerNorm of one row of codes, without floats --------===//
//
// qi_layer_norm of integer_norm.h: an integer square root and one division for
// the row, products and shifts for its elements. Sums are shifted up, all alike
// or by channel, when they are put in the row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDNORM_H
#define QUERN_LIB_TILE_FIXEDNORM_H

#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/FixedPoint.h"
#include "quern/integer_norm.h"

#include <vector>

namespace quern {

/// Content of the i8 buffer `channels`: the shift, 2^(shift - 1) - 1 and the
/// zero point in 64 bytes, then 16 gains (i32), 16 biases (i64) and 16 powers
/// of two (i32) at a time, of which `factors` has the exponents.
std::vector<int8_t> packChannels(llvm::ArrayRef<qi_channel> channels, int shift,
                                 llvm::ArrayRef<uint8_t> factors, int32_t zero);

/// Whether every result is below 2^29 in size, as of qi_affine.
bool isNarrow(llvm::ArrayRef<qi_channel> channels, int shift);

/// Whether a kernel may leave out ties, and take the upper halves of 64 bits
/// only: no normalized value gives one, shifts are of 32 bits or more, and
/// results are narrow.
bool isPlain(llvm::ArrayRef<qi_channel> channels, int shift);

/// What of the arithmetic is fixed when a kernel is built.
struct FixedNormForm {
  /// Each channel has its factor, and codes are taken less the zero point.
  bool byChannel = false;
  /// isNarrow and isPlain of the channels.
  bool narrow = false, plain = false;
};

/// Rows that a residual sum normalizes side by side: their constants are loaded
/// once, and the latencies of one hide in the others.
constexpr int64_t kNormRows = 4;

/// LayerNorm over the sums of a few rows, in step.
class FixedNorm {
public:
  using Value = mlir::Value;
  using Values = KernelBuilder::Values;

  /// `sum` is the range of the sum's codes.
  FixedNorm(KernelBuilder &k, int64_t d, int64_t rows, CodeRange sum,
            FixedNormForm form, Value channels, Value out, CodeRange range);

  /// Takes the codes of the sums of each row in 16 columns from `codes`, and
  /// writes those of the normalized rows at `outOffsets`.
  void normalize(llvm::function_ref<Values(Value column)> codes,
                 llvm::ArrayRef<Value> outOffsets);

private:
  /// Of a row: the mean (i32), and the rest as i64.
  struct Moments {
    Value mean, squares, cut, deviation;
  };
  using Codes = llvm::function_ref<Values(Value column)>;

  /// Whether codes are bytes and are all shifted up alike: then their sum and
  /// that of their squares give the deviation.
  bool hasBytes() const { return !form.byChannel && bits <= 8; }
  /// Where the channels of a block of columns lie.
  Value channelsAt(Value column);
  /// The numbers of the sum's codes.
  Value numbersOf(Value codes, Value column, Value mask);
  Value placeOf(int64_t row, Value column);
  Value loadSum(int64_t row, Value column);
  Value factorAt(int64_t row);
  std::vector<Moments> putSums(Codes codes);
  std::vector<Moments> putBytes(Codes codes);
  Moments momentsOfBytes(Value sum, Value squares);
  Value meanOf(Value sum);
  /// The sum of squares over the first `columns` columns, cut by so many bits.
  Value squares(int64_t row, Value mean, Value cut, Value columns);
  void cutSquares(int64_t row, Moments &moments);
  void findDeviations(std::vector<Moments> &moments);
  /// The codes of numbers in units of 2^-shift, to which a half was added.
  Value codesOf(const WideLanes &numbers);
  void putCodes(llvm::ArrayRef<Moments> moments,
                llvm::ArrayRef<Value> outOffsets);

  KernelBuilder &k;
  int64_t d, rows;
  /// Bits of the sum's codes.
  int bits;
  FixedNormForm form;
  Value channels, out, zero, shiftAbove;
  WideLanes shift, rest;
  CodeRange range;
};

/// Scratch bytes of one call of the kernels below.
int64_t fixedNormScratch(int64_t d);

/// A fixed tq.qadd_norm; with `byChannel`, of a sum with power-of-two factors.
/// Buffers: a, b (codes), a's constants with mo and b's
/// without (i8, packTerm), channels (i8, packChannels), out, and the tap of
/// the sum.
mlir::func::FuncOp buildFixedAddNorm(mlir::ModuleOp module,
                                     llvm::StringRef name,
                                     const AddNormShape &shape,
                                     bool byChannel = false);

/// A fixed tq.qembed. Buffers: ids, types, positions (i32), word, type,
/// position (i8 tables), the constants of their rows (i32, mantissa and shift
/// of each), first (i8, packFixed), channels (i8, packChannels), with factors
/// the powers of two of the channels (i32, up to a multiple of 16), out, and
/// the taps of e1 and e2.
mlir::func::FuncOp buildFixedEmbed(mlir::ModuleOp module, llvm::StringRef name,
                                   const EmbedShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDNORM_H
