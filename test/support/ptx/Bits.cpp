//===- Bits.cpp - Shifts, bits and bytes of single lanes ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

#include <algorithm>

namespace quern::ptx {

static void shift(Warp &w, const Instruction &i) {
  Lanes ra, rb;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  Lanes &d = w.target(i.operands[0]);
  int bits = i.type.bits;
  uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  bool left = i.mode == "shl", isSigned = i.type.kind == Type::Signed;
  forEachActive(w, [&](int l) {
    uint32_t by = uint32_t(b[l]);
    uint64_t value = a[l] & mask;
    bool negative = isSigned && value >> (bits - 1) & 1;
    if (by >= uint32_t(bits)) {
      d[l] = !left && negative ? mask : 0;
      return;
    }
    if (left)
      d[l] = value << by & mask;
    else
      d[l] = (value >> by) | (negative && by ? mask & ~(mask >> by) : 0);
  });
}

static Handler shifts(Instruction &i, const Parts &parts) {
  i.mode = parts[0];
  return takeType(i, parts) && parts.size() == 2 ? shift : nullptr;
}

static uint64_t joinWords(uint64_t upper, uint64_t lower) {
  return uint64_t(uint32_t(upper)) << 32 | uint32_t(lower);
}

/// Funnel shift of two words; the amount wraps.
static void funnel(Warp &w, const Instruction &i) {
  mapThree(w, i, [&](uint64_t a, uint64_t b, uint64_t c) -> uint64_t {
    uint64_t both = joinWords(b, a);
    int by = int(c & 31);
    return uint32_t(i.mode == "l" ? both << by >> 32 : both >> by);
  });
}

static Handler funnels(Instruction &i, const Parts &parts) {
  if (parts.size() != 4 || parts[2] != "wrap")
    return nullptr;
  i.mode = parts[1];
  return funnel;
}

/// Bytes picked out of eight; the sign bits of selectors are not supported.
static void permute(Warp &w, const Instruction &i) {
  mapThree(w, i, [](uint64_t a, uint64_t b, uint64_t c) {
    uint64_t both = joinWords(b, a), result = 0;
    for (int k = 0; k != 4; ++k) {
      int which = int(c >> (4 * k) & 15);
      uint64_t byte = both >> (8 * (which & 7)) & 255;
      if (which & 8)
        byte = byte & 128 ? 255 : 0;
      result |= byte << (8 * k);
    }
    return result;
  });
}

static Handler permutes(Instruction &, const Parts &parts) {
  return parts.size() == 2 && parts[1] == "b32" ? permute : nullptr;
}

/// A field of bits, from position b on, c bits long.
static void bitField(Warp &w, const Instruction &i) {
  mapThree(w, i, [&](uint64_t a, uint64_t b, uint64_t c) {
    uint32_t at = b & 255, length = c & 255, bits = uint32_t(i.type.bits);
    uint64_t all = bits == 64 ? ~uint64_t(0) : 0xffffffff;
    uint64_t value = at < bits ? (a & all) >> at : 0;
    length = std::min(length, at < bits ? bits - at : 0);
    if (length < bits)
      value &= (uint64_t(1) << length) - 1;
    if (i.type.kind == Type::Signed && length && value >> (length - 1) & 1 &&
        length < bits)
      value |= ~uint64_t(0) << length;
    return value & all;
  });
}

static Handler bitFields(Instruction &i, const Parts &parts) {
  return takeType(i, parts) && i.type.bits >= 32 ? bitField : nullptr;
}

/// d = c + sum of four products; the first operand's bytes as i.type says, the
/// second's as i.from.
static void dot4(Warp &w, const Instruction &i) {
  auto byte = [](uint64_t word, int k, const Type &type) {
    uint8_t raw = uint8_t(word >> (8 * k));
    return type.kind == Type::Signed ? int32_t(int8_t(raw)) : int32_t(raw);
  };
  mapThree(w, i, [&](uint64_t a, uint64_t b, uint64_t c) {
    uint32_t sum = uint32_t(c);
    for (int k = 0; k != 4; ++k)
      sum += uint32_t(byte(a, k, i.type) * byte(b, k, i.from));
    return sum;
  });
}

static Handler dots(Instruction &i, const Parts &parts) {
  return parts.size() == 3 && parseType(parts[1], i.type) &&
                 parseType(parts[2], i.from) && i.type.bits == 32 &&
                 i.from.bits == 32
             ? dot4
             : nullptr;
}

const Binders &bitBinders() {
  static const Binders binders = {{"shl", shifts},    {"shr", shifts},
                                  {"shf", funnels},   {"prmt", permutes},
                                  {"bfe", bitFields}, {"dp4a", dots}};
  return binders;
}

} // namespace quern::ptx
