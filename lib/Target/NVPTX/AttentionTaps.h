//===- AttentionTaps.h - Where a block writes its taps --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ATTENTIONTAPS_H
#define QUERN_LIB_TARGET_NVPTX_ATTENTIONTAPS_H

#include "lib/Target/NVPTX/DeviceBuilder.h"

namespace quern::nvptx {

/// The head and sequence of a block: the first token of the sequence, and where
/// those of all begin. With `firstQuery` a tap has one row for each sequence,
/// otherwise one for each token.
struct TapBlock {
  mlir::Value offsets, sequences, sequence, headIndex, first;
  bool firstQuery;
};

/// Elements of a tap (i64) that come before the block's. `counted` are the
/// sequences, or 0 where nobody wants to know and none need be added up.
mlir::Value tapBase(DeviceBuilder &k, const TapBlock &block,
                    mlir::Value counted);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ATTENTIONTAPS_H
