//===- Gemm.h - Integer matrix products on tensor cores ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// y = requantize(x * W^T) for u8 x s8 codes with mma.sync, for every GPU from
// sm_80 on. The number of rows, widths, strides and constants are known at run
// time: one kernel serves all layers of one form.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_GEMM_H
#define QUERN_LIB_TARGET_NVPTX_GEMM_H

#include "lib/Target/NVPTX/Codes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <utility>
#include <vector>

namespace quern::nvptx {

/// Function applied before the result is stored or requantized.
/// IGelu is for fixed products only.
enum class Activation { None, Gelu, GeluTanh, Relu, Tanh, IGelu };
/// "none", "gelu", "gelu_tanh", "relu", "tanh" or "i_gelu".
llvm::StringRef activationName(Activation activation);
Expected<Activation> parseActivation(llvm::StringRef name);

/// How a product is cut: each block makes blockM x blockN of the result, each
/// of its warps warpM x warpN, and `stages` steps of 64 k are on their way.
struct GemmSchedule {
  int64_t blockM = 64, blockN = 64, warpM = 32, warpN = 32, stages = 4;
};

/// What the kernel computes.
struct GemmForm {
  Activation activation = Activation::None;
  /// What the result is stored as.
  Storage result = Storage::U8;
  /// The weights have a zero point for each column.
  bool hasZeros = false;
  /// The columns of x come in groups with a scale of their own.
  bool grouped = false;
  /// The codes of x have 16 bits: high bytes, then low bytes, share the
  /// weights.
  bool wide = false;
  /// Integers from the sums to the codes.
  bool fixed = false;
  /// Behind its columns every row of x has the scale and the zero point of its
  /// codes, as lib/Tile/TokenRows.h lays them out.
  bool tokens = false;
};

/// What is to be said at a launch.
struct GemmLaunch {
  int64_t gridX = 0, gridY = 0, threads = 0, sharedBytes = 0;
};

/// Steps of k; rows of x and of W have whole steps.
inline constexpr int64_t kGemmStep = 64;
/// Rows of W and all constants of columns come in whole multiples of this.
inline constexpr int64_t kGemmColumns = 16;

/// An error where the schedule has no kernel.
Error checkSchedule(const GemmSchedule &schedule);
/// An error where it has none for this form.
Error checkForm(const GemmSchedule &schedule, const GemmForm &form);

/// What names of kernels end with: `_gelu_u8`.
std::string getFormName(const GemmForm &form);
/// Such as `gemm_u8_64x64_32x32_s4_gelu_u8`.
std::string getGemmName(const GemmSchedule &schedule, const GemmForm &form);

GemmLaunch getGemmLaunch(const GemmSchedule &schedule, int64_t m, int64_t n);

/// Appends the kernel to `module`. Parameters, in order; pointers on 16 bytes:
///   x          u8  [m][xStride]; with wide [m][2][xStride], high bytes first;
///              with tokens, f32 and i32 at column k of each row
///   w          s8  [n][k], zeros where the product has no such row or column
///   columns    i32 [steps][2]: first column of x of each step of 64, a
///                  multiple of 16, and that of W; only with grouped
///   ends       i32 [groups]: steps up to the end of each group, all of them
///                  different; only with grouped
///   tiles      i32 [k / 128]: first column of x for each 128 of W, a multiple
///                  of 16; read by kernels of warpgroups; only with grouped
///   tileEnds   i32 [groups]: as ends, of tiles; only with grouped
///   correction i32 [n]: added to every sum; with grouped [groups][n]; with
///                  wide [2][n], for the sums of high and of low bytes; with
///                  tokens times the zero point of the row
///   zeros      i32 [n]: of the weights, taken off times the sum of the codes
///                  of the row; only with hasZeros
///   multiplier f32 [n]; with grouped [groups][n]
///   offset     f32 [n]
///   post       f32 [2]: multiplier and offset behind the activation; only with
///                  an activation and codes as the result
///              With fixed, in place of all three, constants of the columns and
///              one constant behind an activation, as packFixed of
///              lib/Tile/FixedPoint.h lays them out
///   y          u8, u16 or f32 [m][yStride]
///   m, n, k, xStride, yStride  i32; n a multiple of 16, k of 64, xStride of
///                  16, yStride of 8; with grouped, groups behind them; with
///                  hasZeros, the columns of x that the product has
///   lo, hi     f32: the least and the greatest code; i32 with fixed; not with
///              f32 results
/// The arithmetic is that of quant_math.h, operation by operation, or that of
/// integer_requant.h and integer_activation.h. Groups are
/// scaled into f32 sums in ascending order, as buildGroupGemm of
/// lib/Tile/GemmGroup.h has it.
mlir::LLVM::LLVMFuncOp buildGemm(mlir::ModuleOp module,
                                 const GemmSchedule &schedule,
                                 const GemmForm &form);

/// Columns of a group: the first, and the one behind the last.
using ColumnGroup = std::pair<int64_t, int64_t>;
/// How columns in groups are cut into steps. One may hold columns of other
/// groups; their weights are zeros there. Each group has an even number of 64
/// columns of W, for kernels of warpgroups make 128 at once.
struct GroupSteps {
  /// The parameters of that name.
  std::vector<int32_t> columns, ends, tiles, tileEnds;
  /// First column of x of every 64 columns of W; -1 where W has zeros alone.
  std::vector<int32_t> sources;
};
/// Of x with `k` columns.
GroupSteps getGroupSteps(llvm::ArrayRef<ColumnGroup> groups, int64_t k);
/// Row-major w[n][k] as [n up to 16][64 for each of `sources`].
std::vector<int8_t> packGroupWeights(const int8_t *w, int64_t n, int64_t k,
                                     llvm::ArrayRef<ColumnGroup> groups);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_GEMM_H
