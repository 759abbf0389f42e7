//===- RealRows.h - Functions of real numbers on GPUs -----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Activations that no product has taken along, and sums of two operands, in
// f32. One warp to a row, widths are known at run time.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_REALROWS_H
#define QUERN_LIB_TARGET_NVPTX_REALROWS_H

#include "lib/Support/Status.h"
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include <string>

namespace quern::nvptx {

enum class RealFunction { Gelu, GeluTanh, Relu, Tanh, Add };

/// Of "gelu_f32", "gelu_tanh_f32", "relu_f32", "tanh_f32" or "add_f32".
Expected<RealFunction> parseRealFunction(llvm::StringRef name);
std::string getRealFunctionName(RealFunction function);
/// For the coefficients of a function.
int64_t getRealFunctionSharedBytes(RealFunction function);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   x    f32 [m][xStride]
///   b    f32 [m][bStride]; only of sums
///   out  f32 [m][outStride]
///   m, d, xStride, bStride, outStride  i32; d and strides are multiples of 4
void buildRealFunction(mlir::ModuleOp module, RealFunction function);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_REALROWS_H
