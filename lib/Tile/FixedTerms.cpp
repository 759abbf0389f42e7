//===- FixedTerms.cpp - Terms of a residual sum, without floats -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedTerms.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;

namespace quern {

/// The inverse of an odd number modulo 2^64: each step of Newton's iteration
/// doubles the bits that are right.
static uint64_t inverseOfOdd(uint64_t v) {
  uint64_t x = v;
  for (int bits = 3; bits < 64; bits *= 2)
    x *= 2 - v * x;
  return x;
}

bool mayTie(int64_t factor, int64_t offset, int shift, int64_t lo, int64_t hi) {
  // n factor = wanted modulo 2^shift.
  uint64_t all = (uint64_t(1) << shift) - 1;
  uint64_t wanted = ((uint64_t(1) << (shift - 1)) - uint64_t(offset)) & all;
  uint64_t by = uint64_t(factor) & all;
  if (by == 0)
    return wanted == 0;
  int zeros = llvm::countr_zero(by);
  if (wanted & ((uint64_t(1) << zeros) - 1))
    return false;
  // One n of each 2^(shift - zeros) of them.
  uint64_t period = uint64_t(1) << (shift - zeros);
  uint64_t n = (wanted >> zeros) * inverseOfOdd(by >> zeros) & (period - 1);
  uint64_t first = (n - uint64_t(lo)) & (period - 1);
  return first <= uint64_t(hi) - uint64_t(lo);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static constexpr int64_t kCodes = 256;

/// The largest shift for which no column leaves 31 bits, by a margin for
/// constants that are moved.
static int byteShift(ArrayRef<qi_affine> columns) {
  double most = 1;
  for (const qi_affine &c : columns) {
    double m = std::ldexp(std::abs(double(c.mantissa)), -c.shift);
    double o = std::ldexp(std::abs(double(c.offset)), -c.shift);
    most = std::max(most, m * (kCodes - 1) + o);
  }
  return 30 - int(std::ceil(std::log2(most + 1)));
}

/// An offset with which the mantissa gives every number of the column.
static std::optional<int32_t> offsetFor(const qi_affine &column, int64_t m,
                                        int shift) {
  int64_t lo = INT32_MIN, hi = INT32_MAX;
  for (int64_t q = 0; q < kCodes; ++q) {
    int64_t low = qi_at(int32_t(q), &column) * (int64_t(1) << shift);
    lo = std::max(lo, low - q * m);
    hi = std::min(hi, low + (int64_t(1) << shift) - 1 - q * m);
  }
  if (lo > hi)
    return std::nullopt;
  int64_t offset = lo + (hi - lo) / 2, last = offset + m * (kCodes - 1);
  if (last != int32_t(last))
    return std::nullopt;
  return int32_t(offset);
}

std::optional<ByteTerms> makeByteTerms(ArrayRef<qi_affine> columns) {
  ByteTerms terms;
  terms.shift = byteShift(columns);
  if (terms.shift < 1)
    return std::nullopt;
  for (const qi_affine &c : columns) {
    int64_t nearest = std::llround(
        std::ldexp(double(c.mantissa), terms.shift - int(c.shift)));
    std::optional<int32_t> offset;
    // Where the nearest mantissa has no offset, one close by mostly has.
    for (int64_t step = 0; step <= 32 && !offset; ++step) {
      int64_t m = nearest + (step % 2 ? 1 : -1) * ((step + 1) / 2);
      if (m != int32_t(m))
        continue;
      offset = offsetFor(c, m, terms.shift);
      if (offset)
        terms.mantissas.push_back(int32_t(m));
    }
    if (!offset)
      return std::nullopt;
    terms.offsets.push_back(*offset);
  }
  return terms;
}

static constexpr int64_t kByteBlock = 128;

static int64_t fixedBytes(int64_t d) {
  return (d + 15) / 16 * kFixedBlockBytes;
}

static void appendBytes(const ByteTerms &terms, std::vector<int8_t> &bytes) {
  size_t at = bytes.size(), d = terms.mantissas.size();
  bytes.resize(at + 64 + (d + 15) / 16 * kByteBlock);
  for (size_t i = 0; i < 16; ++i)
    std::memcpy(bytes.data() + at + 4 * i, &terms.shift, 4);
  for (size_t i = 0; i < d; ++i) {
    int8_t *block = bytes.data() + at + 64 + i / 16 * kByteBlock;
    std::memcpy(block + i % 16 * 4, &terms.mantissas[i], 4);
    std::memcpy(block + 64 + i % 16 * 4, &terms.offsets[i], 4);
  }
}

TermConstants packTerm(ArrayRef<qi_affine> columns, int64_t most, bool narrow) {
  TermConstants constants;
  constants.bytes = packFixed(columns);
  if (narrow && most < kCodes)
    if (auto terms = makeByteTerms(columns)) {
      constants.form = FixedTerm::Bytes;
      appendBytes(*terms, constants.bytes);
      return constants;
    }
  if (llvm::none_of(columns, [&](const qi_affine &c) {
        return mayTie(c.mantissa, c.offset, c.shift, 0, most);
      }))
    constants.form = FixedTerm::NoTies;
  return constants;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

TermLanes::TermLanes(KernelBuilder &k, FixedTerm form, bool narrow, int64_t d,
                     Value constants)
    : k(k), form(form), narrow(narrow), smallAt(fixedBytes(d)),
      constants(constants) {
  if (isByte())
    shift = k.loadBytes(constants, k.index(smallAt), 16, k.i32());
}

void TermLanes::load(Value column) {
  if (!isByte()) {
    lanes = loadFixed(k, constants, column, narrow);
    return;
  }
  Value at = k.add(k.mul(k.div(column, k.index(16)), kByteBlock), smallAt + 64);
  mantissa = k.loadBytes(constants, at, 16, k.i32());
  offset = k.loadBytes(constants, k.add(at, 64), 16, k.i32());
}

Value TermLanes::bytesAt(Value codes) const {
  return k.shiftRightSigned(k.add(k.mul(codes, mantissa), offset), shift);
}

WideLanes TermLanes::wideAt(Value codes) const {
  if (form == FixedTerm::Any)
    return fixedAt(k, codes, lanes);
  WideLanes v = eachHalf([&](Value a, Value b) { return k.mul(a, b); },
                         widen(k, codes), lanes.mantissa);
  v = eachHalf([&](Value a, Value b) { return k.add(a, b); }, v, lanes.offset);
  return eachHalf([&](Value a, Value b) { return k.shiftRightSigned(a, b); }, v,
                  lanes.shift);
}

Value sumOfTerms(KernelBuilder &k, const TermLanes &a, Value aCodes,
                 const TermLanes &b, Value bCodes, bool narrow,
                 CodeRange range) {
  int64_t lo = int64_t(range.lo), hi = int64_t(range.hi);
  if (!a.isByte() && !b.isByte()) {
    WideLanes sum = eachHalf([&](Value x, Value y) { return k.add(x, y); },
                             a.wideAt(aCodes), b.wideAt(bCodes));
    return limitTo32(k, sum, lo, hi, narrow);
  }
  // Byte terms are those of narrow kernels: sums fit 32 bits.
  auto term = [&](const TermLanes &t, Value codes) {
    return t.isByte() ? t.bytesAt(codes) : join(k, t.wideAt(codes));
  };
  Value sum = k.add(term(a, aCodes), term(b, bCodes));
  auto limit = [&](int64_t v) { return k.broadcast(k.i32(int32_t(v))); };
  return minSigned(k, maxSigned(k, sum, limit(lo)), limit(hi));
}

} // namespace quern
