//===- GroupNorm.cpp - Residual sum and LayerNorm of grouped codes --------===//
//
// Sums of a group are dot products of the codes with its mask, so a group's
// channels may lie anywhere. A result in another order is written to scratch
// memory and looked up there.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GroupNorm.h"

#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Groups whose sums stay in registers during one pass over the row.
static constexpr int64_t kAtOnce = 12;
static constexpr int64_t kHeaderBytes = 16, kGroupBytes = 40;

template <typename T> static void append(std::vector<int8_t> &bytes, T value) {
  size_t at = bytes.size();
  bytes.resize(at + sizeof(T));
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

std::vector<int8_t> groupNormParams(tq::GroupType type, double eps) {
  std::vector<int64_t> count(type.getParams().size());
  for (int64_t g : type.getMap())
    ++count[g];
  std::vector<int8_t> bytes;
  append(bytes, eps);
  append(bytes, double(type.getMap().size()));
  for (auto [n, pair] : llvm::zip(count, type.getParams())) {
    append(bytes, pair.scale);
    append(bytes, pair.scale * pair.scale);
    append(bytes, n * pair.zero);
    append(bytes, 2 * pair.zero);
    append(bytes, n * pair.zero * pair.zero);
  }
  return bytes;
}

std::vector<int8_t> groupNormMasks(tq::GroupType type) {
  int64_t stride = rowStride(type.getMap().size());
  std::vector<int8_t> masks(type.getParams().size() * stride);
  for (auto [j, g] : llvm::enumerate(type.getMap()))
    masks[g * stride + j] = 1;
  return masks;
}

namespace {

/// LayerNorm over the codes of groups in scratch memory.
class GroupStatistics {
public:
  GroupStatistics(KernelBuilder &k, const GroupNormShape &shape)
      : k(k), shape(shape), d(shape.norm.d), params(k.buffer(7)),
        masks(k.buffer(9)), zeros(k.buffer(10)), scales(k.buffer(11)) {}

  void forEachResult(function_ref<void(Value, Value)> body) {
    Value none = k.lane(k.zeros(k.vec(1, k.f64())), 0);
    Values sums = shape.each ? sumChannels(none) : sumGroups(none);
    Value width = number(8);
    Value mean = k.div(sums[0], width);
    Value spread = k.sub(k.div(sums[1], width), k.mul(mean, mean));
    Value variance = k.add(positive(spread), number(0));
    Value one = k.lane(k.splat(k.vec(1, k.f64()), 1), 0);
    Value rs = k.broadcast(k.truncateFloat(k.div(one, k.sqrt(variance))));
    Value middle = k.broadcast(k.truncateFloat(mean));
    k.blocks(d, [&](Value i, Value) {
      Value u = k.toFloat(k.loadCodes(k.scratch(), i), k.f32());
      Value value =
          k.mul(k.sub(u, k.loadVector(zeros, i)), k.loadVector(scales, i));
      Value y = k.mul(k.sub(value, middle), rs);
      y = k.mul(y, k.loadVector(k.buffer(5), i));
      body(i, k.add(y, k.loadVector(k.buffer(6), i)));
    });
  }

private:
  Value number(Value at) {
    return k.lane(k.loadBytes(params, at, 1, k.f64()), 0);
  }
  Value number(int64_t at) { return number(k.index(at)); }
  Value integer(Value at) {
    return k.lane(k.loadBytes(params, at, 1, k.i64()), 0);
  }

  /// v, or 0 where its sign is negative.
  Value positive(Value v) {
    auto bits = k.vec(1, k.i64());
    Value one = k.broadcast(v, 1);
    Value sign = k.shiftRight(k.bitcast(one, bits), k.splat(bits, 63));
    Value zero = k.zeros(k.vec(1, k.f64()));
    return k.lane(k.select(k.equal(sign, k.zeros(bits)), one, zero), 0);
  }

  /// Adds one group's share: sums of values and of their squares.
  void add(Values &sums, Value at, Value first, Value second) {
    auto field = [&](int64_t offset) { return k.add(at, offset); };
    Value a =
        k.mul(number(at), k.toFloat(k.sub(first, integer(field(16))), k.f64()));
    Value squares = k.sub(second, k.mul(integer(field(24)), first));
    squares = k.add(squares, integer(field(32)));
    Value b = k.mul(number(field(8)), k.toFloat(squares, k.f64()));
    sums[0] = k.add(sums[0], a);
    sums[1] = k.add(sums[1], b);
  }

  Values sumGroups(Value none) {
    Values sums = {none, none};
    auto bytes = k.vec(64, k.i8());
    Value zero = k.zeros(k.vec(16, k.i32()));
    for (int64_t from = 0; from < shape.groups; from += kAtOnce) {
      int64_t count = std::min(kAtOnce, shape.groups - from);
      Values parts =
          k.loop(k.index(0), k.index(d), 64, Values(2 * count, zero),
                 [&](Value i, ArrayRef<Value> now) {
                   Values next(now.begin(), now.end());
                   Value u = k.loadVector(k.scratch(), i, 64);
                   Value shifted = k.bitXor(u, k.splat(bytes, -128));
                   for (int64_t g = 0; g < count; ++g) {
                     Value mask = k.loadVector(
                         masks, k.add(i, (from + g) * rowStride(d)), 64);
                     // 0 or all bits.
                     Value all = k.sub(k.zeros(bytes), mask);
                     next[2 * g] = k.dot4(next[2 * g], u, mask);
                     next[2 * g + 1] =
                         k.dot4(next[2 * g + 1], u, k.bitAnd(shifted, all));
                   }
                   return next;
                 });
      for (int64_t g = 0; g < count; ++g) {
        Value first = k.sext(k.reduceAdd(parts[2 * g]), k.i64());
        Value second = k.sext(k.reduceAdd(parts[2 * g + 1]), k.i64());
        second = k.add(second, k.mul(first, k.i64(128)));
        add(sums, k.index(kHeaderBytes + (from + g) * kGroupBytes), first,
            second);
      }
    }
    return sums;
  }

  /// One channel after the other, each a group.
  Values sumChannels(Value none) {
    return k.loop(k.index(0), k.index(d), 1, {none, none},
                  [&](Value j, ArrayRef<Value> now) {
                    Values sums(now.begin(), now.end());
                    Value u = k.zext(k.load(k.scratch(), j), k.i64());
                    add(sums, k.add(k.mul(j, kGroupBytes), kHeaderBytes), u,
                        k.mul(u, u));
                    return sums;
                  });
  }

  KernelBuilder &k;
  const GroupNormShape &shape;
  int64_t d;
  Value params, masks, zeros, scales;
};

/// Writes a row to scratch memory, then its columns in another order. Bytes are
/// looked up 64 at once in parts of 256 of the row, where the look-ups of all
/// parts cost less than a load and a store of each byte.
class OrderedStore {
public:
  OrderedStore(KernelBuilder &k, const GroupNormShape &shape, Value order)
      : k(k), shape(shape), order(order), each(storageBytes(shape.norm.out)),
        from(CodeNorm::scratchBytes(shape.norm.d, shape.norm.sum)) {}

  static bool looksUp(const GroupNormShape &shape) {
    return shape.norm.out == Storage::U8 && shape.norm.d <= 4 * kPart;
  }
  /// Of scratch memory: the row, and for look-ups the two bytes of the columns
  /// in order.
  static int64_t bytes(const GroupNormShape &shape) {
    int64_t d = shape.norm.d;
    return looksUp(shape) ? llvm::alignTo(d, kPart) + 2 * rowStride(d)
                          : rowStride(d) * storageBytes(shape.norm.out);
  }

  /// To be called before the first row.
  void start() {
    if (!looksUp(shape))
      return;
    k.blocks(shape.norm.d, [&](Value i, Value mask) {
      Value columns = k.loadVector(order, i);
      Value high = k.shiftRight(columns, k.splat(k.vec(16, k.i32()), 8));
      for (auto [part, v] : {std::pair(0, columns), std::pair(1, high)}) {
        Value at = k.add(i, placesAt(part));
        if (mask)
          k.storeMasked(k.trunc(v, k.i8()), k.scratch(), at, mask);
        else
          k.storeVector(k.trunc(v, k.i8()), k.scratch(), at);
      }
    });
  }

  void put(Value column, Value y) {
    Value at = k.add(k.mul(column, each), from);
    if (shape.norm.out != Storage::F32)
      y = k.trunc(k.round(y, shape.norm.outRange), k.element(shape.norm.out));
    k.storeBytes(y, k.scratch(), at);
  }

  void finish(Value out, Value outOffset) {
    if (looksUp(shape))
      lookUp(out, outOffset);
    else
      move(out, outOffset);
  }

private:
  /// Bytes of a table.
  static constexpr int64_t kPart = 256;

  int64_t placesAt(int64_t part) const {
    int64_t d = shape.norm.d;
    return from + llvm::alignTo(d, kPart) + part * rowStride(d);
  }

  void lookUp(Value out, Value outOffset) {
    int64_t d = shape.norm.d, whole = d / 64 * 64;
    auto codesAt = [&](Value i) {
      Value low = k.loadVector(k.scratch(), k.add(i, placesAt(0)), 64);
      Value high = k.loadVector(k.scratch(), k.add(i, placesAt(1)), 64);
      Value codes = k.lut256(low, k.scratch(), k.index(from));
      for (int64_t part = 1; part * kPart < d; ++part) {
        Value more = k.lut256(low, k.scratch(), k.index(from + part * kPart));
        Value mine = k.equal(high, k.splat(k.vec(64, k.i8()), double(part)));
        codes = k.select(mine, more, codes);
      }
      return codes;
    };
    k.loop(k.index(0), k.index(whole), 64, [&](Value i) {
      k.storeVector(codesAt(i), out, k.add(outOffset, i));
    });
    if (whole < d)
      k.storeMasked(codesAt(k.index(whole)), out, k.add(outOffset, whole),
                    k.mask(d - whole, 64));
  }

  void move(Value out, Value outOffset) {
    // Four at once: the addresses are the work.
    int64_t d = shape.norm.d, whole = d / 4 * 4;
    auto one = [&](Value i) {
      Value source = k.toIndex(k.load(order, i));
      Value at = k.add(k.mul(source, each), from);
      Value v =
          k.lane(k.loadBytes(k.scratch(), at, 1, k.element(shape.norm.out)), 0);
      k.store(v, out, k.add(outOffset, i));
    };
    k.loop(k.index(0), k.index(whole), 4, [&](Value i) {
      for (int64_t n = 0; n < 4; ++n)
        one(k.add(i, n));
    });
    for (int64_t i = whole; i < d; ++i)
      one(k.index(i));
  }

  KernelBuilder &k;
  const GroupNormShape &shape;
  Value order;
  int64_t each, from;
};

} // namespace

int64_t groupAddNormScratch(const GroupNormShape &shape) {
  int64_t bytes = CodeNorm::scratchBytes(shape.norm.d, shape.norm.sum);
  if (shape.ordered)
    bytes += OrderedStore::bytes(shape);
  return bytes;
}

func::FuncOp buildGroupAddNorm(ModuleOp module, StringRef name,
                               const GroupNormShape &shape) {
  const AddNormShape &norm = shape.norm;
  MLIRContext *context = module.getContext();
  Type f32 = Float32Type::get(context), i8 = IntegerType::get(context, 8);
  SmallVector<Type> elements = {storedType(context, norm.a),
                                storedType(context, norm.b),
                                f32,
                                f32,
                                f32,
                                f32,
                                f32,
                                i8,
                                storedType(context, norm.out)};
  if (shape.groups)
    elements.append({i8, f32, f32});
  if (shape.ordered)
    elements.push_back(IntegerType::get(context, 32));
  elements.push_back(storedType(context, norm.sum));
  KernelBuilder k(module, name, elements);
  Value out = k.buffer(8), tap = k.buffer(elements.size() - 1);
  // Also clears what the columns beyond d of the scratch row hold. Its
  // constants are those of one scale; with groups nothing reads them.
  CodeNorm plain(k, norm.d, norm.sum, k.buffer(7), k.buffer(5), k.buffer(6),
                 out, norm.outRange);
  OrderedStore store(k, shape,
                     shape.ordered ? k.buffer(shape.groups ? 12 : 9) : Value());
  if (shape.ordered)
    store.start();
  Value tapping = k.tapping();
  forEachRow(k, norm.rows, [&](Value row) {
    emitRowSum(k, norm, plain, row, tap, tapping);
    Value outRow = k.mul(row, norm.outStride);
    auto put = [&](Value i, Value y) {
      if (shape.ordered)
        store.put(i, y);
      else
        k.storeReal(y, out, k.add(outRow, i), norm.outRange);
    };
    if (shape.groups)
      GroupStatistics(k, shape).forEachResult(put);
    else
      plain.forEachResult(put);
    if (shape.ordered)
      store.finish(out, outRow);
  });
  return k.finish();
}

} // namespace quern
