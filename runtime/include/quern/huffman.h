/*===- huffman.h - constants stored in a Huffman code ----------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * The one decoder of constants that a module stores in fewer bytes than they
 * have. A canonical Huffman code (D. A. Huffman 1952) over bytes with words of
 * at most 12 bits, in four streams that are read in turns, so that a core need
 * not wait for one word to know where the next begins. Coded bytes are:
 *
 *   128 bytes   word lengths of the 256 symbols, 4 bits each, low half first;
 *               0: the symbol does not occur
 *   12 bytes    bytes of the first three streams, u32 little endian
 *   4 streams   the words of the first, second, third and last quarter of the
 *               symbols, each from its lowest bit up, filled up with zeros
 *
 * Words ascend by length and then by symbol and are written from their highest
 * bit on. Every bit string begins with a word. Nothing is trusted: what is
 * malformed is refused. C99 and C++.
 *
 *===----------------------------------------------------------------------===*/
#ifndef QUERN_HUFFMAN_H
#define QUERN_HUFFMAN_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bits of the longest word. */
#define QUERN_WORD_BITS 12u
/** Bytes before the streams. */
#define QUERN_CODED_HEADER 140u
#define QUERN_CODED_STREAMS 4u

/** Length of a symbol's word. */
static inline uint32_t quern_word_length(const uint8_t *header,
                                         uint32_t symbol) {
  return header[symbol / 2] >> symbol % 2 * 4 & 15u;
}

/** Symbols of a stream when there are `count` in all. */
static inline uint64_t quern_stream_symbols(uint64_t count, uint32_t stream) {
  const uint64_t quarter = count / 4 + (count % 4 != 0);
  const uint64_t before = quarter * stream;
  const uint64_t left = before < count ? count - before : 0;
  return left < quarter ? left : quarter;
}

/** words[symbol]: its word as it lies in a stream, first bit lowest. Returns 0
 *  if the lengths are those of no code in which every bit string begins with
 *  a word. */
static inline int quern_code_words(const uint8_t *header, uint16_t words[256]) {
  uint32_t of_length[16] = {0}, next[QUERN_WORD_BITS + 2] = {0};
  for (uint32_t s = 0; s < 256; ++s)
    ++of_length[quern_word_length(header, s)];
  for (uint32_t length = QUERN_WORD_BITS + 1; length < 16; ++length)
    if (of_length[length])
      return 0;
  for (uint32_t length = 1; length <= QUERN_WORD_BITS; ++length)
    next[length + 1] = (next[length] + of_length[length]) << 1;
  if (next[QUERN_WORD_BITS + 1] != 2u << QUERN_WORD_BITS)
    return 0;
  for (uint32_t s = 0; s < 256; ++s) {
    const uint32_t length = quern_word_length(header, s);
    const uint32_t word = length ? next[length]++ : 0;
    uint32_t reversed = 0;
    for (uint32_t i = 0; i < length; ++i)
      reversed |= (word >> i & 1u) << (length - 1 - i);
    words[s] = (uint16_t)reversed;
  }
  return 1;
}

/** A stream while it is read. */
typedef struct quern_bit_reader {
  const uint8_t *at, *end;
  uint64_t bits;  /**< The next ones, lowest first. */
  uint32_t count; /**< How many of them count. */
} quern_bit_reader;

/** 56 bits or more, where at least eight bytes are left. */
static inline void quern_refill(quern_bit_reader *reader) {
  uint64_t word;
  memcpy(&word, reader->at, 8);
  reader->bits |= word << reader->count;
  reader->at += (63 - reader->count) / 8;
  reader->count |= 56;
}

/** The next symbol by table[next 12 bits] = symbol * 16 + length. */
static inline uint8_t quern_next_symbol(quern_bit_reader *reader,
                                        const uint16_t *table) {
  const uint16_t entry = table[reader->bits & ((1u << QUERN_WORD_BITS) - 1)];
  reader->bits >>= entry & 15u;
  reader->count -= entry & 15u;
  return (uint8_t)(entry >> 4);
}

/** Reads the last `count` symbols of a stream, of which nothing may be left
 *  but zeros that fill a byte. Returns 0 if there are fewer, or more. */
static inline int quern_finish_stream(quern_bit_reader *reader,
                                      const uint16_t *table, uint8_t *out,
                                      uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    for (; reader->count <= 56 && reader->at < reader->end; reader->count += 8)
      reader->bits |= (uint64_t)*reader->at++ << reader->count;
    const uint32_t before = reader->count;
    out[i] = quern_next_symbol(reader, table);
    if (reader->count > before)
      return 0;
  }
  const uint64_t left = reader->bits & (((uint64_t)1 << reader->count) - 1);
  return reader->at == reader->end && reader->count < 8 && left == 0;
}

/** out[0 .. count) from coded bytes. Returns 1, or 0 if they are malformed;
 *  `out` then holds anything. */
static inline int quern_expand_coded(const uint8_t *coded, uint64_t bytes,
                                     uint8_t *out, uint64_t count) {
  uint16_t words[256], table[1u << QUERN_WORD_BITS];
  if (bytes < QUERN_CODED_HEADER || !quern_code_words(coded, words))
    return 0;
  for (uint32_t s = 0; s < 256; ++s) {
    const uint32_t length = quern_word_length(coded, s);
    if (length)
      for (uint32_t i = words[s]; i < 1u << QUERN_WORD_BITS; i += 1u << length)
        table[i] = (uint16_t)(s << 4 | length);
  }

  quern_bit_reader readers[QUERN_CODED_STREAMS];
  uint8_t *to[QUERN_CODED_STREAMS];
  uint64_t left = bytes - QUERN_CODED_HEADER, start = 0;
  const uint8_t *at = coded + QUERN_CODED_HEADER;
  for (uint32_t s = 0; s < QUERN_CODED_STREAMS; ++s) {
    uint64_t size = left;
    if (s + 1 < QUERN_CODED_STREAMS) {
      const uint8_t *field = coded + 128 + 4 * s;
      size = field[0] | (uint64_t)field[1] << 8 | (uint64_t)field[2] << 16 |
             (uint64_t)field[3] << 24;
    }
    if (size > left)
      return 0;
    const quern_bit_reader reader = {at, at + size, 0, 0};
    readers[s] = reader;
    to[s] = out + start;
    at += size;
    left -= size;
    start += quern_stream_symbols(count, s);
  }

  /* Four words of each stream fit in what a refill gives. */
  uint64_t done = 0;
  const uint64_t least = quern_stream_symbols(count, QUERN_CODED_STREAMS - 1);
  quern_bit_reader a = readers[0], b = readers[1], c = readers[2],
                   d = readers[3];
  while (least - done >= 4 && a.end - a.at >= 8 && b.end - b.at >= 8 &&
         c.end - c.at >= 8 && d.end - d.at >= 8) {
    quern_refill(&a);
    quern_refill(&b);
    quern_refill(&c);
    quern_refill(&d);
    for (uint64_t stop = done + 4; done < stop; ++done) {
      to[0][done] = quern_next_symbol(&a, table);
      to[1][done] = quern_next_symbol(&b, table);
      to[2][done] = quern_next_symbol(&c, table);
      to[3][done] = quern_next_symbol(&d, table);
    }
  }
  readers[0] = a, readers[1] = b, readers[2] = c, readers[3] = d;
  for (uint32_t s = 0; s < QUERN_CODED_STREAMS; ++s)
    if (!quern_finish_stream(&readers[s], table, to[s] + done,
                             quern_stream_symbols(count, s) - done))
      return 0;
  return 1;
}

#ifdef __cplusplus
}
#endif

#endif /* QUERN_HUFFMAN_H */
