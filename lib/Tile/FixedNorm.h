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
#include "quern/integer_norm.h"

#include <vector>

namespace quern {

/// Content of the i8 buffer `channels`: the shift and 2^(shift - 1) - 1 in 64
/// bytes, then 16 gains (i32) and 16 biases (i64) at a time.
std::vector<int8_t> packChannels(llvm::ArrayRef<qi_channel> channels,
                                 int shift);

/// LayerNorm over the codes of a row, which putCodes has put there.
class FixedNorm : public CodeRow {
public:
  FixedNorm(KernelBuilder &k, int64_t d, Storage sum, mlir::Value channels,
            mlir::Value out, CodeRange range);

  /// Normalizes the row and writes its codes at `outOffset`.
  void finish(mlir::Value outOffset);

private:
  /// The code of 16 columns less the mean; 0 beyond the row.
  mlir::Value centred(mlir::Value column, mlir::Value mask, mlir::Value mean);
  /// Mean (i32) and deviation (i64) of qi_row_moments.
  std::pair<mlir::Value, mlir::Value> moments();
  mlir::Value meanOf();
  mlir::Value squares(mlir::Value mean, mlir::Value cut, mlir::Value columns);

  mlir::Value channels, out, shift, below;
  CodeRange range;
};

/// A fixed tq.qadd_norm. Buffers: a, b (codes), a's constants with mo and b's
/// without (i8, packFixed), channels (i8, packChannels), out, and the tap of
/// the sum.
mlir::func::FuncOp buildFixedAddNorm(mlir::ModuleOp module,
                                     llvm::StringRef name,
                                     const AddNormShape &shape);

/// A fixed tq.qembed. Buffers: ids, types, positions (i32), word, type,
/// position (i8 tables), the constants of their rows (i32, mantissa and shift
/// of each), first (i8, packFixed), channels (i8, packChannels), out, and the
/// taps of e1 and e2.
mlir::func::FuncOp buildFixedEmbed(mlir::ModuleOp module, llvm::StringRef name,
                                   const EmbedShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDNORM_H
