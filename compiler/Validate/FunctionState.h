//===- FunctionState.h - A function from pass to pass -----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Private to compiler/Validate: the function as the last pass left it, what it
// computed, and what it computed before the first pass.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_FUNCTIONSTATE_H
#define QUERN_COMPILER_VALIDATE_FUNCTIONSTATE_H

#include "compiler/Validate/Adversary.h"
#include "compiler/Validate/Compare.h"
#include "compiler/Validate/Inputs.h"
#include "compiler/Validate/Proofs.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern {

/// Inputs, codes at every site, and what came of them.
struct ValidationCase {
  std::vector<Tensor> inputs;
  Adversary adversary = Adversary::None;
  ForcedSites forced;
  /// Of the function before the first pass, and before the next one.
  GraphRun reference, before;
};

/// A function alone in a module, without what nobody reads.
struct LoneFunction {
  LoneFunction() = default;
  explicit LoneFunction(mlir::func::FuncOp function);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
};

class FunctionState {
public:
  struct Check {
    llvm::StringRef pass;
    PassClass passClass;
    llvm::ArrayRef<TokenSequence> sequences;
    CompareCounts counts;
  };

  /// Takes the function before a pass, unless it is what the last pass left.
  void remember(mlir::func::FuncOp function);

  /// Proves what a pass made of the remembered function.
  mlir::LogicalResult prove(RewriteProof proof, mlir::func::FuncOp after,
                            unsigned &proved);

  /// Compares what a pass made of the remembered function and remembers it.
  /// Failure after an error; false where the function could not be run before.
  mlir::FailureOr<bool> check(mlir::func::FuncOp after, Check &check);

  /// The remembered function and its cases; none where it cannot be run.
  mlir::func::FuncOp function() const { return current.function; }
  llvm::ArrayRef<ValidationCase> cases(llvm::ArrayRef<TokenSequence> sequences);

private:
  bool prepare(llvm::ArrayRef<TokenSequence> sequences);

  LoneFunction current;
  /// Keeps the ops that the references name.
  LoneFunction first;
  std::optional<mlir::OperationFingerPrint> fingerprint;
  std::vector<ValidationCase> all;
};

/// "pass tq-x, exact: site 'L0.q' on calibration data: element ...".
mlir::LogicalResult reportMismatch(const Mismatch &mismatch,
                                   llvm::StringRef pass, PassClass passClass,
                                   Adversary adversary, mlir::Operation *where);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_FUNCTIONSTATE_H
