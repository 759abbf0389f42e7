//===- WrongPasses.h - Passes that break their promise ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What --tq-validate is there to catch. No pipeline has them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_COMPILER_VALIDATE_WRONGPASSES_H
#define QUERN_TEST_COMPILER_VALIDATE_WRONGPASSES_H

#include "compiler/Validate/PassClass.h"

#include "mlir/Pass/Pass.h"

namespace quern::test {

/// Moves the zero point of one output of the first integer product by one:
/// every code is off by one, which "one code" allows at ties only.
std::unique_ptr<mlir::Pass> createWrongZeroPoint();

/// Adds 1e-5 of itself to one bias.
std::unique_ptr<mlir::Pass> createWrongBias();

/// Says nothing about what it keeps.
std::unique_ptr<mlir::Pass> createSilentPass();

/// Registers all of them.
void registerWrongPasses();

/// What the first two promise.
std::vector<PassPromise> wrongPromises();

} // namespace quern::test

#endif // QUERN_TEST_COMPILER_VALIDATE_WRONGPASSES_H
