//===- FunctionState.cpp - A function from pass to pass -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/FunctionState.h"

#include "compiler/Validate/FirstRows.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace quern {

LoneFunction::LoneFunction(func::FuncOp original)
    : module(ModuleOp::create(original.getLoc())) {
  function = original.clone();
  module->push_back(function);
  // What a fusion replaced would show its sites until tq-clean-up is done.
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
}

void FunctionState::remember(func::FuncOp function) {
  OperationFingerPrint now(function);
  if (fingerprint && *fingerprint == now)
    return;
  all.clear();
  current = LoneFunction(function);
  first = LoneFunction();
  fingerprint = now;
}

LogicalResult FunctionState::prove(RewriteProof proof, func::FuncOp after,
                                   unsigned &proved) {
  LoneFunction changed(after);
  return proof(current.function, changed.function, proved);
}

/// True for (ids, types, positions, offsets).
static bool takesTokens(func::FuncOp function) {
  return function.getNumArguments() == 4 &&
         llvm::all_of(function.getArgumentTypes(), [](Type type) {
           auto vector = dyn_cast<RankedTensorType>(type);
           return vector && vector.getRank() == 1 && vector.isDynamicDim(0) &&
                  vector.getElementType().isInteger(32);
         });
}

bool FunctionState::prepare(ArrayRef<TokenSequence> sequences) {
  if (!all.empty())
    return true;
  // A function that cannot be run is none of a pass's faults.
  ScopedDiagnosticHandler quiet(current.function.getContext(),
                                [](Diagnostic &) { return success(); });
  constexpr std::pair<Adversary, InputKind> kinds[] = {
      {Adversary::None, InputKind::Random},
      {Adversary::Mixed, InputKind::Ties},
      {Adversary::Outliers, InputKind::Outliers},
      {Adversary::Extremes, InputKind::Extremes}};
  bool tokens = takesTokens(current.function) && !sequences.empty();
  std::vector<ValidationCase> cases;
  for (auto [adversary, inputKind] : kinds) {
    ValidationCase next;
    next.adversary = adversary;
    // Few tokens: a model of 12 layers takes a second for ten of them.
    if (tokens)
      next.inputs = adversary == Adversary::None
                        ? packedInputs(sequences, sequences.size(), 8)
                        : packedInputs(sequences, 2, 6);
    else if (auto made = generatedInputs(current.function, inputKind))
      next.inputs = std::move(*made);
    else
      return false;
    FailureOr<GraphRun> free =
        runFunction(current.function, next.inputs, Arithmetic::Real, {});
    if (failed(free))
      return false;
    next.forced = forcedSites(current.function, *free, adversary);
    FailureOr<GraphRun> reference = runFunction(current.function, next.inputs,
                                                Arithmetic::Real, next.forced);
    if (failed(reference))
      return false;
    next.before = *reference;
    next.reference = std::move(*reference);
    cases.push_back(std::move(next));
  }
  all = std::move(cases);
  return true;
}

ArrayRef<ValidationCase>
FunctionState::cases(ArrayRef<TokenSequence> sequences) {
  return prepare(sequences) ? ArrayRef<ValidationCase>(all)
                            : ArrayRef<ValidationCase>();
}

LogicalResult reportMismatch(const Mismatch &mismatch, StringRef pass,
                             PassClass passClass, Adversary adversary,
                             Operation *where) {
  Operation *op = mismatch.op ? mismatch.op : where;
  InFlightDiagnostic error = op->emitOpError("is not what it was before ");
  error << pass << " (" << describe(passClass) << "): ";
  if (mismatch.site.empty())
    error << "result";
  else
    error << "site '" << mismatch.site << "'";
  return error << " on " << describe(adversary) << ", " << mismatch.text;
}

FailureOr<bool> FunctionState::check(func::FuncOp after, Check &check) {
  OperationFingerPrint now(after);
  if (fingerprint && *fingerprint == now)
    return true;
  bool runnable = prepare(check.sequences);
  LoneFunction changed(after);
  for (ValidationCase &each : all) {
    // The one pass that leaves rows out.
    if (check.pass == "tq-slice-rows" &&
        failed(keepFirstRows(each, changed.function)))
      return changed.function.emitError("cannot be interpreted after ")
             << check.pass;
    FailureOr<GraphRun> run = runFunction(changed.function, each.inputs,
                                          Arithmetic::Real, each.forced);
    if (failed(run))
      return changed.function.emitError("cannot be interpreted after ")
             << check.pass;
    Operation *result = changed.function.getBody()
                            .front()
                            .getTerminator()
                            ->getOperand(0)
                            .getDefiningOp();
    if (std::optional<Mismatch> mismatch = compareRuns(
            each.before, *run, each.reference, check.passClass, check.counts))
      return reportMismatch(*mismatch, check.pass, check.passClass,
                            each.adversary,
                            result ? result : changed.function.getOperation());
    each.before = std::move(*run);
  }
  if (!first.module)
    first = std::move(current);
  current = std::move(changed);
  fingerprint = now;
  return runnable;
}

} // namespace quern
