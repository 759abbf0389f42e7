//===- FixedNorm.h - LayerNorm of one row of codes, without floats --------===//
//
// qi_layer_norm of integer_norm.h: an integer square root and one division for
// the row, products and shifts for its elements.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDNORM_H
#define QUERN_LIB_TILE_FIXEDNORM_H

#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/FixedChannels.h"
#include "lib/Tile/FixedMoments.h"
#include "lib/Tile/FixedPoint.h"

namespace quern {

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

  /// `sum` is the range of the sum's codes.
  FixedNorm(KernelBuilder &k, int64_t d, int64_t rows, CodeRange sum,
            FixedNormForm form, Value channels, Value out, CodeRange range);

  /// Takes the codes of the sums of each row in 16 columns from `codes`, and
  /// writes those of the normalized rows at `outOffsets`.
  void normalize(FixedMoments::Codes codes, llvm::ArrayRef<Value> outOffsets);

private:
  Value factorAt(int64_t row);
  /// The codes of numbers in units of 2^-shift, to which a half was added.
  Value codesOf(const WideLanes &numbers);
  void putCodes(llvm::ArrayRef<RowMoments> moments,
                llvm::ArrayRef<Value> outOffsets);

  KernelBuilder &k;
  int64_t d, count;
  FixedNormForm form;
  Value channels, out, shiftAbove;
  WideLanes shift, rest;
  CodeRange range;
  FixedMoments rows;
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
