//===- DotPeak.cpp - The speed of the dot-product instruction -------------===//
//
// See DotPeak.h. Independent sums hide the latency of the instructions.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/DotPeak.h"

#include "compiler/Bench/Timing.h"
#include "compiler/Emit/KernelJit.h"

#include <immintrin.h>

/// A statement on each of the sums.
#define QUERN_ON8(DO)                                                          \
  DO(a0);                                                                      \
  DO(a1);                                                                      \
  DO(a2);                                                                      \
  DO(a3);                                                                      \
  DO(a4);                                                                      \
  DO(a5);                                                                      \
  DO(a6);                                                                      \
  DO(a7);
#define QUERN_ON12(DO)                                                         \
  QUERN_ON8(DO)                                                                \
  DO(a8);                                                                      \
  DO(a9);                                                                      \
  DO(a10);                                                                     \
  DO(a11);
#define QUERN_ON14(DO)                                                         \
  QUERN_ON12(DO)                                                               \
  DO(a12);                                                                     \
  DO(a13);

namespace quern {

/// 14 times 64 multiply-adds a round.
__attribute__((target("avx512f,avx512vnni"), noinline)) static void
runVnni(int64_t rounds) {
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  __m512i a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x,
          a8 = x, a9 = x, a10 = x, a11 = x, a12 = x, a13 = x;
  for (int64_t i = 0; i < rounds; ++i) {
#define QUERN_DOT(a)                                                           \
  asm volatile("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(x), "v"(y))
    QUERN_ON14(QUERN_DOT)
#undef QUERN_DOT
  }
}

/// 8 times 16 multiply-adds a round.
__attribute__((target("avx2"), noinline)) static void runAvx2(int64_t rounds) {
  __m256i x = _mm256_set1_epi16(3), y = _mm256_set1_epi16(5);
  __m256i a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x, t;
  for (int64_t i = 0; i < rounds; ++i) {
#define QUERN_DOT(a)                                                           \
  asm volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"                      \
               : "+x"(a), "=&x"(t)                                             \
               : "x"(x), "x"(y))
    QUERN_ON8(QUERN_DOT)
#undef QUERN_DOT
  }
}

/// 12 times 32 multiply-adds a round.
__attribute__((target("avx2"), noinline)) static void
runAvxVnni(int64_t rounds) {
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  __m256i a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x,
          a8 = x, a9 = x, a10 = x, a11 = x;
  for (int64_t i = 0; i < rounds; ++i) {
#define QUERN_DOT(a)                                                           \
  asm volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(a) : "x"(x), "x"(y))
    QUERN_ON12(QUERN_DOT)
#undef QUERN_DOT
  }
}

/// 8 times 32 multiply-adds a round.
__attribute__((target("avx512bw"), noinline)) static void
runAvx512Bw(int64_t rounds) {
  __m512i x = _mm512_set1_epi16(3), y = _mm512_set1_epi16(5);
  __m512i a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x, t;
  for (int64_t i = 0; i < rounds; ++i) {
#define QUERN_DOT(a)                                                           \
  asm volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"                      \
               : "+v"(a), "=&v"(t)                                             \
               : "v"(x), "v"(y))
    QUERN_ON8(QUERN_DOT)
#undef QUERN_DOT
  }
}

/// 8 times 8 multiply-adds a round. With a copy, since pmaddwd overwrites an
/// operand.
static __attribute__((noinline)) void runSse41(int64_t rounds) {
  __m128i x = _mm_set1_epi16(3), y = _mm_set1_epi16(5);
  __m128i a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x, t;
  for (int64_t i = 0; i < rounds; ++i) {
#define QUERN_DOT(a)                                                           \
  asm volatile("movdqa %2, %1\n\tpmaddwd %3, %1\n\tpaddd %1, %0"               \
               : "+x"(a), "=&x"(t)                                             \
               : "x"(x), "x"(y))
    QUERN_ON8(QUERN_DOT)
#undef QUERN_DOT
  }
}

/// 8 times 16 x 16 x 64 multiply-adds a round, from zeros.
__attribute__((target("amx-tile,amx-int8"), noinline)) static void
runAmx(int64_t rounds) {
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
}

double measureDotPeak(Tier tier, int64_t rounds) {
  if (!canRun(tier) || isPlain(tier))
    return 0;
  double start = clockSeconds();
  double perRound = 0;
  switch (tier) {
  case Tier::Scalar:
  case Tier::Sse2:
    break;
  case Tier::Sse41:
    runSse41(rounds);
    perRound = 8 * 16;
    break;
  case Tier::Avx2:
    runAvx2(rounds);
    perRound = 8 * 32;
    break;
  case Tier::AvxVnni:
    runAvxVnni(rounds);
    perRound = 12 * 64;
    break;
  case Tier::Avx512Bw:
    runAvx512Bw(rounds);
    perRound = 8 * 64;
    break;
  case Tier::Avx512Vnni:
    runVnni(rounds);
    perRound = 14 * 128;
    break;
  case Tier::Amx:
    runAmx(rounds);
    perRound = 8 * 32768;
    break;
  }
  return double(rounds) * perRound / (clockSeconds() - start);
}

} // namespace quern
