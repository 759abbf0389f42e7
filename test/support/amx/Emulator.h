//===- Emulator.h - AMX instructions on CPUs without AMX --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A CPU without AMX raises SIGILL at each of its instructions. The handler
// decodes what is there, executes it on tiles of the thread and goes on behind
// it: the machine code that ships runs, with its registers, strides and
// configuration. An instruction that the CPU would refuse ends the process and
// says which, where and why. Other illegal instructions go to the handler that
// was there before.
//
// What the handler touches is safe in one: the signal is synchronous, raised
// only at instructions of AMX, hence never within a function of libc; and tiles
// are zero-initialized thread-local memory with the initial-exec model, which
// every thread has from its start and which takes no call to find.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_AMX_EMULATOR_H
#define QUERN_TEST_SUPPORT_AMX_EMULATOR_H

#include "test/support/amx/Decode.h"

namespace quern::amx {

/// True if this CPU executes tdpbusd itself and the system lets this process.
/// Asks for the permission the first time.
bool isNative();

/// Installs the handler, for the rest of the process; the first call counts.
/// It has nothing to do where isNative().
void install();

/// Emulated instructions of all threads since the last resetCounts().
struct Counts {
  uint64_t of[kOpCount] = {};
  /// Loads and stores of tiles from the stack pointer on: those of spills.
  uint64_t spills = 0;

  uint64_t operator[](Op op) const { return of[size_t(op)]; }
  uint64_t loads() const {
    return (*this)[Op::Load] + (*this)[Op::LoadStreamed];
  }
  uint64_t dots() const {
    return (*this)[Op::DotSS] + (*this)[Op::DotSU] + (*this)[Op::DotUS] +
           (*this)[Op::DotUU];
  }
};
Counts counts();
void resetCounts();

/// Leaves this thread's tiles as at its start, so that code which relies on
/// another's configuration is found out.
void releaseTiles();

} // namespace quern::amx

#endif // QUERN_TEST_SUPPORT_AMX_EMULATOR_H
