//===- Validator.h - Every pass against its promise -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// `--tq-validate`: interprets what a pass was given and what it made of it on
// the same inputs and from the same codes at every site, and compares them in
// the class that the pass declares (PassClass.h). Algebraic rewrites are proved
// in exact arithmetic as well (Proofs.h). The first difference is an error on
// the op.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_VALIDATOR_H
#define QUERN_COMPILER_VALIDATE_VALIDATOR_H

#include "compiler/Validate/Inputs.h"
#include "compiler/Validate/PassClass.h"
#include "compiler/Validate/Summary.h"

#include "mlir/Pass/PassManager.h"

#include <functional>
#include <memory>
#include <string>

namespace quern {

struct ValidatorOptions {
  /// Calibration data for functions of (ids, types, positions, offsets).
  /// Without it, and for other functions, inputs are made up.
  std::vector<TokenSequence> sequences;
  /// Classes of passes that are not in the table.
  std::vector<PassPromise> more;
  /// Told of the first difference.
  std::function<void()> onFailure;
};

class Validator {
public:
  /// As many sequences of calibration data are run at most.
  static constexpr size_t maxSequences = 3;

  explicit Validator(ValidatorOptions options);
  ~Validator();
  Validator(const Validator &) = delete;

  /// Validates every pass that `manager` will run; one validator may serve
  /// several managers, stage after stage. Managers keep what they need, so that
  /// the validator may go before them.
  void attach(mlir::PassManager &manager);

  /// True after the first difference: nothing made since may be used. The
  /// passes of the manager that had it still run; no later one is validated.
  bool hasFailed() const;

  ValidationSummary summary() const;

private:
  class State;
  class Instrumentation;
  std::shared_ptr<State> state;
};

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_VALIDATOR_H
