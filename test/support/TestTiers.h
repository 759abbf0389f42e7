//===- TestTiers.h - Kernels of every tier on every machine ---------------===//
//
// A test of kernels runs for testTiers(). Where the machine lacks the
// instructions of one, its kernels are lowered for it as ever and each of its
// instructions is then replaced by a definition in plain vector code:
// registers, layouts and schedules of the tier are checked for values, only
// LLVM's last step is not. What ran in which way is printed once. Tiles of AMX
// become vectors there, which takes long to compile: only tests of tiles ask
// for that.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TESTTIERS_H
#define QUERN_TEST_SUPPORT_TESTTIERS_H

#include "compiler/Emit/KernelJit.h"

namespace quern::test {

/// Tiers that cover all passes and layouts, without AMX where this machine
/// lacks it. Prints, the first time, which of them are emulated or not run.
std::vector<Tier> testTiers();

/// The other tiers that this machine can run. What they add are libraries and a
/// few patterns, whose tests ask for them.
std::vector<Tier> tiersBetween();

/// The kernels of `module` for `tier`, native where the machine can run them.
/// `emulate` asks for definitions also where it could.
Expected<KernelJit> makeKernels(mlir::ModuleOp module, Tier tier,
                                bool emulate = false);

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TESTTIERS_H
