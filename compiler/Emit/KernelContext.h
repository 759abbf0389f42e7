//===- KernelContext.h - What kernels are built and lowered in --*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_KERNELCONTEXT_H
#define QUERN_COMPILER_EMIT_KERNELCONTEXT_H

#include "mlir/IR/MLIRContext.h"

#include <memory>

namespace quern {

/// A context for one thread, with the dialects of kernels.
std::unique_ptr<mlir::MLIRContext> makeKernelContext();

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELCONTEXT_H
