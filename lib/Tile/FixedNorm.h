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
#include "quern/integer_norm.h"

#include <vector>

namespace quern {

/// Content of the i8 buffer `channels`: the shift, 2^(shift - 1) - 1 and the
/// zero point in 64 bytes, then 16 gains (i32), 16 biases (i64) and 16 powers
/// of two (i32) at a time, of which `factors` has the exponents.
std::vector<int8_t> packChannels(llvm::ArrayRef<qi_channel> channels, int shift,
                                 llvm::ArrayRef<uint8_t> factors, int32_t zero);

/// LayerNorm over the sums of a row, which putSums has put there.
class FixedNorm {
public:
  /// `sum` is the range of the sum's codes. With `byChannel` each channel has
  /// its factor and codes are taken less the zero point.
  FixedNorm(KernelBuilder &k, int64_t d, CodeRange sum, bool byChannel,
            mlir::Value channels, mlir::Value out, CodeRange range);

  /// Stores the numbers of the sum's codes in the columns [column, column +
  /// 16).
  void putSums(mlir::Value codes, mlir::Value column, mlir::Value mask);

  /// Normalizes the row and writes its codes at `outOffset`.
  void finish(mlir::Value outOffset);

  /// Scratch bytes of a row of d columns.
  static int64_t scratchBytes(int64_t d);

private:
  /// Where the channels of a block of columns lie.
  mlir::Value channelsAt(mlir::Value column);
  mlir::Value loadSum(mlir::Value column);
  /// The number of 16 columns less the mean; 0 beyond the row.
  mlir::Value centred(mlir::Value column, mlir::Value mask, mlir::Value mean);
  /// Mean (i32) and deviation (i64) of qi_row_moments.
  std::pair<mlir::Value, mlir::Value> moments();
  mlir::Value meanOf();
  mlir::Value squares(mlir::Value mean, mlir::Value cut, mlir::Value columns);

  KernelBuilder &k;
  int64_t d;
  /// Bits of the sum's codes.
  int bits;
  bool byChannel;
  mlir::Value channels, out, shift, below, zero;
  CodeRange range;
};

/// Scratch bytes of one call of the kernels below.
int64_t fixedNormScratch(int64_t d);

/// A fixed tq.qadd_norm; with `byChannel`, of a sum with power-of-two factors.
/// Buffers: a, b (codes), a's constants with mo and b's
/// without (i8, packFixed), channels (i8, packChannels), out, and the tap of
/// the sum.
mlir::func::FuncOp buildFixedAddNorm(mlir::ModuleOp module,
                                     llvm::StringRef name,
                                     const AddNormShape &shape,
                                     bool byChannel = false);

/// A fixed tq.qembed. Buffers: ids, types, positions (i32), word, type,
/// position (i8 tables), the constants of their rows (i32, mantissa and shift
/// of each), first (i8, packFixed), channels (i8, packChannels), out, and the
/// taps of e1 and e2.
mlir::func::FuncOp buildFixedEmbed(mlir::ModuleOp module, llvm::StringRef name,
                                   const EmbedShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDNORM_H
