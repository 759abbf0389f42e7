//===- TunedKernel.h - A kernel of a product that is tuned ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What the timing of candidates has to know of the kernels of the inputs.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_TUNEDKERNEL_H
#define QUERN_COMPILER_TUNE_TUNEDKERNEL_H

#include "compiler/Bench/GemmCase.h"

#include <memory>

namespace quern {

/// A product, and what its rows hold.
struct TunedKernel {
  GemmShape gemm;
  TunedInput input = TunedInput::Codes;

  std::string name() const;
  /// Adds the kernel to `module` as `as`.
  void build(mlir::ModuleOp module, const std::string &as) const;
  int64_t scratchBytes() const;
  /// Bytes of the packed weights.
  int64_t weightBytes() const;
  /// Dot products of bytes that one product of codes takes.
  int64_t planes() const { return input == TunedInput::Planes ? 2 : 1; }
  /// Operands at a number of rows, and the outputs that belong to them.
  std::unique_ptr<ProductCase> makeCase(int64_t rows) const;
};

} // namespace quern

#endif // QUERN_COMPILER_TUNE_TUNEDKERNEL_H
