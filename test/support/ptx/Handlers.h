//===- Handlers.h - What instructions are bound to --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A binder looks at the parts of a name (`cvt`, `rni`, `s32`, `f32`), fills in
// the decoded fields and returns the handler, or null if it has none.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_HANDLERS_H
#define QUERN_TEST_SUPPORT_PTX_HANDLERS_H

#include "test/support/ptx/Machine.h"

#include <cstring>
#include <type_traits>

namespace quern::ptx {

using Parts = std::vector<std::string_view>;
using Binder = Handler (*)(Instruction &, const Parts &);
using Binders = std::map<std::string_view, Binder>;

/// Arithmetic of single lanes.
const Binders &scalarBinders();
/// Their shifts and what else looks at bits and bytes.
const Binders &bitBinders();
/// Comparisons and choices.
const Binders &compareBinders();
/// Loads, stores, moves and copies.
const Binders &dataBinders();
/// Branches, barriers, and what a warp does together.
const Binders &warpBinders();
/// mbarriers and fences of sm_90.
const Binders &bulkBinders();
/// Copies of tiles, which share their mnemonic with other copies.
Handler tileCopies(Instruction &i);
/// What begins with wgmma.
Handler warpgroupProducts(Instruction &i, const Parts &parts);

/// The low bits of a register as a T.
template <typename T> T fromBits(uint64_t bits) {
  if constexpr (std::is_floating_point_v<T>) {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  } else {
    return T(bits);
  }
}

/// A T as a register holds it.
template <typename T> uint64_t toBits(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else {
    return uint64_t(std::make_unsigned_t<T>(value));
  }
}

template <typename F> void forEachActive(const Warp &warp, F body) {
  if (warp.active == ~0u) {
    for (int lane = 0; lane != 32; ++lane)
      body(lane);
    return;
  }
  for (uint32_t left = warp.active; left; left &= left - 1)
    body(__builtin_ctz(left));
}

/// The destination of active lanes becomes body(a, b, c) of the three operands.
template <typename F> void mapThree(Warp &w, const Instruction &i, F body) {
  Lanes ra, rb, rc;
  const Lanes &a = w.read(i.operands[1], ra), &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) { d[l] = body(a[l], b[l], c[l]); });
}

/// True if the last part is a type; stored in `instruction.type`.
inline bool takeType(Instruction &instruction, const Parts &parts) {
  return parts.size() >= 2 && parseType(parts.back(), instruction.type);
}

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_HANDLERS_H
