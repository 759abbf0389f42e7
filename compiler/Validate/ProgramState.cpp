//===- ProgramState.cpp - A tiled program from pass to pass ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/ProgramState.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Interpret/KernelInterpreter.h"

using namespace mlir;

namespace quern {

bool ProgramState::isProgram(ModuleOp module) {
  return !module.getOps<tk::ProgramOp>().empty();
}

ProgramState::ProgramState(ModuleOp module) : tiles(module.clone()) {}

/// Only the sites that both runs have: what is inside of a kernel is shown
/// where the kernel has a tap for it.
static void keepCommon(GraphRun &before, const GraphRun &after) {
  llvm::erase_if(before.order, [&](const std::string &name) {
    return after.sites.count(name) == 0;
  });
}

FailureOr<bool> ProgramState::checkGraph(StringRef pass, FunctionState &graph,
                                         ArrayRef<TokenSequence> sequences,
                                         CompareCounts &counts) {
  ArrayRef<ValidationCase> cases = graph.cases(sequences);
  tk::ProgramOp where = *tiles->getOps<tk::ProgramOp>().begin();
  for (const ValidationCase &each : cases) {
    std::set<std::string> taken;
    FailureOr<GraphRun> after =
        runProgram(*tiles, each.inputs, each.forced, taken);
    if (failed(after))
      return where.emitError("cannot be interpreted after ") << pass;
    ForcedSites same;
    for (const auto &[name, value] : each.forced)
      if (taken.count(name))
        same.emplace(name, value);
    FailureOr<GraphRun> before =
        runFunction(graph.function(), each.inputs, Arithmetic::Machine, same);
    if (failed(before))
      return where.emitError("cannot be interpreted before ") << pass;
    keepCommon(*before, *after);
    if (std::optional<Mismatch> mismatch =
            compareRuns(*before, *after, *before, PassClass::Exact, counts))
      return reportMismatch(*mismatch, pass, PassClass::Exact, each.adversary,
                            where);
    if (each.adversary == Adversary::Mixed) {
      inputs = each.inputs;
      forced = each.forced;
      run = std::move(*after);
    }
  }
  return !cases.empty();
}

FailureOr<bool> ProgramState::checkKernels(StringRef pass, ModuleOp module,
                                           CompareCounts &counts) {
  if (!run)
    return false;
  OwningOpRef<ModuleOp> grafted = tiles->clone();
  for (auto kernel :
       llvm::make_early_inc_range(grafted->getOps<func::FuncOp>())) {
    auto lowered = module.lookupSymbol<func::FuncOp>(kernel.getSymName());
    // Functions of LLVM, or with ops that only machines know.
    if (!lowered)
      return false;
    {
      ScopedDiagnosticHandler quiet(module.getContext(),
                                    [](Diagnostic &) { return success(); });
      if (failed(KernelInterpreter::create(lowered)))
        return false;
    }
    kernel->getBlock()->getOperations().insert(kernel->getIterator(),
                                               lowered->clone());
    kernel.erase();
  }
  std::set<std::string> taken;
  tk::ProgramOp where = *grafted->getOps<tk::ProgramOp>().begin();
  FailureOr<GraphRun> after = runProgram(*grafted, inputs, forced, taken);
  if (failed(after))
    return where.emitError("cannot be interpreted after ") << pass;
  GraphRun before = *run;
  if (std::optional<Mismatch> mismatch =
          compareRuns(before, *after, before, PassClass::Exact, counts))
    return reportMismatch(*mismatch, pass, PassClass::Exact, Adversary::Mixed,
                          where);
  return true;
}

} // namespace quern
