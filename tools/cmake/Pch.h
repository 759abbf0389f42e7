//===- Pch.h - The precompiled header of the libraries --------------------===//
//
// MLIR headers dominate compile time; every MLIR library reuses this header
// (option QUERN_PCH). Sources still include what they use.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_CMAKE_PCH_H
#define QUERN_TOOLS_CMAKE_PCH_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

// Five seconds in each unit that includes it; no sanitized target does.
#if !__has_feature(address_sanitizer)
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#endif

#endif // QUERN_TOOLS_CMAKE_PCH_H
