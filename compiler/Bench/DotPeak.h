//===- DotPeak.h - The speed of the dot-product instruction ---------------===//
//
// A loop of nothing but the instructions that a tier multiplies bytes with:
// the share of that peak is what can be compared between machines and runs.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_DOTPEAK_H
#define QUERN_COMPILER_BENCH_DOTPEAK_H

#include "compiler/Emit/ObjectCode.h"

#include <cstdint>

namespace quern {

/// Operations (two for each multiply-add) in a second of one core: tdpbusd for
/// amx, vpdpbusd of 512 bits for avx512vnni and of 256 for avxvnni, vpmaddwd
/// with its sum of 512 bits for avx512bw, of 256 for avx2, of 128 for sse41. 0
/// for the plain tiers, which have no such instruction, and for a tier that
/// this machine cannot run.
double measureDotPeak(Tier tier, int64_t rounds = 10000);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_DOTPEAK_H
