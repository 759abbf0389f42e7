//===- MachineCode.h - The LLVM dialect to a target's code ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The road that all targets share from the LLVM dialect on. What differs, a
// target says in a MachineSpec.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_MACHINECODE_H
#define QUERN_LIB_TARGET_MACHINECODE_H

#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Passes/OptimizationLevel.h"
#include "llvm/Support/CodeGen.h"

#include <memory>
#include <optional>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace quern {

/// What LLVM is told of a target. Its parts have to be initialized.
struct MachineSpec {
  const char *triple, *cpu, *features;
  std::optional<llvm::Reloc::Model> relocation;
  llvm::CodeGenOptLevel level = llvm::CodeGenOptLevel::Aggressive;
};

/// A machine that fuses no multiplication with an addition: every f32 step is
/// rounded alone.
Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(const MachineSpec &spec);

/// The module in LLVM's own form, with the machine's triple and data layout.
/// Translations of dialects other than builtin and llvm are the caller's to
/// register.
Expected<std::unique_ptr<llvm::Module>>
translateFor(llvm::TargetMachine &machine, mlir::ModuleOp lowered,
             llvm::LLVMContext &context);

/// LLVM's default pipeline of this level, with or without its vectorizers.
void optimizeFor(llvm::TargetMachine &machine, llvm::Module &module,
                 llvm::OptimizationLevel level, bool vectorize = true);

/// One operation for each element of every vector, in memory too. To be called
/// before the module is optimized, and that without vectorizers.
void takeVectorsApart(llvm::TargetMachine &machine, llvm::Module &module);

/// Bytes of an object, or the text of an assembly file.
Expected<std::string> emitFile(llvm::TargetMachine &machine,
                               llvm::Module &module,
                               llvm::CodeGenFileType type);

} // namespace quern

#endif // QUERN_LIB_TARGET_MACHINECODE_H
