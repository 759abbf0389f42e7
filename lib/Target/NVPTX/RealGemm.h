//===- RealGemm.h - Matrix products of real numbers on GPUs -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// y = activation(x * W^T + b) in f32, for layers that keep real numbers: each
// product and each sum is rounded on its own, and k ascends, as GemmF32.cpp of
// lib/Tile has it. Tensor cores add in another order, so none are used.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_REALGEMM_H
#define QUERN_LIB_TARGET_NVPTX_REALGEMM_H

#include "lib/Target/NVPTX/Gemm.h"

namespace quern::nvptx {

/// What the kernel computes.
struct RealGemmForm {
  /// 32 for weights in f32, or 8, 4 or 2 of their codes, which have a scale for
  /// each column.
  int64_t bits = 32;
  Activation activation = Activation::None;
};

/// An error where the form has no kernel.
Error checkRealGemm(const RealGemmForm &form);

/// Such as `gemm_f32_32x64_w4_gelu`.
std::string getRealGemmName(const RealGemmForm &form);

GemmLaunch getRealGemmLaunch(int64_t m, int64_t n);
/// Rows of y that a block makes.
inline constexpr int64_t kRealGemmRows = 32;

/// Appends the kernel to `module`. Parameters, in order; pointers on 16 bytes:
///   x       f32 [m][xStride]; what lies beyond column k of a row is not used,
///           but 16 bytes that begin before it are read
///   w       f32 or codes, as packFloatGemmWeights or packCodedGemmWeights of
///           lib/Tile/Gemm.h
///   scales  f32 [n]; only with codes
///   bias    f32 [n]
///   y       f32 [m][yStride]
///   m, n, k, xStride, yStride  i32; n a multiple of 16, strides of 4
void buildRealGemm(mlir::ModuleOp module, const RealGemmForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_REALGEMM_H
