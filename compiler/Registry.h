//===- Registry.h - The one list of dialects and passes ---------*- C++ -*-===//
//
// Part of Quern. Tools and the driver register through these two functions;
// a stage adds itself to Registry.cpp with one line.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_COMPILER_REGISTRY_H
#define QUERN_COMPILER_REGISTRY_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace quern {

/// Adds every dialect of MLIR, `tq` and `tk`, their interface
/// implementations and the translations to LLVM IR.
void registerAllQuern(mlir::DialectRegistry &registry);

/// Registers every pass and pipeline of MLIR and of Quern's stages.
void registerAllQuernPasses();

} // namespace quern

#endif // QUERN_COMPILER_REGISTRY_H
