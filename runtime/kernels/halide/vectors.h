/*===- vectors.h - The vectors of a tier ----------------------------------===//
 *
 * The widest vectors of integers that the compiler may use, under one set of
 * names for 128, 256 and 512 bits. VECTOR(name) is the intrinsic of that name.
 *
 *===----------------------------------------------------------------------===*/
#ifndef QUERN_KERNELS_VECTORS_H
#define QUERN_KERNELS_VECTORS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define JOIN_(a, b, c, d) a##b##c##d
#define JOIN(a, b, c, d) JOIN_(a, b, c, d)

#if defined(__AVX512BW__)
#define VECTOR(name) _mm512_##name
typedef __m512i vector;
#define VECTOR_BYTES 64
#define vector_zero() _mm512_setzero_si512()
#define vector_and(a, b) _mm512_and_si512(a, b)
#define vector_repeat(bytes) _mm512_broadcast_i32x4(bytes)
#define vector_load(at) _mm512_loadu_si512(at)
#define vector_store(at, v) _mm512_storeu_si512(at, v)
#elif defined(__AVX2__)
#define VECTOR(name) _mm256_##name
typedef __m256i vector;
#define VECTOR_BYTES 32
#define vector_zero() _mm256_setzero_si256()
#define vector_and(a, b) _mm256_and_si256(a, b)
#define vector_repeat(bytes) _mm256_broadcastsi128_si256(bytes)
#define vector_load(at) _mm256_loadu_si256((const __m256i *)(at))
#define vector_store(at, v) _mm256_storeu_si256((__m256i *)(at), v)
#else
#define VECTOR(name) _mm_##name
typedef __m128i vector;
#define VECTOR_BYTES 16
#define vector_zero() _mm_setzero_si128()
#define vector_and(a, b) _mm_and_si128(a, b)
#define vector_repeat(bytes) (bytes)
#define vector_load(at) _mm_loadu_si128((const __m128i *)(at))
#define vector_store(at, v) _mm_storeu_si128((__m128i *)(at), v)
#endif

/* Numbers of 32 bits in a vector, and vectors of 64 bytes. */
#define VECTOR_LANES (VECTOR_BYTES / 4)
#define VECTORS_OF_64 (64 / VECTOR_BYTES)

#define INLINE static inline __attribute__((always_inline))
/* Zeros for `count` times 16 sums. */
INLINE void clear_sums(int32_t *sums, int64_t count) {
  for (int64_t i = 0; i < 16 * count; i += VECTOR_LANES)
    vector_store(sums + i, vector_zero());
}

/* To the second-level cache: the nearest one is full of what is multiplied. */
INLINE void prefetch(const void *at) { __builtin_prefetch(at, 0, 2); }

#endif
