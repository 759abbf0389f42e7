//===- Decode.cpp - Instructions of AMX from their bytes ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/amx/Decode.h"

#include <cstring>

namespace quern::amx {

const char *nameOf(Op op) {
  static constexpr const char *names[kOpCount] = {
      "ldtilecfg", "sttilecfg",   "tilerelease", "tilezero",
      "tileloadd", "tileloaddt1", "tilestored",  "tdpbssd",
      "tdpbsud",   "tdpbusd",     "tdpbuud"};
  return names[size_t(op)];
}

namespace {
/// The field pp of a VEX prefix.
enum Prefix : uint8_t { kNone, k66, kF3, kF2 };

struct Vex {
  /// Bits that extend the fields of ModRM and SIB, not inverted.
  bool reg, index, base;
  uint8_t vvvv;
  Prefix prefix;
};
} // namespace

/// Reads ModRM's memory operand, of which `at` is the first byte behind; gives
/// the first byte behind all.
static const uint8_t *readAddress(const uint8_t *at, uint8_t modrm,
                                  const Vex &vex, Address &address) {
  uint8_t mod = modrm >> 6, rm = modrm & 7;
  bool wide = mod == 2;
  address = Address();
  if (rm == 4) {
    uint8_t sib = *at++;
    uint8_t index = uint8_t((sib >> 3 & 7) | vex.index << 3);
    address.index = index == 4 ? Address::kNone : int8_t(index);
    address.shift = sib >> 6;
    if (mod == 0 && (sib & 7) == 5)
      wide = true;
    else
      address.base = int8_t((sib & 7) | vex.base << 3);
  } else if (mod == 0 && rm == 5) {
    address.base = Address::kNextInstruction;
    wide = true;
  } else {
    address.base = int8_t(rm | vex.base << 3);
  }
  if (wide) {
    std::memcpy(&address.offset, at, 4);
    return at + 4;
  }
  if (mod == 1)
    address.offset = int8_t(*at++);
  return at;
}

/// The instruction of opcode 49, whose operand is memory or not.
static bool decodeConfig(const Vex &vex, uint8_t modrm, Op &op) {
  uint8_t reg = modrm >> 3 & 7;
  if (modrm >> 6 != 3) {
    op = vex.prefix == kNone ? Op::LoadConfig : Op::StoreConfig;
    return reg == 0 && (vex.prefix == kNone || vex.prefix == k66);
  }
  op = vex.prefix == kNone ? Op::Release : Op::Zero;
  return (vex.prefix == kNone && modrm == 0xc0) ||
         (vex.prefix == kF2 && (modrm & 7) == 0);
}

/// That of opcode 4B.
static bool decodeMove(const Vex &vex, uint8_t modrm, Op &op) {
  static constexpr Op ops[] = {Op::Release, Op::LoadStreamed, Op::Store,
                               Op::Load};
  op = ops[vex.prefix];
  // Without a stride there would be no rows.
  return vex.prefix != kNone && modrm >> 6 != 3 && (modrm & 7) == 4;
}

/// That of opcode 5E.
static bool decodeDot(const Vex &vex, uint8_t modrm, Op &op) {
  static constexpr Op ops[] = {Op::DotUU, Op::DotUS, Op::DotSU, Op::DotSS};
  op = ops[vex.prefix];
  return modrm >> 6 == 3 && vex.vvvv < 8 && !vex.base;
}

bool decode(const uint8_t *bytes, Instruction &instruction) {
  // Without 64-bit operands (W), of 128 bits (L), in the map 0F38.
  if (bytes[0] != 0xc4 || (bytes[1] & 0x1f) != 2 || (bytes[2] & 0x84) != 0)
    return false;
  Vex vex = {!(bytes[1] & 0x80), !(bytes[1] & 0x40), !(bytes[1] & 0x20),
             uint8_t(~(bytes[2] >> 3) & 15), Prefix(bytes[2] & 3)};
  uint8_t opcode = bytes[3];
  if (opcode != 0x49 && opcode != 0x4b && opcode != 0x5e)
    return false;
  instruction = Instruction();
  uint8_t modrm = bytes[4];
  bool isDot = opcode == 0x5e;
  if (vex.reg || (!isDot && vex.vvvv != 0) ||
      !(opcode == 0x49   ? decodeConfig(vex, modrm, instruction.op)
        : opcode == 0x4b ? decodeMove(vex, modrm, instruction.op)
                         : decodeDot(vex, modrm, instruction.op)))
    return false;
  instruction.tile = modrm >> 3 & 7;
  instruction.left = modrm & 7;
  instruction.right = vex.vvvv;
  const uint8_t *end = bytes + 5;
  if (modrm >> 6 != 3)
    end = readAddress(end, modrm, vex, instruction.address);
  instruction.length = uint8_t(end - bytes);
  return true;
}

} // namespace quern::amx
