//===- Addresses.h - Elements of buffers as pointers ------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// For what takes pointers: calls of C and of intrinsics.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_X86_ADDRESSES_H
#define QUERN_LIB_TARGET_X86_ADDRESSES_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace quern::x86 {

/// The address of byte `at` of a buffer.
inline mlir::Value address(mlir::OpBuilder &b, mlir::Location loc,
                           mlir::Value memory, mlir::Value at) {
  using namespace mlir;
  Type number = b.getI64Type();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memory);
  base = arith::IndexCastOp::create(b, loc, number, base);
  base = LLVM::IntToPtrOp::create(b, loc, pointer, base);
  // A sum of pointer and offset, not of numbers: LLVM then finds constant
  // offsets and does not keep each address in a register of its own.
  Value offset = arith::IndexCastOp::create(b, loc, number, at);
  return LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{offset});
}

} // namespace quern::x86

#endif // QUERN_LIB_TARGET_X86_ADDRESSES_H
