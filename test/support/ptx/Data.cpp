//===- Data.cpp - Loads, stores, moves and conversions --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

#include <cfenv>
#include <cmath>

namespace quern::ptx {

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static uint64_t extend(uint64_t value, const Type &type, int toBits) {
  if (type.kind != Type::Signed || type.bits >= toBits ||
      !(value >> (type.bits - 1) & 1))
    return value;
  uint64_t all = toBits == 64 ? ~uint64_t(0) : (uint64_t(1) << toBits) - 1;
  return all & (value | ~uint64_t(0) << type.bits);
}

static const Operand &part(const Operand &operand, int which) {
  return operand.kind == Operand::Vector ? operand.parts[size_t(which)]
                                         : operand;
}

static void load(Warp &w, const Instruction &i) {
  Lanes room;
  Lanes addresses = w.read(i.operands[1], room);
  size_t size = size_t(i.type.bytes());
  if (i.space == Instruction::Global && !w.needMemory(i))
    return;
  forEachActive(w, [&](int l) {
    uint8_t bytes[16];
    Problem problem;
    if (i.space == Instruction::Shared) {
      problem = w.block.shared.read(addresses[l], size * size_t(i.vector),
                                    w.access(l), bytes);
    } else if (const uint8_t *from =
                   w.block.memory->read(addresses[l], size * size_t(i.vector),
                                        i.readOnly, problem)) {
      std::memcpy(bytes, from, size * size_t(i.vector));
    }
    if (!problem.empty())
      return w.fail(i, l, problem);
    for (int k = 0; k != i.vector; ++k) {
      uint64_t value = 0;
      std::memcpy(&value, bytes + size_t(k) * size, size);
      // Narrow signed values fill the register.
      w.target(part(i.operands[0], k))[l] =
          extend(value, i.type, i.type.bits == 32 ? 64 : 32);
    }
  });
}

static void loadParam(Warp &w, const Instruction &i) {
  Lanes room;
  const Lanes &value = w.read(i.operands[1], room);
  Lanes &d = w.target(i.operands[0]);
  uint64_t mask =
      i.type.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << i.type.bits) - 1;
  forEachActive(w, [&](int l) { d[l] = extend(value[l] & mask, i.type, 64); });
}

static void store(Warp &w, const Instruction &i) {
  if (i.space == Instruction::Global && !w.needMemory(i))
    return;
  Lanes room, rooms[4];
  const Lanes &addresses = w.read(i.operands[0], room);
  const Lanes *values[4];
  for (int k = 0; k != i.vector; ++k)
    values[k] = &w.read(part(i.operands[1], k), rooms[k]);
  size_t size = size_t(i.type.bytes());
  forEachActive(w, [&](int l) {
    uint8_t bytes[16];
    for (int k = 0; k != i.vector; ++k)
      std::memcpy(bytes + size_t(k) * size, &(*values[k])[l], size);
    Problem problem;
    size_t whole = size * size_t(i.vector);
    if (i.space == Instruction::Shared)
      problem = w.block.shared.write(addresses[l], whole, w.access(l), bytes);
    else if (uint8_t *to = w.block.memory->write(addresses[l], whole,
                                                 w.globalThread(l), problem))
      std::memcpy(to, bytes, whole);
    if (!problem.empty())
      w.fail(i, l, problem);
  });
}

/// The parts between the mnemonic and the type: space, cache, vector.
static bool decodeAccess(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts))
    return false;
  bool spaceKnown = false;
  for (size_t k = 1; k + 1 < parts.size(); ++k) {
    std::string_view part = parts[k];
    if (part == "global" || part == "const" || part == "shared" ||
        part == "param") {
      spaceKnown = true;
      i.space = part == "shared"  ? Instruction::Shared
                : part == "param" ? Instruction::Param
                                  : Instruction::Global;
    } else if (part == "nc") {
      i.readOnly = true;
    } else if (part == "v2" || part == "v4") {
      i.vector = part[1] - '0';
    } else {
      return false;
    }
  }
  const Operand &values = i.operands[parts[0] == "ld" ? 0 : 1];
  bool fits = values.kind == Operand::Vector
                  ? int(values.parts.size()) == i.vector
                  : i.vector == 1;
  return spaceKnown && fits && i.vector * i.type.bytes() <= 16;
}

static Handler loads(Instruction &i, const Parts &parts) {
  if (i.operands.size() != 2 || !decodeAccess(i, parts))
    return nullptr;
  return i.space == Instruction::Param ? loadParam : load;
}

static Handler stores(Instruction &i, const Parts &parts) {
  if (i.operands.size() != 2 || !decodeAccess(i, parts) ||
      i.space == Instruction::Param)
    return nullptr;
  return store;
}

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

static void move(Warp &w, const Instruction &i) {
  Lanes room;
  const Lanes &a = w.read(i.operands[1], room);
  Lanes &d = w.target(i.operands[0]);
  uint64_t mask =
      i.type.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << i.type.bits) - 1;
  forEachActive(w, [&](int l) { d[l] = a[l] & mask; });
}

/// {lo, hi, ...} = a, or a = {lo, hi, ...}.
static void moveParts(Warp &w, const Instruction &i) {
  bool unpack = i.operands[0].kind == Operand::Vector;
  const std::vector<Operand> &parts = i.operands[unpack ? 0 : 1].parts;
  int bits = i.type.bits / int(parts.size());
  uint64_t mask = (uint64_t(1) << bits) - 1;
  Lanes room;
  if (unpack) {
    Lanes a = w.read(i.operands[1], room);
    for (size_t k = 0; k != parts.size(); ++k) {
      Lanes &d = w.target(parts[k]);
      forEachActive(w, [&](int l) { d[l] = a[l] >> (int(k) * bits) & mask; });
    }
    return;
  }
  Lanes whole{};
  for (size_t k = 0; k != parts.size(); ++k) {
    const Lanes &a = w.read(parts[k], room);
    forEachActive(w,
                  [&](int l) { whole[l] |= (a[l] & mask) << (int(k) * bits); });
  }
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) { d[l] = whole[l]; });
}

static Handler moves(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts) || parts.size() != 2 || i.operands.size() != 2)
    return nullptr;
  for (const Operand &operand : i.operands)
    if (operand.kind == Operand::Vector)
      return operand.parts.size() > 1 ? moveParts : nullptr;
  return move;
}

/// An address is the same in every space here: those of shared memory are
/// small, those of the device are large.
static Handler addressConversions(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts) || i.operands.size() != 2)
    return nullptr;
  auto known = [](std::string_view space) {
    return space == "global" || space == "shared" || space == "param" ||
           space == "shared::cluster";
  };
  bool fits = parts.size() == 4   ? parts[1] == "to" && known(parts[2])
              : parts.size() == 3 ? known(parts[1])
                                  : false;
  return fits ? move : nullptr;
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

/// The integer nearest to `value` in the rounding's way.
static double roundTo(double value, const std::string &mode) {
  if (mode == "rni")
    return std::nearbyint(value);
  if (mode == "rmi")
    return std::floor(value);
  if (mode == "rpi")
    return std::ceil(value);
  return std::trunc(value);
}

/// Out of range gives the nearest end, and no number gives 0.
static uint64_t saturateReal(double value, const Type &to) {
  bool isSigned = to.kind == Type::Signed;
  double lo = isSigned ? -std::ldexp(1.0, to.bits - 1) : 0.0;
  double hi = std::ldexp(1.0, isSigned ? to.bits - 1 : to.bits);
  uint64_t mask = to.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << to.bits) - 1;
  if (std::isnan(value))
    return 0;
  if (value <= lo)
    return uint64_t(isSigned ? uint64_t(1) << (to.bits - 1) : 0) & mask;
  if (value >= hi)
    return isSigned ? mask >> 1 : mask;
  return (isSigned ? uint64_t(int64_t(value)) : uint64_t(value)) & mask;
}

/// A real of the type's width.
static uint64_t realBits(double value, const Type &type) {
  return type.bits == 64 ? toBits(value) : toBits(float(value));
}

static uint64_t convertOne(uint64_t raw, const Instruction &i) {
  const Type &to = i.type, &from = i.from;
  uint64_t mask =
      from.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << from.bits) - 1;
  raw &= mask;
  if (from.kind == Type::Real) {
    double value =
        from.bits == 64 ? fromBits<double>(raw) : double(fromBits<float>(raw));
    if (to.kind != Type::Real)
      return saturateReal(roundTo(value, i.mode), to);
    // Of one width, to an integer; else to the nearest of the other width.
    return realBits(to.bits == from.bits ? roundTo(value, i.mode) : value, to);
  }
  int64_t value = int64_t(extend(raw, from, 64));
  if (to.kind == Type::Real && to.bits == 64)
    return from.kind == Type::Signed ? toBits(double(value))
                                     : toBits(double(uint64_t(value)));
  if (to.kind == Type::Real)
    return from.kind == Type::Signed ? toBits(float(value))
                                     : toBits(float(uint64_t(value)));
  uint64_t toMask = to.bits == 64 ? ~uint64_t(0) : (uint64_t(1) << to.bits) - 1;
  if (i.saturate) {
    int64_t lo = to.kind == Type::Signed ? -(int64_t(1) << (to.bits - 1)) : 0;
    int64_t hi = to.kind == Type::Signed ? (int64_t(1) << (to.bits - 1)) - 1
                                         : int64_t(toMask);
    value = value < lo ? lo : value > hi ? hi : value;
  }
  // A narrow result is extended to the register.
  return extend(uint64_t(value) & toMask, to, 32);
}

static void convert(Warp &w, const Instruction &i) {
  Lanes room;
  const Lanes &a = w.read(i.operands[1], room);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) { d[l] = convertOne(a[l], i); });
}

static Handler conversions(Instruction &i, const Parts &parts) {
  if (parts.size() < 3 || i.operands.size() != 2 ||
      !parseType(parts.back(), i.from) ||
      !parseType(parts[parts.size() - 2], i.type))
    return nullptr;
  for (size_t k = 1; k + 2 < parts.size(); ++k) {
    if (parts[k] == "sat" && i.type.kind != Type::Real)
      i.saturate = true;
    else if (parts[k] == "rn" || parts[k] == "rni" || parts[k] == "rzi" ||
             parts[k] == "rmi" || parts[k] == "rpi")
      i.mode = parts[k];
    else
      return nullptr;
  }
  // From reals to integers and to reals of the same width, a mode says which
  // integer; where bits may be lost otherwise, the nearest is taken.
  bool fromReal = i.from.kind == Type::Real, toReal = i.type.kind == Type::Real;
  if ((fromReal && i.from.bits < 32) || (toReal && i.type.bits < 32))
    return nullptr;
  bool integral = i.mode.size() == 3;
  bool widens = fromReal && toReal && i.from.bits < i.type.bits;
  bool toInteger = fromReal && (!toReal || i.from.bits == i.type.bits);
  if (toInteger ? !integral
      : widens  ? !i.mode.empty()
      : toReal  ? i.mode != "rn"
                : !i.mode.empty())
    return nullptr;
  return convert;
}

const Binders &dataBinders() {
  static const Binders binders = {{"ld", loads},
                                  {"st", stores},
                                  {"mov", moves},
                                  {"cvta", addressConversions},
                                  {"cvt", conversions}};
  return binders;
}

} // namespace quern::ptx
