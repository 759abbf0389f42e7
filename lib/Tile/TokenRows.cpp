//===- TokenRows.cpp - Codes with a range of their own in each row --------===//
//
// The range of a row is found in 16 lanes, whose ends are then exchanged: the
// least and largest of numbers have no order. quant_math.h has the formulas.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/TokenRows.h"

#include "quern/quant_math.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

std::string tokenName(StringRef kind, const TokenShape &shape) {
  return kind.str() + "_token_u" + std::to_string(shape.bits) +
         (shape.centred ? "_centred_" : "_") + std::to_string(shape.d) + "_" +
         std::to_string(shape.realStride) +
         (shape.rows == RowsOf::Tokens ? "_t" : "_s");
}

/// All lanes combined, in each of them.
static Value acrossLanes(KernelBuilder &k, Value v,
                         function_ref<Value(Value, Value)> combine) {
  for (int64_t half = 8; half; half /= 2) {
    SmallVector<int64_t> turned;
    for (int64_t l = 0; l != 16; ++l)
      turned.push_back((l + half) % 16);
    v = combine(v, k.shuffle(v, v, turned));
  }
  return v;
}

TokenRange loadTokenRange(KernelBuilder &k, Value codes, Value row, int64_t d) {
  Value at = k.add(row, tokenRangeAt(d));
  auto load = [&](Value from, Type element) {
    return k.broadcast(k.lane(k.loadBytes(codes, from, 1, element), 0));
  };
  return {load(at, k.f32()), load(k.add(at, 4), k.i32())};
}

namespace {

/// Emits the quantization of a row.
class RowQuantizer {
public:
  RowQuantizer(KernelBuilder &k, const TokenShape &shape)
      : k(k), shape(shape), reals(k.vec(16, k.f32())),
        lanes(k.vec(16, k.i32())), top(float((1 << shape.bits) - 1)) {}

  void emit(Value from, Value to) {
    findRange(from);
    Value inverse = k.div(k.splat(reals, 1), scale);
    Value least = k.sub(k.zeros(reals), k.toFloat(zero, k.f32()));
    Value most = k.sub(k.splat(reals, top), k.toFloat(zero, k.f32()));
    k.blocks(shape.d, [&](Value i, Value) {
      Value v = k.mul(k.loadVector(k.buffer(0), k.add(from, i)), inverse);
      v = k.minReal(most, k.maxReal(least, v));
      Value codes = k.add(k.round(v, {-256.0f, 256.0f}), zero);
      k.storeCodes(codes, k.buffer(1), k.add(to, i));
    });
    Value at = k.add(to, tokenRangeAt(shape.d));
    k.storeBytes(k.broadcast(k.lane(scale, 0), 1), k.buffer(1), at);
    k.storeBytes(k.broadcast(k.lane(zero, 0), 1), k.buffer(1), k.add(at, 4));
  }

private:
  void findRange(Value from) {
    Value none = k.zeros(reals);
    Values ends = k.blocks(
        shape.d, {none, none}, [&](Value i, Value mask, ArrayRef<Value> a) {
          Value x = k.loadVector(k.buffer(0), k.add(from, i));
          Value lo = k.minReal(x, a[0]), hi = k.maxReal(x, a[1]);
          if (!mask)
            return Values{lo, hi};
          return Values{k.select(mask, lo, a[0]), k.select(mask, hi, a[1])};
        });
    Value lo = acrossLanes(k, ends[0],
                           [&](Value a, Value b) { return k.minReal(a, b); });
    Value hi = acrossLanes(k, ends[1],
                           [&](Value a, Value b) { return k.maxReal(a, b); });
    scale = k.div(k.sub(hi, lo), k.splat(reals, top));
    Value below = k.sub(none, lo);
    Value isCentred;
    if (shape.centred) {
      // lo is never -0 and never above 0: its sign says whether it is less.
      Value sign = k.shiftRight(k.bitcast(lo, lanes), k.splat(lanes, 31));
      isCentred = k.equal(sign, k.splat(lanes, 1));
      float half = float((1 << (shape.bits - 1)) - 1);
      Value wide = k.div(k.maxReal(below, hi), k.splat(reals, half));
      scale = k.select(isCentred, wide, scale);
    }
    scale = k.maxReal(scale, k.splat(reals, QM_LEAST_SCALE));
    zero = k.round(k.div(below, scale), {0.0f, top});
    if (shape.centred)
      zero = k.select(isCentred, k.splat(lanes, 1 << (shape.bits - 1)), zero);
  }

  KernelBuilder &k;
  const TokenShape &shape;
  VectorType reals, lanes;
  float top;
  Value scale, zero;
};

} // namespace

func::FuncOp buildTokenQuantize(ModuleOp module, StringRef name,
                                const TokenShape &shape) {
  Builder b(module.getContext());
  KernelBuilder k(module, name, {b.getF32Type(), b.getI8Type()});
  RowQuantizer quantizer(k, shape);
  forEachRow(k, shape.rows, [&](Value row) {
    quantizer.emit(k.mul(row, shape.realStride),
                   k.mul(row, tokenRowStride(shape.d)));
  });
  return k.finish();
}

func::FuncOp buildTokenDequantize(ModuleOp module, StringRef name,
                                  const TokenShape &shape) {
  Builder b(module.getContext());
  KernelBuilder k(module, name, {b.getI8Type(), b.getF32Type()});
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, tokenRowStride(shape.d));
    Value to = k.mul(row, shape.realStride);
    TokenRange range = loadTokenRange(k, k.buffer(0), from, shape.d);
    k.blocks(shape.d, [&](Value i, Value) {
      Value codes = k.sub(k.loadCodes(k.buffer(0), k.add(from, i)), range.zero);
      k.storeVector(k.mul(k.toFloat(codes, k.f32()), range.scale), k.buffer(1),
                    k.add(to, i));
    });
  });
  return k.finish();
}

} // namespace quern
