//===- GroupNorm.h - Residual sum and LayerNorm of grouped codes ----------===//
//
// tq.qadd_norm whose sum has groups of channels, or whose result has its
// channels in another order.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GROUPNORM_H
#define QUERN_LIB_TILE_GROUPNORM_H

#include "dialects/TQ/TQTypes.h"
#include "lib/Tile/AddNorm.h"

#include <vector>

namespace quern {

/// A residual sum with groups or an order. The sum's codes of groups are u8.
struct GroupNormShape {
  AddNormShape norm;
  /// Groups of the sum; 0 where it has one scale.
  int64_t groups = 0;
  /// Every channel is a group of its own, in order.
  bool each = false;
  /// The result has its channels in another order.
  bool ordered = false;
};

/// What the statistics need of the groups, as bytes: eps and d in f64, then for
/// each group s and s * s in f64, n z, 2 z and n z z in i64.
std::vector<int8_t> groupNormParams(tq::GroupType type, double eps);

/// For each group a byte of 1 for each of its channels: [groups][d up to 64].
/// Empty if every channel is a group of its own.
std::vector<int8_t> groupNormMasks(tq::GroupType type);

/// Buffers: a, b, ma, mb, mo, gamma, beta as in buildQAddNorm; norm (i8,
/// CodeNormParams, or groupNormParams for groups); out; for groups also masks
/// (i8, groupNormMasks; some byte if `each`), zeros and scales (f32, by
/// channel); with an order also order (i32, by column); tap of the sum.
mlir::func::FuncOp buildGroupAddNorm(mlir::ModuleOp module,
                                     llvm::StringRef name,
                                     const GroupNormShape &shape);

int64_t groupAddNormScratch(const GroupNormShape &shape);

} // namespace quern

#endif // QUERN_LIB_TILE_GROUPNORM_H
