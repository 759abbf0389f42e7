//===- ProgramInterpreter.h - The reference for tk programs -----*- C++ -*-===//
//
// Part of Quern. Runs a tiled module (L3) launch after launch on buffers of
// its own, taps on, and shows every quantizer site as the L2 interpreter does.
// L2 and L3 must agree bit for bit.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_PROGRAMINTERPRETER_H
#define QUERN_LIB_INTERPRET_PROGRAMINTERPRETER_H

#include "lib/Interpret/Interpreter.h"

namespace quern {

class ProgramInterpreter {
public:
  /// The module must outlive the interpreter.
  explicit ProgramInterpreter(mlir::ModuleOp module) : module(module) {}

  /// Runs the program's one output for ids, types, positions and offsets
  /// (I32), or for patches (rows of numbers), positions and offsets.
  /// `hooks.observe` sees each site after its launch. Codes can be forced where
  /// another launch reads them; `hooks.force` is not asked about what never
  /// leaves its kernel, nor about f32 values and codes of 4 bytes. Pad bytes
  /// hold garbage on entry, so that a kernel that reads them shows. Failures
  /// are diagnostics.
  mlir::FailureOr<Tensor> run(llvm::ArrayRef<Tensor> inputs,
                              const SiteHooks &hooks = {});

private:
  mlir::ModuleOp module;
};

} // namespace quern

#endif // QUERN_LIB_INTERPRET_PROGRAMINTERPRETER_H
