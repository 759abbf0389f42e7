//===- Tiles.cpp - Tile registers and what is done with them --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/amx/Tiles.h"

#include <cstring>
#include <emmintrin.h>

namespace quern::amx {

template <size_t N> static bool isZero(const uint8_t (&bytes)[N]) {
  for (uint8_t byte : bytes)
    if (byte != 0)
      return false;
  return true;
}

static const char *loadConfig(Tiles &tiles, const uint8_t *memory) {
  Config config;
  std::memcpy(&config, memory, sizeof(config));
  if (config.palette > 1)
    return "#GP: there is no such palette";
  if (config.palette == 0) {
    tiles = Tiles();
    return nullptr;
  }
  if (!isZero(config.reserved) || !isZero(config.reserved2) ||
      !isZero(config.reserved3))
    return "#GP: reserved bytes of the configuration are not zero";
  for (size_t i = 0; i < kTiles; ++i) {
    if (config.rowBytes[i] > kRowBytes || config.rows[i] > kRows)
      return "#GP: a tile has more than 16 rows of 64 bytes";
    if ((config.rowBytes[i] == 0) != (config.rows[i] == 0))
      return "#GP: a tile has rows without bytes or bytes without rows";
  }
  tiles = Tiles();
  tiles.config = config;
  return nullptr;
}

/// Of one that reads or writes a tile in memory.
static const char *checkMove(const Tiles &tiles, size_t tile) {
  if (!tiles.isValid(tile))
    return "#UD: the tile has no rows";
  if (tiles.config.startRow >= tiles.config.rows[tile])
    return "#UD: the row to start at is beyond the tile";
  return nullptr;
}

static const char *load(Tiles &tiles, size_t tile, const uint8_t *memory,
                        int64_t stride) {
  if (const char *why = checkMove(tiles, tile))
    return why;
  Config &config = tiles.config;
  size_t bytes = config.rowBytes[tile];
  for (size_t row = config.startRow; row < config.rows[tile]; ++row) {
    std::memcpy(tiles.data[tile][row], memory + int64_t(row) * stride, bytes);
    std::memset(tiles.data[tile][row] + bytes, 0, kRowBytes - bytes);
  }
  for (size_t row = config.rows[tile]; row < kRows; ++row)
    std::memset(tiles.data[tile][row], 0, kRowBytes);
  config.startRow = 0;
  return nullptr;
}

static const char *store(Tiles &tiles, size_t tile, uint8_t *memory,
                         int64_t stride) {
  if (const char *why = checkMove(tiles, tile))
    return why;
  Config &config = tiles.config;
  for (size_t row = config.startRow; row < config.rows[tile]; ++row)
    std::memcpy(memory + int64_t(row) * stride, tiles.data[tile][row],
                config.rowBytes[tile]);
  config.startRow = 0;
  return nullptr;
}

static const char *checkDot(const Tiles &tiles, size_t sums, size_t left,
                            size_t right) {
  const Config &config = tiles.config;
  if (sums == left || sums == right || left == right)
    return "#UD: two of the three tiles are the same";
  if (!tiles.isValid(sums) || !tiles.isValid(left) || !tiles.isValid(right))
    return "#UD: a tile has no rows";
  if (config.startRow != 0)
    return "#UD: the row to start at is not the first";
  if (config.rowBytes[sums] % 4 || config.rowBytes[left] % 4 ||
      config.rowBytes[right] % 4)
    return "#UD: rows are no whole numbers of 32 bits";
  if (config.rows[sums] != config.rows[left])
    return "#UD: the sums have other rows than the left factor";
  if (config.rowBytes[sums] != config.rowBytes[right])
    return "#UD: the sums have other columns than the right factor";
  if (config.rowBytes[left] / 4 != config.rows[right])
    return "#UD: the left factor's columns are not the right one's rows";
  return nullptr;
}

/// Sixteen bits for each of the bytes `first` and `first + 1` of four columns
/// of 32 bits.
static __m128i widenPairs(const uint8_t *columns, size_t first,
                          bool isUnsigned) {
  int16_t wide[8];
  for (size_t i = 0; i < 8; ++i) {
    uint8_t byte = columns[i / 2 * 4 + first + i % 2];
    wide[i] = isUnsigned ? byte : int8_t(byte);
  }
  __m128i result;
  std::memcpy(&result, wide, sizeof(result));
  return result;
}

/// Bytes are widened to 16 bits, whose products SSE2 sums in pairs: no sum of
/// two exceeds 32 bits, and no sum in the tile saturates.
static void dot(Tiles &tiles, size_t sums, size_t left, size_t right,
                bool leftUnsigned, bool rightUnsigned) {
  const Config &config = tiles.config;
  size_t depth = config.rows[right];
  __m128i factors[kRows][2][4];
  for (size_t k = 0; k < depth; ++k)
    for (size_t pair = 0; pair < 2; ++pair)
      for (size_t i = 0; i < 4; ++i)
        factors[k][pair][i] =
            widenPairs(tiles.data[right][k] + 16 * i, 2 * pair, rightUnsigned);
  for (size_t m = 0; m < config.rows[sums]; ++m) {
    uint8_t *row = tiles.data[sums][m];
    __m128i sum[4];
    std::memcpy(sum, row, sizeof(sum));
    for (size_t k = 0; k < depth; ++k) {
      const uint8_t *bytes = tiles.data[left][m] + 4 * k;
      for (size_t pair = 0; pair < 2; ++pair) {
        uint8_t low = bytes[2 * pair], high = bytes[2 * pair + 1];
        int16_t a = leftUnsigned ? low : int8_t(low);
        int16_t b = leftUnsigned ? high : int8_t(high);
        __m128i factor =
            _mm_set1_epi32(int32_t(uint32_t(uint16_t(b)) << 16 | uint16_t(a)));
        for (size_t i = 0; i < 4; ++i)
          sum[i] = _mm_add_epi32(sum[i],
                                 _mm_madd_epi16(factor, factors[k][pair][i]));
      }
    }
    // Of narrower tiles, columns beyond stay zero as those of the factor are.
    std::memcpy(row, sum, sizeof(sum));
  }
}

const char *execute(Tiles &tiles, const Instruction &instruction,
                    uint8_t *memory, int64_t stride) {
  Op op = instruction.op;
  size_t tile = instruction.tile;
  switch (op) {
  case Op::LoadConfig:
    return loadConfig(tiles, memory);
  case Op::StoreConfig:
    std::memcpy(memory, &tiles.config, sizeof(tiles.config));
    return nullptr;
  case Op::Release:
    tiles = Tiles();
    return nullptr;
  default:
    break;
  }
  if (!tiles.isConfigured())
    return "#UD: tiles are not configured";
  switch (op) {
  case Op::Zero:
    if (!tiles.isValid(tile))
      return "#UD: the tile has no rows";
    std::memset(tiles.data[tile], 0, sizeof(tiles.data[tile]));
    tiles.config.startRow = 0;
    return nullptr;
  case Op::Load:
  case Op::LoadStreamed:
    return load(tiles, tile, memory, stride);
  case Op::Store:
    return store(tiles, tile, memory, stride);
  default:
    break;
  }
  size_t left = instruction.left, right = instruction.right;
  if (const char *why = checkDot(tiles, tile, left, right))
    return why;
  dot(tiles, tile, left, right, op == Op::DotUS || op == Op::DotUU,
      op == Op::DotSU || op == Op::DotUU);
  return nullptr;
}

} // namespace quern::amx
