//===- Interpreter.h - The reference for tq functions -----------*- C++ -*-===//
//
// Part of Quern. Runs a function of L0, L1 or L2, one op after the other, by
// the formulas of the op descriptions and nothing else. It is the oracle of
// every rewrite and kernel.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_INTERPRETER_H
#define QUERN_LIB_INTERPRET_INTERPRETER_H

#include "lib/Interpret/Tensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Types.h"
#include "mlir/Support/LLVM.h"

#include <functional>
#include <optional>

namespace quern {

/// How values that are not codes are computed.
enum class Arithmetic {
  /// Machine if the function holds an L2 op, Real otherwise.
  Auto,
  /// In double: L0 and L1.
  Real,
  /// In f32 by the contract of each op: L2, and L0 as compiled f32 code.
  Machine
};

/// What a named quantizer site produced.
struct SiteValue {
  llvm::StringRef name;
  /// Codes (I32) of a quantizer, or values (F64, F32) of a `tq.observe`.
  /// Scores and probabilities are [heads, sum of squared lengths].
  const Tensor &value;
  /// Element type of the codes, null where the op does not say it.
  mlir::Type scheme;
  /// The op that has the site.
  mlir::Operation *op = nullptr;
  /// What was rounded to the codes, in real numbers; null where the op does
  /// not have it at hand.
  const Tensor *real = nullptr;
};

/// Called at every site in program order. Both may be empty.
struct SiteHooks {
  /// Sees what the function computed.
  std::function<void(const SiteValue &)> observe;
  /// Replaces it for everything that follows, if it returns a tensor. Called
  /// after `observe`; the shape and the kind must be the same.
  std::function<std::optional<Tensor>(const SiteValue &)> force;
};

class Interpreter {
public:
  /// The module must outlive the interpreter. Weights are not copied.
  explicit Interpreter(mlir::ModuleOp module) : module(module) {}

  /// Runs `function` on its arguments (for a model: ids, types, positions and
  /// offsets, as I32) and returns its one result: F64, F32, or I32 codes. Bad
  /// input and ops that cannot be run are diagnostics on the op.
  mlir::FailureOr<Tensor> run(llvm::ArrayRef<Tensor> inputs,
                              const SiteHooks &hooks = {},
                              Arithmetic arithmetic = Arithmetic::Auto,
                              llvm::StringRef function = "forward");

private:
  mlir::ModuleOp module;
};

} // namespace quern

#endif // QUERN_LIB_INTERPRET_INTERPRETER_H
