//===- NvptxPasses.h - Kernels for NVIDIA GPUs ------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Passes that append a kernel to a module, for quern-opt and its tests; the
// compiler calls the builders itself.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_NVPTXPASSES_H
#define QUERN_LIB_TARGET_NVPTX_NVPTXPASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "lib/Target/NVPTX/NvptxPasses.h.inc"

} // namespace quern

#endif // QUERN_LIB_TARGET_NVPTX_NVPTXPASSES_H
