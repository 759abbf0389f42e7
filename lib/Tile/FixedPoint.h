//===- FixedPoint.h - Requantization and activations without floats -------===//
//
// The functions of integer_requant.h and integer_activation.h in 16 lanes. Sums
// and codes are i32, products i64. Constants lie in i8 buffers, in blocks of 16
// columns, as packFixed lays them out.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDPOINT_H
#define QUERN_LIB_TILE_FIXEDPOINT_H

#include "lib/Tile/GemmParts.h"
#include "quern/integer_requant.h"

#include <vector>

namespace quern {

/// Bytes of the constants of 16 columns.
constexpr int64_t kFixedBlockBytes = 64 + 3 * 128;

/// Constants of columns, of which missing ones of the last block give 0.
std::vector<int8_t> packFixed(llvm::ArrayRef<qi_affine> columns);
/// One constant for all columns: a block of 16 equal ones.
std::vector<int8_t> packFixed(const qi_affine &all);

/// A qi_affine in each of 16 lanes.
struct FixedLanes {
  mlir::Value mantissa; ///< i32
  mlir::Value shift;    ///< i64
  /// 2^(shift - 1) - 1
  mlir::Value below;
  /// Null for none.
  mlir::Value offset;
};

/// The constants of columns [column, column + 16).
FixedLanes loadFixed(KernelBuilder &k, mlir::Value buffer, mlir::Value column);
/// Mantissa and shift of scalars (i32), no offset, in each lane.
FixedLanes broadcastFixed(KernelBuilder &k, mlir::Value mantissa,
                          mlir::Value shift);

/// v / 2^shift to the nearest, ties to even: i64 to i64.
mlir::Value roundShift(KernelBuilder &k, mlir::Value v, mlir::Value shift,
                       mlir::Value below);
/// v limited to [lo, hi]: i64 to i32.
mlir::Value limitTo32(KernelBuilder &k, mlir::Value v, int64_t lo, int64_t hi);
/// qi_at: i32 to i64.
mlir::Value fixedAt(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes);
/// qi_code: i32 to i32.
mlir::Value fixedCode(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes,
                      int64_t lo, int64_t hi);
/// fixedCode within a range of codes.
mlir::Value fixedCode(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes,
                      CodeRange range);

/// An activation of integer_activation.h; i32 to i32, not for None.
mlir::Value fixedActivate(KernelBuilder &k, GemmActivation activation,
                          mlir::Value t);

/// Signed minimum and maximum.
mlir::Value minSigned(KernelBuilder &k, mlir::Value a, mlir::Value b);
mlir::Value maxSigned(KernelBuilder &k, mlir::Value a, mlir::Value b);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDPOINT_H
