//===- TKDialect.h - The kernel dialect -----------------------------------===//
//
// Ops, enums and attributes of `tk`; see TKOps.td and TKProgram.td.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TK_TKDIALECT_H
#define QUERN_DIALECTS_TK_TKDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/TK/TKDialect.h.inc"
#include "dialects/TK/TKEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/TK/TKAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/TK/TKOps.h.inc"

namespace quern::tk {

/// True if `op` is a function marked as a kernel.
bool isKernel(mlir::Operation *op);

/// The kernel that `kernel` is a variant of, or null.
mlir::FlatSymbolRefAttr getVariantOf(mlir::Operation *kernel);

/// What the variant `kernel` needs of a tier: "library", "small" or "tiles".
llvm::StringRef getVariantMeans(mlir::Operation *kernel);

/// Makes `kernel` a variant of the kernel `of` for tiers with these means.
void setVariant(mlir::Operation *kernel, llvm::StringRef of,
                llvm::StringRef means);

/// Number of buffer arguments of a kernel.
unsigned getNumKernelBuffers(mlir::Operation *kernel);

} // namespace quern::tk

#endif // QUERN_DIALECTS_TK_TKDIALECT_H
