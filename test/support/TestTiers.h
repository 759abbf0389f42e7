//===- TestTiers.h - Kernels of every tier on every machine ---------------===//
//
// A test of kernels runs for testTiers(). Where the machine lacks the
// instructions of one, its kernels are lowered for it as ever and each of its
// instructions is then replaced by a definition in plain vector code:
// registers, layouts and schedules of the tier are checked for values, only
// LLVM's last step is not. What ran in which way is printed once.
//
// Machine code with tiles of AMX runs as it is: a CPU without AMX, but with all
// else, executes its instructions in support/amx. Tiles become vectors, which
// takes long to compile, where a test asks for them or the CPU lacks more.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_TESTTIERS_H
#define QUERN_TEST_SUPPORT_TESTTIERS_H

#include "compiler/Emit/KernelJit.h"

namespace quern::test {

/// How machine code of tier amx runs on this machine.
enum class TileRun {
  Native,
  /// Instruction by instruction, which can be counted: see amx::counts().
  Emulated,
  /// Not at all: tiles are vectors, which no module has.
  Vectors,
};

/// The one of them; installs the emulator where it is needed. Prints, the first
/// time, which it is and why.
TileRun tileRun();

/// Tiers that cover all passes and layouts, without AMX where this machine
/// lacks it. Prints, the first time, which of them are emulated or not run.
std::vector<Tier> testTiers();

/// These and, for a kernel that has a form with tiles, AMX where its code is
/// emulated; of others it has no code of its own.
std::vector<Tier> withTiles(std::vector<Tier> tiers, bool mayHaveTiles = true);
inline std::vector<Tier> tileTiers() { return withTiles(testTiers()); }

/// The other tiers that this machine can run. What they add are libraries and a
/// few patterns, whose tests ask for them.
std::vector<Tier> tiersBetween();

/// The kernels of `module` for `tier`: machine code of the tier where this
/// machine can run it (see tileRun()). `emulate` asks for definitions and
/// vectors also where it could.
Expected<KernelJit> makeKernels(mlir::ModuleOp module, Tier tier,
                                bool emulate = false);

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_TESTTIERS_H
