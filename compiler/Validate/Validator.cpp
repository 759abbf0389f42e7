//===- Validator.cpp - Every pass against its promise ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Validator.h"

#include "compiler/Validate/FunctionState.h"
#include "compiler/Validate/ProgramState.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <map>

using namespace mlir;

namespace quern {

class Validator::State {
public:
  explicit State(ValidatorOptions options) : options(std::move(options)) {}

  void before(Pass *pass, Operation *op);
  void after(Pass *pass, Operation *op);

  ValidationSummary summary;
  bool failed = false;

private:
  void fail();
  LogicalResult check(StringRef pass, PassClass passClass, Operation *op);
  LogicalResult checkFunctions(StringRef pass, PassClass passClass,
                               ArrayRef<func::FuncOp> functions);

  ValidatorOptions options;
  std::map<std::string, FunctionState> functions;
  std::optional<ProgramState> program;
  /// What the pass that runs was given.
  std::optional<OperationFingerPrint> given;
};

/// Passes outside of adaptors, which have no argument.
class Validator::Instrumentation : public PassInstrumentation {
public:
  explicit Instrumentation(std::shared_ptr<State> state)
      : state(std::move(state)) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    if (!pass->getArgument().empty() && !state->failed)
      state->before(pass, op);
  }
  void runAfterPass(Pass *pass, Operation *op) override {
    if (!pass->getArgument().empty() && !state->failed)
      state->after(pass, op);
  }

private:
  std::shared_ptr<State> state;
};

namespace {
/// Adds the time of a scope to a sum.
class Stopwatch {
public:
  explicit Stopwatch(double &seconds) : seconds(seconds) {}
  ~Stopwatch() {
    seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  }

private:
  using Clock = std::chrono::steady_clock;
  double &seconds;
  Clock::time_point begin = Clock::now();
};
} // namespace

static SmallVector<func::FuncOp> functionsOf(Operation *op) {
  if (auto function = dyn_cast<func::FuncOp>(op))
    return {function};
  SmallVector<func::FuncOp> functions;
  if (auto module = dyn_cast<ModuleOp>(op))
    llvm::append_range(functions, module.getOps<func::FuncOp>());
  return functions;
}

void Validator::State::fail() {
  failed = true;
  if (options.onFailure)
    options.onFailure();
}

void Validator::State::before(Pass *pass, Operation *op) {
  Stopwatch watch(summary.seconds);
  std::optional<PassClass> passClass =
      classOf(pass->getArgument(), options.more);
  if (!passClass) {
    op->emitError("pass ") << pass->getArgument()
                           << " cannot be validated: found no class, "
                           << "expected one in compiler/Validate/PassClass.cpp";
    return fail();
  }
  given.emplace(op);
  if (*passClass == PassClass::Intended)
    return;
  for (func::FuncOp function : functionsOf(op))
    if (canInterpret(function))
      functions[function.getSymName().str()].remember(function);
  if (auto module = dyn_cast<ModuleOp>(op))
    if (ProgramState::isProgram(module) && !program)
      program.emplace(module);
}

void Validator::State::after(Pass *pass, Operation *op) {
  Stopwatch watch(summary.seconds);
  StringRef name = pass->getArgument();
  PassClass passClass = *classOf(name, options.more);
  if (given && *given == OperationFingerPrint(op)) {
    ++summary.unchanged;
    return;
  }
  if (passClass == PassClass::Intended) {
    ++summary.intended;
    functions.clear();
    program.reset();
    return;
  }
  if (mlir::failed(check(name, passClass, op)))
    fail();
}

LogicalResult Validator::State::checkFunctions(StringRef pass,
                                               PassClass passClass,
                                               ArrayRef<func::FuncOp> after) {
  RewriteProof proof = proofOf(pass);
  for (func::FuncOp function : after) {
    auto state = functions.find(function.getSymName().str());
    if (state == functions.end())
      continue;
    FunctionState::Check check{pass, passClass, options.sequences, {}};
    if (proof &&
        mlir::failed(state->second.prove(proof, function, summary.proved)))
      return failure();
    FailureOr<bool> done = state->second.check(function, check);
    summary.values += check.counts.values;
    summary.oneCode += check.counts.oneCode;
    if (mlir::failed(done))
      return failure();
    ++(*done ? summary.interpreted : summary.notInterpreted);
  }
  return success();
}

LogicalResult Validator::State::check(StringRef pass, PassClass passClass,
                                      Operation *op) {
  SmallVector<func::FuncOp> interpretable;
  for (func::FuncOp function : functionsOf(op))
    if (canInterpret(function))
      interpretable.push_back(function);
  if (!interpretable.empty())
    return checkFunctions(pass, passClass, interpretable);
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    return success();
  CompareCounts counts;
  FailureOr<bool> done = false;
  auto graph = functions.find("forward");
  if (ProgramState::isProgram(module) && graph != functions.end() && !program) {
    // From L2 to L3.
    program.emplace(module);
    done = program->checkGraph(pass, graph->second, options.sequences, counts);
    functions.clear();
  } else if (program) {
    done = program->checkKernels(pass, module, counts);
  }
  summary.values += counts.values;
  if (mlir::failed(done))
    return failure();
  ++(*done ? summary.interpreted : summary.notInterpreted);
  return success();
}

std::string ValidationSummary::line() const {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << interpreted << " passes interpreted before and after ("
      << llvm::format("%.1f", double(values) / 1e6) << " M values equal, "
      << oneCode << " codes beside a tie), " << proved
      << " rewrites proved in exact arithmetic, " << intended
      << " meant to change it, " << unchanged << " without effect, "
      << notInterpreted << " on machine ops, "
      << llvm::format("%.1f s", seconds);
  return text;
}

Validator::Validator(ValidatorOptions options)
    : state(std::make_shared<State>(std::move(options))) {}
Validator::~Validator() = default;

void Validator::attach(PassManager &manager) {
  manager.addInstrumentation(std::make_unique<Instrumentation>(state));
}

bool Validator::hasFailed() const { return state->failed; }
ValidationSummary Validator::summary() const { return state->summary; }

} // namespace quern
