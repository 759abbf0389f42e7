//===- GraphRun.h - One interpretation of a level ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Runs a function (L0 to L2) or a program (L3) in the interpreter and keeps
// what every site held.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_GRAPHRUN_H
#define QUERN_COMPILER_VALIDATE_GRAPHRUN_H

#include "lib/Interpret/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace quern {

/// What a site held.
struct SiteRecord {
  Tensor value;
  /// What was rounded to these codes, where the op has it.
  std::optional<Tensor> real;
  /// Element type of the codes, or null.
  mlir::Type scheme;
  /// The op of the site, which lives as long as the module that was run.
  mlir::Operation *op = nullptr;
};

struct GraphRun {
  std::map<std::string, SiteRecord> sites;
  /// Names in the order of the graph.
  std::vector<std::string> order;
  Tensor output;
};

/// Values that replace what sites compute for all that follows.
using ForcedSites = std::map<std::string, Tensor>;

/// True if the interpreter knows every op of the function.
bool canInterpret(mlir::func::FuncOp function);

/// Runs a function. A site that is not forced, or that has another size than
/// the forced value, keeps its own.
mlir::FailureOr<GraphRun> runFunction(mlir::func::FuncOp function,
                                      llvm::ArrayRef<Tensor> inputs,
                                      Arithmetic arithmetic,
                                      const ForcedSites &forced);

/// Runs the program of a tiled module. Sites that later launches read are
/// forced; their names go to `taken`. Those inside of a kernel cannot be.
mlir::FailureOr<GraphRun> runProgram(mlir::ModuleOp module,
                                     llvm::ArrayRef<Tensor> inputs,
                                     const ForcedSites &forced,
                                     std::set<std::string> &taken);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_GRAPHRUN_H
