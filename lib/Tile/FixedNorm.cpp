//===- FixedNorm.cpp - LayerNorm of one row of codes, without floats ------===//
//
// Numbers of a row lie in scratch memory, 32 bits each, or as the bytes that
// they are shifted up from. The sum of (u - mean)^2
// is that of u^2 less 2 mean times that of u, plus d mean^2: all are integers.
// Where it does not fit 32 bits it is summed again, cut by one bit more, until
// it does. The square root goes bit by bit, which needs no division and is as
// exact as Newton's.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedNorm.h"

#include "lib/Tile/FixedTerms.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Bytes before the first channels, and of 16 channels.
static constexpr int64_t kHeadBytes = 64, kFactorsAt = 64 + 128,
                         kChannelBytes = kFactorsAt + 64;

std::vector<int8_t> packChannels(ArrayRef<qi_channel> channels, int shift,
                                 ArrayRef<uint8_t> factors, int32_t zero) {
  int64_t blocks = (int64_t(channels.size()) + 15) / 16;
  std::vector<int8_t> bytes(kHeadBytes + blocks * kChannelBytes);
  const int64_t head[] = {shift, (int64_t(1) << (shift - 1)) - 1, zero};
  std::memcpy(bytes.data(), head, sizeof(head));
  for (size_t i = 0; i < channels.size(); ++i) {
    int8_t *block = bytes.data() + kHeadBytes + i / 16 * kChannelBytes;
    std::memcpy(block + i % 16 * 4, &channels[i].gain, 4);
    std::memcpy(block + 64 + i % 16 * 8, &channels[i].bias, 8);
    int32_t factor = int32_t(1) << factors[i];
    std::memcpy(block + kFactorsAt + i % 16 * 4, &factor, 4);
  }
  return bytes;
}

bool isNarrow(ArrayRef<qi_channel> channels, int shift) {
  return llvm::all_of(channels, [&](const qi_channel &c) {
    // Normalized values are at most 2^30 (1 + 2^-14) in size.
    double size = std::abs(double(c.gain)) * 0x1.001p30;
    return std::ldexp(size + std::abs(double(c.bias)), -shift) < 0x1p29;
  });
}

bool isPlain(ArrayRef<qi_channel> channels, int shift) {
  const int64_t most = (int64_t(1) << 30) + (int64_t(1) << 17);
  return shift >= 32 && isNarrow(channels, shift) &&
         llvm::none_of(channels, [&](const qi_channel &c) {
           return mayTie(c.gain, c.bias, shift, -most, most);
         });
}

FixedNorm::FixedNorm(KernelBuilder &k, int64_t d, int64_t rows, CodeRange sum,
                     FixedNormForm form, Value channels, Value out,
                     CodeRange range)
    : k(k), d(d), rows(rows), bits(qi_bits(uint64_t(sum.hi))), form(form),
      channels(channels), out(out), range(range) {
  auto number = [&](int64_t i) {
    return k.lane(k.loadBytes(channels, k.index(8 * i), 1, k.i64()), 0);
  };
  Value by = number(0), below = number(1);
  shift = wideSplat(k, by);
  rest = wideSplat(k, k.add(k.add(below, below), k.i64(1)));
  if (form.plain)
    shiftAbove = k.broadcast(k.trunc(k.sub(by, k.i64(32)), k.i32()));
  if (form.byChannel)
    zero = k.broadcast(k.trunc(number(2), k.i32()));
}

Value FixedNorm::channelsAt(Value column) {
  return k.add(k.mul(k.div(column, k.index(16)), kChannelBytes), kHeadBytes);
}

Value FixedNorm::numbersOf(Value codes, Value column, Value mask) {
  auto lanes = k.vec(16, k.i32());
  int all = qi_sum_shift(bits, 0);
  if (form.byChannel) {
    Value at = k.add(channelsAt(column), kFactorsAt);
    // A product: SSE has no shift of each lane by its own number, and LLVM
    // makes one of floats.
    Value powers = k.loadBytes(channels, at, 16, k.i32());
    codes = k.mul(k.sub(codes, zero), powers);
  } else if (all) {
    codes = k.shiftLeft(codes, k.splat(lanes, all));
  }
  return mask ? k.select(mask, codes, k.zeros(lanes)) : codes;
}

Value FixedNorm::placeOf(int64_t row, Value column) {
  int64_t bytes = hasBytes() ? 1 : 4;
  return k.add(k.mul(column, bytes), row * rowStride(d) * bytes);
}

Value FixedNorm::factorAt(int64_t row) {
  return k.index(rows * rowStride(d) * 4 + row * 64);
}

Value FixedNorm::loadSum(int64_t row, Value column) {
  Value at = placeOf(row, column);
  if (hasBytes())
    return numbersOf(k.loadCodes(k.scratch(), at), column, Value());
  return k.loadBytes(k.scratch(), at, 16, k.i32());
}

static WideLanes squared(KernelBuilder &k, Value v) {
  WideLanes wide = widen(k, v);
  return {k.mul(wide.even, wide.even), k.mul(wide.odd, wide.odd)};
}

/// Codes as bytes, then their sums and those of their squares by products of
/// bytes: c (c - 128), as one side has a sign.
std::vector<FixedNorm::Moments> FixedNorm::putBytes(Codes codes) {
  k.blocks(d, [&](Value i, Value) {
    for (auto [r, code] : llvm::enumerate(codes(i)))
      k.storeCodes(code, k.scratch(), placeOf(int64_t(r), i));
  });
  auto bytes = k.vec(64, k.i8());
  Value ones = k.splat(bytes, 1), top = k.splat(bytes, -128);
  auto add = [&](Value i, Value mask, ArrayRef<Value> a) {
    Values next;
    for (int64_t r = 0; r < rows; ++r) {
      Value c = k.loadVector(k.scratch(), placeOf(r, i), 64);
      if (mask)
        c = k.select(mask, c, k.zeros(bytes));
      next.push_back(k.dot4(a[2 * r], c, ones));
      next.push_back(k.dot4(a[2 * r + 1], c, k.bitXor(c, top)));
    }
    return next;
  };
  int64_t whole = d / 64 * 64;
  Values sums =
      k.loop(k.index(0), k.index(whole), 64,
             Values(2 * rows, k.zeros(k.vec(16, k.i32()))),
             [&](Value i, ArrayRef<Value> a) { return add(i, Value(), a); });
  if (whole != d)
    sums = add(k.index(whole), k.mask(d - whole, 64), sums);
  std::vector<Moments> moments;
  for (int64_t r = 0; r < rows; ++r) {
    auto total = [&](Value lanes) {
      return k.sext(k.reduceAdd(lanes), k.i64());
    };
    Value sum = total(sums[2 * r]), centred = total(sums[2 * r + 1]);
    moments.push_back(
        momentsOfBytes(sum, k.add(centred, k.mul(sum, k.i64(128)))));
  }
  return moments;
}

/// With numbers u = c 2^s, floor((u - mean) / 2^cut) is c 2^(s - cut) less
/// ceil(mean / 2^cut) for any cut up to s, so that no column is summed again.
/// At s the squares of bytes fit 32 bits.
FixedNorm::Moments FixedNorm::momentsOfBytes(Value sum, Value squares) {
  static_assert(QI_MOST_COLUMNS * INT64_C(255) * 255 <= INT64_C(0xffffffff),
                "the squares of a row of bytes fit 32 bits");
  const int up = qi_sum_shift(bits, 0);
  Moments m;
  m.mean = meanOf(k.shiftLeft(sum, k.i64(up)));
  Value below = k.sub(k.i64(0), k.sext(m.mean, k.i64()));
  for (int cut = up; cut >= 0; --cut) {
    // Of c 2^left - k, with -k:
    int64_t left = int64_t(1) << (up - cut);
    Value minus = k.shiftRightSigned(below, k.i64(cut));
    Value twice = k.mul(k.mul(sum, minus), k.i64(2 * left));
    Value all = k.add(k.mul(squares, k.i64(left * left)), twice);
    all = k.add(all, k.mul(k.mul(minus, minus), k.i64(d)));
    Value by = k.i64(cut);
    if (cut == up) {
      m.squares = all;
      m.cut = by;
      continue;
    }
    Value fits = k.less(all, k.i64(int64_t(1) << 32));
    m.squares = k.select(fits, all, m.squares);
    m.cut = k.select(fits, by, m.cut);
  }
  return m;
}

std::vector<FixedNorm::Moments> FixedNorm::putSums(Codes codes) {
  // Of each row: 16 lanes of sums, twice 8 of squares. 4096 numbers of 16 bits
  // in a lane stay below 2^31.
  Value none = k.zeros(k.vec(8, k.i64()));
  Values initial;
  for (int64_t r = 0; r < rows; ++r)
    initial.append({k.zeros(k.vec(16, k.i32())), none, none});
  Values sums =
      k.blocks(d, initial, [&](Value i, Value mask, ArrayRef<Value> a) {
        Values next;
        for (auto [r, code] : llvm::enumerate(codes(i))) {
          Value u = numbersOf(code, i, mask);
          k.storeBytes(u, k.scratch(), placeOf(int64_t(r), i));
          WideLanes square = squared(k, u);
          next.push_back(k.add(a[3 * r], u));
          next.push_back(k.add(a[3 * r + 1], square.even));
          next.push_back(k.add(a[3 * r + 2], square.odd));
        }
        return next;
      });
  std::vector<Moments> moments(size_t(rows), Moments{});
  for (auto [r, m] : llvm::enumerate(moments)) {
    Value sum = k.reduceAdd(k.sext(sums[3 * r], k.i64()));
    m.mean = meanOf(sum);
    Value mean = k.sext(m.mean, k.i64());
    Value square = k.reduceAdd(k.add(sums[3 * r + 1], sums[3 * r + 2]));
    Value less = k.sub(k.mul(k.i64(d), mean), k.add(sum, sum));
    m.squares = k.add(square, k.mul(mean, less));
  }
  return moments;
}

/// The mean to the nearest integer, ties to even.
Value FixedNorm::meanOf(Value sum) {
  // Means above zero, for the division; an even number changes no tie.
  const int64_t above = int64_t(1) << 30;
  sum = k.add(sum, k.i64(above * d));
  Value width = k.i64(d), low = k.div(sum, width);
  Value twice = k.mul(k.sub(sum, k.mul(low, width)), k.i64(2));
  Value odd = k.bitAnd(low, k.i64(1));
  // Up if twice > width, or twice == width and low is odd.
  Value up = k.less(width, k.add(twice, odd));
  low = k.sub(low, k.i64(above));
  return k.trunc(k.add(low, k.select(up, k.i64(1), k.i64(0))), k.i32());
}

Value FixedNorm::squares(int64_t row, Value mean, Value cut, Value columns) {
  Value none = k.zeros(k.vec(8, k.i64()));
  Value zeros = k.zeros(k.vec(16, k.i32()));
  Values sums = k.blocks(
      columns, {none, none}, [&](Value i, Value mask, ArrayRef<Value> a) {
        Value y = k.sub(loadSum(row, i), mean);
        if (mask)
          y = k.select(mask, y, zeros);
        WideLanes square = squared(k, k.shiftRightSigned(y, cut));
        return Values{k.add(a[0], square.even), k.add(a[1], square.odd)};
      });
  return k.reduceAdd(k.add(sums[0], sums[1]));
}

/// Cuts by as few bits as make the squares fit 32 bits. Cuts that leave 2^33 by
/// size alone are not tried: rounding down takes less than sqrt(d) off the
/// root.
void FixedNorm::cutSquares(int64_t row, Moments &moments) {
  Value mean = k.broadcast(moments.mean), columns = k.index(d);
  // A bit of cut takes two of the sum; rounding down may cost one more.
  Value free = k.toIndex(
      math::CountLeadingZerosOp::create(k.op(), k.loc(), moments.squares));
  Value last =
      k.add(k.div(k.sub(k.index(33), k.min(free, k.index(32))), k.index(2)), 1);
  Value none = k.i64(0);
  Value fits = k.less(moments.squares, k.i64(int64_t(1) << 32));
  Value tried = k.div(k.sub(k.index(32), k.min(free, k.index(30))), k.index(2));
  Values cut =
      k.loop(tried, k.select(fits, tried, k.add(last, 1)), 1,
             {moments.squares, none}, [&](Value by, ArrayRef<Value> a) {
               // Once it fits, no column is summed again.
               Value tooLarge = k.less(k.i64(UINT32_MAX), a[0]);
               Value again = squares(row, mean, k.broadcast(k.toI32(by)),
                                     k.select(tooLarge, columns, k.index(0)));
               Value wide =
                   arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), by);
               return Values{k.select(tooLarge, again, a[0]),
                             k.select(tooLarge, wide, a[1])};
             });
  moments.squares = cut[0];
  moments.cut = cut[1];
}

/// The deviation is floor(sqrt) of squares below 2^32, of all rows at a time.
void FixedNorm::findDeviations(std::vector<Moments> &moments) {
  Values initial = {k.i64(1 << 30)};
  for (auto [r, m] : llvm::enumerate(moments)) {
    if (!hasBytes())
      cutSquares(int64_t(r), m);
    initial.append({m.squares, k.i64(0)});
  }
  Values found = k.loop(
      k.index(0), k.index(16), 1, initial, [&](Value, ArrayRef<Value> a) {
        Value bit = a[0];
        Values next = {k.shiftRight(bit, k.i64(2))};
        for (size_t i = 1; i < a.size(); i += 2) {
          Value left = a[i], root = a[i + 1], trial = k.add(root, bit);
          Value isMore = k.less(left, trial);
          Value half = k.shiftRight(root, k.i64(1));
          next.push_back(k.select(isMore, left, k.sub(left, trial)));
          next.push_back(k.select(isMore, half, k.add(half, bit)));
        }
        return next;
      });
  for (auto [r, m] : llvm::enumerate(moments))
    m.deviation = k.shiftLeft(found[2 * r + 2], m.cut);
}

/// Bits 32 to 63 of all lanes, in order.
static Value joinUpper(KernelBuilder &k, const WideLanes &v) {
  auto lanes = k.vec(16, k.i32());
  SmallVector<int64_t> pattern;
  for (int64_t i = 1; i < 16; i += 2)
    pattern.append({i, 16 + i});
  return k.shuffle(k.bitcast(v.even, lanes), k.bitcast(v.odd, lanes), pattern);
}

Value FixedNorm::codesOf(const WideLanes &numbers) {
  int64_t lo = int64_t(range.lo), hi = int64_t(range.hi);
  if (!form.plain)
    return limitTo32(k, roundShift(k, numbers, shift, rest), lo, hi,
                     form.narrow);
  auto limit = [&](int64_t v) { return k.broadcast(k.i32(int32_t(v))); };
  Value codes = k.shiftRightSigned(joinUpper(k, numbers), shiftAbove);
  return minSigned(k, maxSigned(k, codes, limit(lo)), limit(hi));
}

void FixedNorm::putCodes(ArrayRef<Moments> moments,
                         ArrayRef<Value> outOffsets) {
  // floor(y R / 2), R = floor(2^31 / deviation), with a factor below 2^31: for
  // a deviation of 1 it is 2^30, and nothing is shifted. Bytes that are shifted
  // up deviate by more. Factors are loaded again for every product, where LLVM
  // sees that they have 32 bits: else it multiplies all 64.
  struct Row {
    Value mean, by;
  };
  std::vector<Row> scaled;
  Value one = k.i64(1), none = k.i64(0);
  for (auto [r, m] : llvm::enumerate(moments)) {
    Value isFlat = k.equal(m.deviation, none),
          isOne = k.equal(m.deviation, one);
    Value divisor = k.select(isFlat, one, m.deviation);
    Value factor = k.div(k.i64(int64_t(1) << 31), divisor);
    factor = k.select(isOne, k.i64(int64_t(1) << 30), factor);
    factor = k.trunc(k.select(isFlat, none, factor), k.i32());
    k.storeBytes(k.broadcast(factor), k.scratch(), factorAt(int64_t(r)));
    Value by = hasBytes() ? one : k.select(isOne, none, one);
    scaled.push_back({k.broadcast(m.mean), k.broadcast(by, 8)});
  }
  auto times = [&](Value a, Value b) { return k.mul(a, b); };
  auto plus = [&](Value a, Value b) { return k.add(a, b); };
  WideLanes half =
      eachHalf([&](Value a, Value b) { return k.sub(a, k.shiftRight(a, b)); },
               rest, wideSplat(k, one));
  k.blocks(d, [&](Value i, Value) {
    Value at = channelsAt(i);
    WideLanes gain = widen(k, k.loadBytes(channels, at, 16, k.i32()));
    WideLanes bias = eachHalf(plus, loadWide(k, channels, k.add(at, 64)), half);
    for (size_t r = 0; r < scaled.size(); ++r) {
      const Row &row = scaled[r];
      WideLanes y = widen(k, k.sub(loadSum(int64_t(r), i), row.mean));
      Value all = k.loadBytes(k.scratch(), factorAt(int64_t(r)), 16, k.i32());
      Value factor = widen(k, all).even;
      // At most 2^30 (1 + 2^-14) in size: the lower half has all of it.
      auto normal = [&](Value a, Value b) {
        Value v = k.shiftRightSigned(k.mul(a, b), row.by);
        return widen(k, k.bitcast(v, k.vec(16, k.i32()))).even;
      };
      WideLanes v =
          eachHalf(times, eachHalf(normal, y, {factor, factor}), gain);
      k.storeCodes(codesOf(eachHalf(plus, v, bias)), out,
                   k.add(outOffsets[r], i));
    }
  });
}

void FixedNorm::normalize(function_ref<Values(Value)> codes,
                          ArrayRef<Value> outOffsets) {
  std::vector<Moments> moments = hasBytes() ? putBytes(codes) : putSums(codes);
  findDeviations(moments);
  putCodes(moments, outOffsets);
}

/// The element type of codes.
static Type storedType(Builder b, Storage s) {
  return b.getIntegerType(8 * storageBytes(s));
}

int64_t fixedNormScratch(int64_t d) {
  return kNormRows * (rowStride(d) * 4 + 64);
}

func::FuncOp buildFixedAddNorm(ModuleOp module, StringRef name,
                               const AddNormShape &shape, bool byChannel) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type();
  KernelBuilder k(module, name,
                  {storedType(b, shape.a), storedType(b, shape.b), i8, i8, i8,
                   storedType(b, shape.out), storedType(b, shape.sum)});
  FixedNorm norm(k, shape.d, kNormRows, shape.sumRange,
                 {byChannel, shape.narrow, shape.plain}, k.buffer(4),
                 k.buffer(5), shape.outRange);
  TermLanes first(k, shape.aTerm, shape.narrow, shape.d, k.buffer(2));
  TermLanes second(k, shape.bTerm, shape.narrow, shape.d, k.buffer(3));
  Value tapping = k.tapping();
  forEachRows(k, shape.rows, kNormRows, [&](ArrayRef<Value> rows) {
    auto sumCodes = [&](Value i) {
      first.load(i);
      second.load(i);
      Values sums;
      for (Value row : rows) {
        auto load = [&](unsigned of, int64_t stride) {
          return k.loadCodes(k.buffer(of), k.add(k.mul(row, stride), i));
        };
        sums.push_back(sumOfTerms(k, first, load(0, shape.aStride), second,
                                  load(1, shape.bStride), shape.narrow,
                                  shape.sumRange));
      }
      return sums;
    };
    k.ifThen(tapping, [&] {
      k.blocks(shape.d, [&](Value i, Value) {
        for (auto [row, sum] : llvm::zip_equal(rows, sumCodes(i)))
          k.storeCodes(sum, k.buffer(6), k.add(k.mul(row, shape.tapStride), i));
      });
    });
    Values to;
    for (Value row : rows)
      to.push_back(k.mul(row, shape.outStride));
    norm.normalize(sumCodes, to);
  });
  return k.finish();
}

func::FuncOp buildFixedEmbed(ModuleOp module, StringRef name,
                             const EmbedShape &shape) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type(), i32 = b.getI32Type();
  SmallVector<Type> buffers = {i32, i32, i32, i8, i8, i8,
                               i32, i32, i32, i8, i8};
  if (shape.factors)
    buffers.push_back(i32);
  // Results come last.
  unsigned out = buffers.size();
  for (Storage result : {shape.out, shape.e1, shape.e2})
    buffers.push_back(storedType(b, result));
  KernelBuilder k(module, name, buffers);
  FixedNorm norm(k, shape.d, /*rows=*/1, shape.e2Range,
                 {shape.factors, shape.narrow, shape.plain}, k.buffer(10),
                 k.buffer(out), shape.outRange);
  FixedLanes first = loadFixed(k, k.buffer(9), k.index(0));
  const bool perRow[] = {shape.wordScales, shape.typeScales,
                         shape.positionScales};
  Value tapping = k.tapping();
  forEachRow(k, RowsOf::Tokens, [&](Value token) {
    Value rows[3];
    FixedLanes scales[3];
    for (unsigned t = 0; t != 3; ++t) {
      Value number = embeddingRow(k, t, token);
      int64_t bits = shape.tableBits[t];
      rows[t] = k.mul(number, bits == 8 ? shape.tableStride
                                        : tableRowBytes(shape.d, bits));
      Value at = perRow[t] ? k.mul(number, 2) : k.index(0);
      scales[t] = broadcastFixed(k, k.load(k.buffer(6 + t), at),
                                 k.load(k.buffer(6 + t), k.add(at, 1)));
    }
    // What the factor of a channel makes of a number of its second sum.
    auto raised = [&](Value v, Value i) {
      return shape.factors ? k.mul(v, k.loadVector(k.buffer(11), i)) : v;
    };
    auto codesOf = [&](unsigned t, Value i) {
      return loadTableCodes(k, k.buffer(3 + t), rows[t], i, shape.tableBits[t]);
    };
    auto term = [&](unsigned t, Value i) {
      return fixedAt(k, codesOf(t, i), scales[t]);
    };
    auto total = [&](const WideLanes &x, const WideLanes &y, int64_t zero,
                     CodeRange range) {
      Value more = k.broadcast(k.i64(zero), 8);
      WideLanes v = eachHalf(
          [&](Value a, Value b) { return k.add(k.add(a, b), more); }, x, y);
      return limitTo32(k, v, int64_t(range.lo), int64_t(range.hi),
                       /*narrow=*/false);
    };
    auto firstSum = [&](Value i) {
      return total(term(0, i), term(1, i), shape.e1Zero, shape.e1Range);
    };
    auto secondSum = [&](Value e1, Value i) {
      Value above = k.sub(e1, k.broadcast(k.i32(int32_t(shape.e1Zero))));
      return total(fixedAt(k, raised(above, i), first),
                   fixedAt(k, raised(codesOf(2, i), i), scales[2]),
                   shape.e2Zero, shape.e2Range);
    };
    k.ifThen(tapping, [&] {
      Value to = k.mul(token, shape.tapStride);
      k.blocks(shape.d, [&](Value i, Value) {
        Value e1 = firstSum(i);
        k.storeCodes(e1, k.buffer(out + 1), k.add(to, i));
        k.storeCodes(secondSum(e1, i), k.buffer(out + 2), k.add(to, i));
      });
    });
    norm.normalize([&](Value i) { return Values{secondSum(firstSum(i), i)}; },
                   {k.mul(token, shape.outStride)});
  });
  return k.finish();
}

} // namespace quern
