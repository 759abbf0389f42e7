//===- ProgramState.h - A tiled program from pass to pass -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Private to compiler/Validate: L3 beside L2, and kernels on their way down in
// the place of those of L3, for as long as the interpreter knows their ops.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_PROGRAMSTATE_H
#define QUERN_COMPILER_VALIDATE_PROGRAMSTATE_H

#include "compiler/Validate/FunctionState.h"

namespace quern {

class ProgramState {
public:
  /// True if a module has a program of kernels.
  static bool isProgram(mlir::ModuleOp module);

  /// Takes a copy of a tiled module.
  explicit ProgramState(mlir::ModuleOp module);

  /// Compares the program with the function it was made from, bit for bit.
  /// Failure after an error; false if the function cannot be run.
  mlir::FailureOr<bool> checkGraph(llvm::StringRef pass, FunctionState &graph,
                                   llvm::ArrayRef<TokenSequence> sequences,
                                   CompareCounts &counts);

  /// Runs the program with the kernels of `module` and compares. False if
  /// there was no graph, or if a kernel has ops that have no interpretation.
  mlir::FailureOr<bool> checkKernels(llvm::StringRef pass,
                                     mlir::ModuleOp module,
                                     CompareCounts &counts);

private:
  mlir::OwningOpRef<mlir::ModuleOp> tiles;
  /// Fewer tokens than those of the graph: kernels run lane by lane.
  std::vector<Tensor> inputs;
  ForcedSites forced;
  std::optional<GraphRun> run;
};

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_PROGRAMSTATE_H
