//===- Scalar.cpp - Arithmetic of single lanes ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// f32 sums and products must name their rounding: without it an assembler may
// contract them, and a result would depend on who assembles.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

#include <algorithm>
#include <cmath>

namespace quern::ptx {

//===----------------------------------------------------------------------===//
// Operations of one, two and three operands
//===----------------------------------------------------------------------===//

template <typename F, typename T, typename To>
static void run1(Warp &w, const Instruction &i) {
  Lanes ra;
  const Lanes &a = w.read(i.operands[1], ra);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) { d[l] = toBits<To>(F::of(fromBits<T>(a[l]))); });
}

template <typename F, typename T, typename To>
static void run2(Warp &w, const Instruction &i) {
  Lanes ra, rb;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) {
    d[l] = toBits<To>(To(F::of(fromBits<T>(a[l]), fromBits<T>(b[l]))));
  });
}

/// Multiplies the first two, widened to the type of the third.
template <typename T, typename To>
static void multiplyAdd(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  using Wide = std::make_unsigned_t<To>;
  forEachActive(w, [&](int l) {
    Wide product = Wide(To(fromBits<T>(a[l]))) * Wide(To(fromBits<T>(b[l])));
    d[l] = Wide(product + Wide(fromBits<To>(c[l])));
  });
}

template <typename F> static Handler integer1(const Type &t) {
  bool s = t.kind == Type::Signed;
  switch (t.bits) {
  case 16:
    return s ? run1<F, int16_t, int16_t> : run1<F, uint16_t, uint16_t>;
  case 32:
    return s ? run1<F, int32_t, int32_t> : run1<F, uint32_t, uint32_t>;
  case 64:
    return s ? run1<F, int64_t, int64_t> : run1<F, uint64_t, uint64_t>;
  default:
    return t.kind == Type::Predicate ? run1<F, bool, bool> : nullptr;
  }
}

template <typename F> static Handler integer2(const Type &t) {
  bool s = t.kind == Type::Signed;
  switch (t.bits) {
  case 16:
    return s ? run2<F, int16_t, int16_t> : run2<F, uint16_t, uint16_t>;
  case 32:
    return s ? run2<F, int32_t, int32_t> : run2<F, uint32_t, uint32_t>;
  case 64:
    return s ? run2<F, int64_t, int64_t> : run2<F, uint64_t, uint64_t>;
  default:
    return t.kind == Type::Predicate ? run2<F, bool, bool> : nullptr;
  }
}

namespace {
// Sums and products wrap.
struct Add {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return T(uint64_t(a) + uint64_t(b));
  }
};
struct Sub {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return T(uint64_t(a) - uint64_t(b));
  }
};
struct Mul {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return T(uint64_t(a) * uint64_t(b));
  }
};
struct MulWide {
  template <typename T> static auto of(T a, T b) {
    return int64_t(a) * int64_t(b);
  }
};
struct MulHigh {
  template <typename T> static T of(T a, T b) {
    using Wide =
        std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return T((Wide(a) * Wide(b)) >> (sizeof(T) * 8));
  }
};
struct Div {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a / b;
    else // Division by zero gives all ones, as the machine does.
      return b == 0 ? T(-1) : T(a / b);
  }
};
struct Rem {
  template <typename T> static T of(T a, T b) { return b == 0 ? a : T(a % b); }
};
// Of a number and what is none, the number; -0 is less than 0.
struct Min {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a == b ? (std::signbit(a) ? a : b) : std::fmin(a, b);
    else
      return std::min(a, b);
  }
};
struct Max {
  template <typename T> static T of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b);
    else
      return std::max(a, b);
  }
};
struct And {
  template <typename T> static T of(T a, T b) { return T(a & b); }
};
struct Or {
  template <typename T> static T of(T a, T b) { return T(a | b); }
};
struct Xor {
  template <typename T> static T of(T a, T b) { return T(a ^ b); }
};
struct Not {
  template <typename T> static T of(T a) {
    if constexpr (std::is_same_v<T, bool>)
      return !a;
    else
      return T(~a);
  }
};
struct Negate {
  template <typename T> static T of(T a) {
    if constexpr (std::is_floating_point_v<T>)
      return -a;
    else
      return T(uint64_t(0) - uint64_t(a));
  }
};
struct Magnitude {
  template <typename T> static T of(T a) {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(a);
    else
      return a < 0 ? Negate::of(a) : a;
  }
};
/// The sign of the first with the magnitude of the second.
struct CopySign {
  template <typename T> static T of(T a, T b) { return std::copysign(b, a); }
};
struct Root {
  template <typename T> static T of(T a) { return std::sqrt(a); }
};
struct Reciprocal {
  template <typename T> static T of(T a) { return T(1) / a; }
};
} // namespace

template <typename F>
static Handler arithmetic(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts))
    return nullptr;
  if (i.type.kind != Type::Real)
    return parts.size() == 2 ? integer2<F>(i.type) : nullptr;
  if (parts.size() != 3 || parts[1] != "rn")
    return nullptr;
  return i.type.bits == 32   ? Handler(run2<F, float, float>)
         : i.type.bits == 64 ? Handler(run2<F, double, double>)
                             : nullptr;
}

template <typename F>
static Handler extreme(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts) || parts.size() != 2)
    return nullptr;
  if (i.type.kind == Type::Real)
    return i.type.bits == 32   ? Handler(run2<F, float, float>)
           : i.type.bits == 64 ? Handler(run2<F, double, double>)
                               : nullptr;
  return integer2<F>(i.type);
}

template <typename F> static Handler sign(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts) || parts.size() != 2)
    return nullptr;
  if (i.type.kind == Type::Real)
    return i.type.bits == 32   ? Handler(run1<F, float, float>)
           : i.type.bits == 64 ? Handler(run1<F, double, double>)
                               : nullptr;
  return i.type.bits == 64   ? Handler(run1<F, int64_t, int64_t>)
         : i.type.bits == 32 ? Handler(run1<F, int32_t, int32_t>)
                             : nullptr;
}

template <typename F> static Handler logic(Instruction &i, const Parts &parts) {
  return takeType(i, parts) && parts.size() == 2 ? integer2<F>(i.type)
                                                 : nullptr;
}

static Handler inverse(Instruction &i, const Parts &parts) {
  return takeType(i, parts) ? integer1<Not>(i.type) : nullptr;
}

static Handler remainder(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts))
    return nullptr;
  return parts.size() == 2 ? integer2<Rem>(i.type) : nullptr;
}

/// What is rounded to the nearest.
template <typename F>
static Handler nearest(Instruction &i, const Parts &parts) {
  if (parts.size() != 3 || parts[1] != "rn" || !takeType(i, parts))
    return nullptr;
  return i.type.bits == 64 ? run1<F, double, double> : run1<F, float, float>;
}

static Handler copySign(Instruction &, const Parts &parts) {
  bool known = parts.size() == 2 && parts[1] == "f32";
  return known ? run2<CopySign, float, float> : nullptr;
}

static Handler multiply(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts))
    return nullptr;
  if (i.type.kind == Type::Real)
    return arithmetic<Mul>(i, parts);
  if (parts.size() != 3)
    return nullptr;
  bool s = i.type.kind == Type::Signed;
  if (parts[1] == "lo")
    return integer2<Mul>(i.type);
  if (parts[1] == "hi" && i.type.bits == 32)
    return s ? run2<MulHigh, int32_t, int32_t>
             : run2<MulHigh, uint32_t, uint32_t>;
  if (parts[1] == "hi" && i.type.bits == 64)
    return s ? run2<MulHigh, int64_t, int64_t>
             : run2<MulHigh, uint64_t, uint64_t>;
  if (parts[1] == "wide" && i.type.bits == 32)
    return s ? run2<MulWide, int32_t, int64_t>
             : run2<MulWide, uint32_t, uint64_t>;
  if (parts[1] == "wide" && i.type.bits == 16)
    return s ? run2<MulWide, int16_t, int32_t>
             : run2<MulWide, uint16_t, uint32_t>;
  return nullptr;
}

static Handler multiplyAddOf(Instruction &i, const Parts &parts) {
  if (!takeType(i, parts) || parts.size() != 3)
    return nullptr;
  bool s = i.type.kind == Type::Signed;
  if (parts[1] == "lo" && i.type.bits == 32)
    return multiplyAdd<uint32_t, uint32_t>;
  if (parts[1] == "lo" && i.type.bits == 64)
    return multiplyAdd<uint64_t, uint64_t>;
  if (parts[1] == "lo" && i.type.bits == 16)
    return multiplyAdd<uint16_t, uint32_t>;
  if (parts[1] == "wide" && i.type.bits == 32)
    return s ? multiplyAdd<int32_t, int64_t> : multiplyAdd<uint32_t, uint64_t>;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Shifts and bits
//===----------------------------------------------------------------------===//

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

/// Funnel shift of two words; the amount wraps.
static void funnel(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) {
    uint64_t both = uint64_t(uint32_t(b[l])) << 32 | uint32_t(a[l]);
    int by = int(c[l] & 31);
    d[l] = uint32_t(i.mode == "l" ? both << by >> 32 : both >> by);
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
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) {
    uint64_t both = uint64_t(uint32_t(b[l])) << 32 | uint32_t(a[l]);
    uint64_t result = 0;
    for (int k = 0; k != 4; ++k) {
      int which = int(c[l] >> (4 * k) & 15);
      uint64_t byte = both >> (8 * (which & 7)) & 255;
      if (which & 8)
        byte = byte & 128 ? 255 : 0;
      result |= byte << (8 * k);
    }
    d[l] = result;
  });
}

static Handler permutes(Instruction &, const Parts &parts) {
  return parts.size() == 2 && parts[1] == "b32" ? permute : nullptr;
}

/// A field of bits, from position b on, c bits long.
static void bitField(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) {
    uint32_t at = b[l] & 255, length = c[l] & 255, bits = uint32_t(i.type.bits);
    uint64_t all = bits == 64 ? ~uint64_t(0) : 0xffffffff;
    uint64_t value = at < bits ? (a[l] & all) >> at : 0;
    length = std::min(length, at < bits ? bits - at : 0);
    if (length < bits)
      value &= (uint64_t(1) << length) - 1;
    if (i.type.kind == Type::Signed && length && value >> (length - 1) & 1 &&
        length < bits)
      value |= ~uint64_t(0) << length;
    d[l] = value & all;
  });
}

static Handler bitFields(Instruction &i, const Parts &parts) {
  return takeType(i, parts) && i.type.bits >= 32 ? bitField : nullptr;
}

//===----------------------------------------------------------------------===//
// Comparison and choice
//===----------------------------------------------------------------------===//

template <typename T> static bool holds(const std::string &mode, T a, T b) {
  if (mode == "eq")
    return a == b;
  if (mode == "ne")
    return std::is_floating_point_v<T> ? a < b || a > b : a != b;
  if (mode == "lt" || mode == "lo")
    return a < b;
  if (mode == "le" || mode == "ls")
    return a <= b;
  if (mode == "gt" || mode == "hi")
    return a > b;
  return a >= b;
}

template <typename T> static void compare(Warp &w, const Instruction &i) {
  Lanes ra, rb;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  uint32_t mask = 0;
  // With `u`, what is no number compares as true.
  std::string mode = i.mode;
  bool unordered = std::is_floating_point_v<T> && mode.size() == 3;
  if (unordered)
    mode.pop_back();
  forEachActive(w, [&](int l) {
    T x = fromBits<T>(a[l]), y = fromBits<T>(b[l]);
    bool result = holds(mode, x, y) || (unordered && (x != x || y != y));
    mask |= uint32_t(result) << l;
  });
  w.setPredicate(i.operands[0].number, mask);
}

static Handler compares(Instruction &i, const Parts &parts) {
  static const std::vector<std::string_view> modes = {
      "eq", "ne", "lt",  "le",  "gt",  "ge",  "lo",  "ls",
      "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu"};
  if (!takeType(i, parts) || parts.size() != 3 ||
      std::find(modes.begin(), modes.end(), parts[1]) == modes.end() ||
      i.operands.size() != 3)
    return nullptr;
  i.mode = parts[1];
  bool s = i.type.kind == Type::Signed;
  if (i.type.kind == Type::Real)
    return i.type.bits == 32   ? Handler(compare<float>)
           : i.type.bits == 64 ? Handler(compare<double>)
                               : nullptr;
  switch (i.type.bits) {
  case 16:
    return s ? compare<int16_t> : compare<uint16_t>;
  case 32:
    return s ? compare<int32_t> : compare<uint32_t>;
  case 64:
    return s ? compare<int64_t> : compare<uint64_t>;
  default:
    return nullptr;
  }
}

static void choose(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) { d[l] = c[l] & 1 ? a[l] : b[l]; });
}

static Handler choices(Instruction &i, const Parts &parts) {
  return takeType(i, parts) && parts.size() == 2 ? choose : nullptr;
}

//===----------------------------------------------------------------------===//
// Dot products of bytes
//===----------------------------------------------------------------------===//

/// d = c + sum of four products; the first operand's bytes as i.type says, the
/// second's as i.from.
static void dot4(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  auto byte = [](uint64_t word, int k, const Type &type) {
    uint8_t raw = uint8_t(word >> (8 * k));
    return type.kind == Type::Signed ? int32_t(int8_t(raw)) : int32_t(raw);
  };
  forEachActive(w, [&](int l) {
    uint32_t sum = uint32_t(c[l]);
    for (int k = 0; k != 4; ++k)
      sum += uint32_t(byte(a[l], k, i.type) * byte(b[l], k, i.from));
    d[l] = sum;
  });
}

static Handler dots(Instruction &i, const Parts &parts) {
  return parts.size() == 3 && parseType(parts[1], i.type) &&
                 parseType(parts[2], i.from) && i.type.bits == 32 &&
                 i.from.bits == 32
             ? dot4
             : nullptr;
}

const Binders &scalarBinders() {
  static const Binders binders = {
      {"add", arithmetic<Add>}, {"sub", arithmetic<Sub>},
      {"mul", multiply},        {"mad", multiplyAddOf},
      {"div", arithmetic<Div>}, {"rem", remainder},
      {"min", extreme<Min>},    {"max", extreme<Max>},
      {"neg", sign<Negate>},    {"abs", sign<Magnitude>},
      {"sqrt", nearest<Root>},  {"rcp", nearest<Reciprocal>},
      {"and", logic<And>},      {"or", logic<Or>},
      {"xor", logic<Xor>},      {"not", inverse},
      {"shl", shifts},          {"shr", shifts},
      {"shf", funnels},         {"prmt", permutes},
      {"bfe", bitFields},       {"setp", compares},
      {"selp", choices},        {"dp4a", dots},
      {"copysign", copySign}};
  return binders;
}

} // namespace quern::ptx
