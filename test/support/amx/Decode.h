//===- Decode.h - Instructions of AMX from their bytes ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Encodings of AMX-TILE and AMX-INT8 by Intel's manual (volume 2): all have a
// VEX prefix of three bytes, no immediate, and registers 0 to 7.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_AMX_DECODE_H
#define QUERN_TEST_SUPPORT_AMX_DECODE_H

#include <cstddef>
#include <cstdint>

namespace quern::amx {

enum class Op : uint8_t {
  LoadConfig,
  StoreConfig,
  Release,
  Zero,
  Load,
  LoadStreamed,
  Store,
  /// Signs of the two factors: both signed, or the one named is not.
  DotSS,
  DotSU,
  DotUS,
  DotUU,
};
constexpr size_t kOpCount = 11;

/// "tdpbusd" and the like.
const char *nameOf(Op op);

/// base + index * 2^shift + offset. Registers by their number in encodings (0:
/// rax, 4: rsp, 15: r15).
struct Address {
  static constexpr int8_t kNone = -1, kNextInstruction = -2;
  int8_t base = kNone, index = kNone;
  uint8_t shift = 0;
  int32_t offset = 0;
};

struct Instruction {
  Op op = Op::Release;
  uint8_t length = 0;
  /// Of dots: the sums, and the left and right factor. Others have one at most.
  uint8_t tile = 0, left = 0, right = 0;
  /// Of those with memory. In loads and stores of tiles the index is the
  /// stride between rows.
  Address address;
};

/// Decodes what begins at `bytes`; false if it is no instruction of these. Of
/// memory it reads no more than the instruction there has.
bool decode(const uint8_t *bytes, Instruction &instruction);

} // namespace quern::amx

#endif // QUERN_TEST_SUPPORT_AMX_DECODE_H
