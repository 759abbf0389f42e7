//===- Activations.h - Non-linear functions in a GPU kernel -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The piecewise polynomials of quant_math.h, operation by operation; their
// coefficients lie in shared memory, where the threads of a warp may read
// different segments at once.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ACTIVATIONS_H
#define QUERN_LIB_TARGET_NVPTX_ACTIVATIONS_H

#include "lib/Target/NVPTX/DeviceBuilder.h"
#include "lib/Target/NVPTX/Gemm.h"

namespace quern::nvptx {

/// Copies the coefficients to `shared`, or those of fixed-point numbers; a
/// barrier must follow.
void copyTables(DeviceBuilder &k, Activation activation, bool fixed,
                mlir::Value shared, mlir::Value thread, int64_t threads);

/// The function at `v`, with the tables at `shared`.
mlir::Value activate(DeviceBuilder &k, Activation activation, mlir::Value v,
                     mlir::Value shared);
/// The function of integer_activation.h at the integer `t`.
mlir::Value activateFixed(DeviceBuilder &k, Activation activation,
                          mlir::Value t, mlir::Value shared);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ACTIVATIONS_H
