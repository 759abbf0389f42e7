//===- DeviceRun.h - GPU kernels in a test ----------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Builds kernels into a module, makes PTX of it, and reads that back for the
// emulator.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H
#define QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H

#include "lib/Target/NVPTX/Ptx.h"
#include "test/support/ptx/Machine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"

#include "gtest/gtest.h"

namespace quern::nvptx::test {

/// The PTX of what `build` appends to an empty module; empty, with a failure of
/// the test, if there is none.
inline std::string makePtx(llvm::function_ref<void(mlir::ModuleOp)> build,
                           PtxVariant variant = PtxVariant::Sm80) {
  mlir::MLIRContext context;
  context.disableMultithreading();
  context.loadDialect<mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                      mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect,
                      mlir::scf::SCFDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  build(*module);
  if (failed(mlir::verify(*module))) {
    ADD_FAILURE() << "the kernel does not verify";
    return "";
  }
  auto text = emitPtx(*module, variant);
  if (!text) {
    ADD_FAILURE() << text.message();
    return "";
  }
  return *text;
}

/// The same, parsed.
inline ptx::Program
makeProgram(llvm::function_ref<void(mlir::ModuleOp)> build) {
  auto program = ptx::parseProgram(makePtx(build));
  if (!program) {
    ADD_FAILURE() << program.message();
    return {};
  }
  return std::move(*program);
}

/// The bits of an argument.
inline uint64_t argument(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H
