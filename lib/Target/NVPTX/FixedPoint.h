//===- FixedPoint.h - Requantization without floats -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The functions of integer_requant.h, one lane at a time, on constants as
// packFixed of lib/Tile/FixedPoint.h lays them out.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_FIXEDPOINT_H
#define QUERN_LIB_TARGET_NVPTX_FIXEDPOINT_H

#include "lib/Target/NVPTX/DeviceBuilder.h"

namespace quern::nvptx {

/// Bytes of the constants of 16 columns.
inline constexpr int64_t kFixedBytes = 64 + 3 * 128;

/// A qi_affine.
struct FixedScale {
  mlir::Value mantissa; ///< i32
  mlir::Value shift;    ///< i64, as what follows
  /// 2^(shift - 1) - 1
  mlir::Value below;
  /// Null for none.
  mlir::Value offset;
};

/// Constants of a column; of column 0 without one.
FixedScale loadFixed(DeviceBuilder &k, mlir::Value pointer,
                     mlir::Value column = {});
/// Those without an offset that mantissa and shift (i32) make.
FixedScale makeFixed(DeviceBuilder &k, mlir::Value mantissa, mlir::Value shift);

/// v / 2^shift to the nearest, ties to even: i64 to i64.
mlir::Value roundShift(DeviceBuilder &k, mlir::Value v, mlir::Value shift,
                       mlir::Value below);
/// v (i64) limited to [lo, hi] (i32), as i32.
mlir::Value limitTo32(DeviceBuilder &k, mlir::Value v, mlir::Value lo,
                      mlir::Value hi);
/// qi_at: i32 to i64.
mlir::Value fixedAt(DeviceBuilder &k, mlir::Value q, const FixedScale &scale);
/// qi_code: i32 to i32.
mlir::Value fixedCode(DeviceBuilder &k, mlir::Value q, const FixedScale &scale,
                      mlir::Value lo, mlir::Value hi);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_FIXEDPOINT_H
