//===- GroupNorm.h - Residual sum and LayerNorm of grouped codes *- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.qadd_norm whose sum has groups of channels (PEG), or whose result has its
// channels in another order. One warp to a row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_GROUPNORM_H
#define QUERN_LIB_TARGET_NVPTX_GROUPNORM_H

#include "lib/Target/NVPTX/AddNorm.h"

namespace quern::nvptx {

/// What of the kernel is fixed when it is built.
struct GroupNormForm {
  AddNormForm norm;
  /// The sum has groups, each of a scale of its own; it is u8 then.
  bool grouped = false;
  /// The result has its channels in another order.
  bool ordered = false;
  /// Every channel is a group, in order; masks are not read.
  bool each = false;
};

/// An error where the form has no kernel.
Error checkGroupNorm(const GroupNormForm &form);

/// Such as `add_norm_768_u8_u8_u8_u8_groups_ordered`.
std::string getGroupNormName(const GroupNormForm &form);

/// Appends the kernel. Parameters as those of buildAddNorm, with
///   norm             groupNormParams of lib/Tile/GroupNorm.h, if grouped;
///                    behind it masks i8 [groups][maskStride], a 1 for each
///                    channel of a group, and zeros and scales f32 [d]
///   order            i32 [d], behind those: the channel of each column; only
///                    if ordered
///   maskStride, groups  i32, behind tapStride; only if grouped
void buildGroupNorm(mlir::ModuleOp module, const GroupNormForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_GROUPNORM_H
