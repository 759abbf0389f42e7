//===- Tiles.h - Tile registers and what is done with them ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Written from the pseudo-code of Intel's manual for palette 1: eight tiles of
// at most 16 rows of 64 bytes. What the CPU would refuse is a reason here.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_AMX_TILES_H
#define QUERN_TEST_SUPPORT_AMX_TILES_H

#include "test/support/amx/Decode.h"

namespace quern::amx {

constexpr size_t kTiles = 8, kRows = 16, kRowBytes = 64;

/// The 64 bytes that ldtilecfg reads.
struct Config {
  uint8_t palette, startRow;
  uint8_t reserved[14];
  uint16_t rowBytes[kTiles];
  uint8_t reserved2[16];
  uint8_t rows[kTiles];
  uint8_t reserved3[8];
};
static_assert(sizeof(Config) == 64, "a register of 512 bits");

/// The state of one thread; zeros are those after tilerelease.
struct Tiles {
  Config config;
  alignas(64) uint8_t data[kTiles][kRows][kRowBytes];

  bool isConfigured() const { return config.palette != 0; }
  bool isValid(size_t tile) const { return config.rows[tile] != 0; }
};

/// Executes an instruction whose memory operand, if it has one, begins at
/// `memory`, with `stride` bytes between the rows of a tile. Returns null, or
/// why the CPU would raise an exception instead; nothing has changed then.
const char *execute(Tiles &tiles, const Instruction &instruction,
                    uint8_t *memory, int64_t stride);

} // namespace quern::amx

#endif // QUERN_TEST_SUPPORT_AMX_TILES_H
