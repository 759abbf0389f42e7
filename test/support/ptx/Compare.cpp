//===- Compare.cpp - Comparison and choice of single lanes ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

#include <algorithm>

namespace quern::ptx {

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
  mapThree(w, i,
           [](uint64_t a, uint64_t b, uint64_t c) { return c & 1 ? a : b; });
}

static Handler choices(Instruction &i, const Parts &parts) {
  return takeType(i, parts) && parts.size() == 2 ? choose : nullptr;
}

const Binders &compareBinders() {
  static const Binders binders = {{"setp", compares}, {"selp", choices}};
  return binders;
}

} // namespace quern::ptx
