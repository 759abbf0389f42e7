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
  using Wide = std::make_unsigned_t<To>;
  mapThree(w, i, [](uint64_t a, uint64_t b, uint64_t c) {
    Wide product = Wide(To(fromBits<T>(a))) * Wide(To(fromBits<T>(b)));
    return Wide(product + Wide(fromBits<To>(c)));
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
      {"copysign", copySign}};
  return binders;
}

} // namespace quern::ptx
