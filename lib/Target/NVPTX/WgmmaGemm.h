//===- WgmmaGemm.h - Matrix products of warpgroups --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The products of Gemm.h for sm_90a alone: one warp has tiles copied (TMA), one
// or two warpgroups multiply them (wgmma), mbarriers tell them of each other.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_WGMMAGEMM_H
#define QUERN_LIB_TARGET_NVPTX_WGMMAGEMM_H

#include "lib/Target/NVPTX/Gemm.h"

namespace quern::nvptx {

/// How a product is cut: each block makes blockM x blockN of the result, 64
/// rows to a warpgroup, and `stages` steps of 128 k are on their way.
struct WgmmaSchedule {
  int64_t blockM = 128, blockN = 192, stages = 4;
};

/// Columns of a tile: a row of it has the 128 bytes of a swizzled pattern.
inline constexpr int64_t kWgmmaStep = 128;
/// Rows of W come in whole multiples of this, in the order of getWgmmaRow.
inline constexpr int64_t kWgmmaRows = 32;

/// Columns of a block whose sums fit the registers.
int64_t getMostWgmmaColumns(const GemmForm &form);
/// An error where the schedule has no kernel for this form.
Error checkWgmmaForm(const WgmmaSchedule &schedule, const GemmForm &form);

/// Such as `wgmma_u8_128x192_s4_gelu_u8`; `wgmma_u16` with 16-bit codes.
std::string getWgmmaName(const WgmmaSchedule &schedule, const GemmForm &form);

GemmLaunch getWgmmaLaunch(const WgmmaSchedule &schedule, const GemmForm &form,
                          int64_t m, int64_t n);

/// The row of W that lies `place`-th. Products leave two neighbouring columns
/// of each 8 in a thread; in this order four such pairs are neighbours, too,
/// and GemmEpilogue gets its eight.
constexpr int64_t getWgmmaRow(int64_t place) {
  int64_t within = place % 32;
  return place - within + within / 2 % 4 * 8 + within / 8 * 2 + within % 2;
}

/// Appends the kernel to `module`. Parameters: a tensor map of x, one of W, and
/// those of buildGemm, of which w is not read. The maps are of bytes and two
/// dimensions, with the swizzle of 128 bytes:
///   x  [m][k], boxes of blockM x 128; with wide [m][xStride + k], and
///      2 xStride from row to row; with grouped [m][xStride]; with hasZeros
///      only the columns that the product has
///   W  [n up to 32][k], boxes of blockN x 128; rows as getWgmmaRow has them
mlir::LLVM::LLVMFuncOp buildWgmmaGemm(mlir::ModuleOp module,
                                      const WgmmaSchedule &schedule,
                                      const GemmForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_WGMMAGEMM_H
