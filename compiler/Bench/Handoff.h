//===- Handoff.h - How long one core waits for another ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A run on two threads hands work over about twice a step. In a virtual machine
// the time that takes changes with where the host puts the cores, so it is
// printed beside every figure of more than one thread.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_HANDOFF_H
#define QUERN_COMPILER_BENCH_HANDOFF_H

namespace quern {

/// Seconds from a store on one CPU to its sight on another that spins on it:
/// half of a round trip between the first two CPUs that this process may use,
/// the median of many. 0 where it has but one, or no second thread.
double measureHandoff(unsigned rounds = 20000);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_HANDOFF_H
