//===- FixedPoint.h - Requantization and activations without floats -------===//
//
// The functions of integer_requant.h and integer_activation.h in 16 lanes. Sums
// and codes are i32, products i64, as two vectors of every other lane: x86
// multiplies those without moving a lane. Constants lie in i8 buffers, in
// blocks of 16 columns, as packFixed lays them out.
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

/// Whether every result for |q| <= most is below 2^29 in size: then results,
/// and sums of two, are limited in 32 bits.
bool isNarrow(llvm::ArrayRef<qi_affine> all, double most);

/// 16 numbers of 64 bits: those of the even lanes and those of the odd lanes,
/// vector<8xi64> each, which is how products of 32-bit lanes come.
struct WideLanes {
  mlir::Value even, odd;
};

/// A qi_affine in each of 16 lanes.
struct FixedLanes {
  WideLanes mantissa; ///< of 32 bits, with sign
  WideLanes shift;
  /// The offset, if any, and 2^(shift - 1).
  WideLanes offset;
  /// 2^shift - 1
  WideLanes rest;
  /// As isNarrow.
  bool narrow;
};

/// The constants of columns [column, column + 16).
FixedLanes loadFixed(KernelBuilder &k, mlir::Value buffer, mlir::Value column,
                     bool narrow = false);
/// Mantissa and shift of scalars (i32), no offset, in each lane.
FixedLanes broadcastFixed(KernelBuilder &k, mlir::Value mantissa,
                          mlir::Value shift);

/// The even and the odd lanes of vector<16xi32>, with sign.
WideLanes widen(KernelBuilder &k, mlir::Value v);
/// The 16 numbers of 64 bits at byte `offset` of an i8 buffer.
WideLanes loadWide(KernelBuilder &k, mlir::Value buffer, mlir::Value offset);
/// f for even and odd lanes.
WideLanes eachHalf(llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> f,
                   const WideLanes &a, const WideLanes &b);
/// The lower 32 bits of all lanes, in order.
mlir::Value join(KernelBuilder &k, const WideLanes &v);

/// Bits 32 to 63 of all lanes, in order.
mlir::Value joinUpper(KernelBuilder &k, const WideLanes &v);

/// (v - 2^(shift - 1)) / 2^shift to the nearest, ties to even; `rest` is
/// 2^shift - 1.
WideLanes roundShift(KernelBuilder &k, const WideLanes &v,
                     const WideLanes &shift, const WideLanes &rest);
/// v limited to [lo, hi]: to i32. `narrow`: v fits 32 bits.
mlir::Value limitTo32(KernelBuilder &k, const WideLanes &v, int64_t lo,
                      int64_t hi, bool narrow);
/// qi_at of i32 lanes.
WideLanes fixedAt(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes);
/// qi_code: i32 to i32.
mlir::Value fixedCode(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes,
                      int64_t lo, int64_t hi);
/// fixedCode within a range of codes.
mlir::Value fixedCode(KernelBuilder &k, mlir::Value q, const FixedLanes &lanes,
                      CodeRange range);

/// An activation of integer_activation.h; i32 to i32, not for None.
mlir::Value fixedActivate(KernelBuilder &k, GemmActivation activation,
                          mlir::Value t);

/// An i64 in each of 8 lanes, twice.
WideLanes wideSplat(KernelBuilder &k, mlir::Value v);

/// Signed minimum and maximum.
mlir::Value minSigned(KernelBuilder &k, mlir::Value a, mlir::Value b);
mlir::Value maxSigned(KernelBuilder &k, mlir::Value a, mlir::Value b);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDPOINT_H
