//===- Pool.cpp - One row per sequence ------------------------------------===//
//
// The first row is copied; the mean adds the rows of a block of 16 columns in
// ascending order, exactly for codes.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Pool.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

namespace {

/// Emits the pooling of one sequence.
class Emitter {
public:
  Emitter(KernelBuilder &k, const PoolShape &shape)
      : k(k), shape(shape), x(k.buffer(0)), out(k.buffer(3)) {}

  void emit();

private:
  bool onCodes() const { return shape.in != Storage::F32; }
  /// An integer below 2^23 that lies there as a float, from its bits: the first
  /// row of codes is taken without an instruction on floats.
  Value zeroPoint() {
    Value real = k.load(k.buffer(2), k.index(1));
    Value bits = arith::BitcastOp::create(k.op(), k.loc(), k.i32(), real);
    Value whole = k.add(k.bitAnd(bits, k.i32(0x7fffff)), k.i32(0x800000));
    // The exponent is 127 for 1.
    Value down = k.sub(k.i32(23 + 127), k.shiftRight(bits, k.i32(23)));
    return k.select(k.equal(bits, k.i32(0)), k.i32(0),
                    k.shiftRight(whole, down));
  }
  void firstRow(Value from, Value length, Value to);
  void meanOfCodes(Value from, Value length, Value to);
  void meanOfReals(Value from, Value length, Value to);
  /// Adds block i of the rows [first, length) to `start`, each turned into a
  /// summand by `load`.
  Value total(Value from, int64_t first, Value length, Value i, Value start,
              function_ref<Value(Value)> load) {
    return k.loop(
        k.index(first), length, 1, {start}, [&](Value row, ArrayRef<Value> a) {
          Value at = k.add(k.add(from, i), k.mul(row, shape.inStride));
          return Values{k.add(a[0], load(at))};
        })[0];
  }

  KernelBuilder &k;
  const PoolShape &shape;
  Value x, out;
};

void Emitter::emit() {
  Value offsets = k.buffer(1);
  k.loop(k.begin(), k.end(), 1, [&](Value s) {
    Value first = k.toIndex(k.load(offsets, s));
    Value last = k.toIndex(k.load(offsets, k.add(s, 1)));
    Value length = k.sub(last, first);
    Value from = k.mul(first, shape.inStride);
    Value to = k.mul(s, shape.outStride);
    if (!shape.mean)
      firstRow(from, length, to);
    else if (onCodes())
      meanOfCodes(from, length, to);
    else
      meanOfReals(from, length, to);
  });
}

void Emitter::firstRow(Value from, Value length, Value to) {
  Value empty = k.equal(length, k.index(0));
  Value none =
      onCodes() ? k.broadcast(zeroPoint()) : k.zeros(k.vec(16, k.f32()));
  k.blocks(shape.d, [&](Value i, Value) {
    Value at = k.add(from, i), target = k.add(to, i);
    if (onCodes())
      k.storeCodes(k.select(empty, none, k.loadCodes(x, at)), out, target);
    else
      k.storeVector(k.select(empty, none, k.loadVector(x, at)), out, target);
  });
}

void Emitter::meanOfCodes(Value from, Value length, Value to) {
  Value empty = k.equal(length, k.index(0));
  Value count = k.toI32(length);
  Value zeros = k.broadcast(k.mul(count, zeroPoint()));
  Value scale = k.load(k.buffer(2), k.index(0));
  Value factor = k.div(scale, k.toFloat(count, k.f32()));
  // 1 / 0 times 0 is not a number.
  factor = k.broadcast(k.select(empty, k.f32(0.0f), factor));
  Value offset;
  if (shape.offset)
    offset = k.broadcast(
        k.select(empty, k.f32(0.0f), k.load(k.buffer(2), k.index(2))));
  k.blocks(shape.d, [&](Value i, Value) {
    Value sum = total(from, 0, length, i, k.zeros(k.vec(16, k.i32())),
                      [&](Value at) { return k.loadCodes(x, at); });
    Value mean = k.mul(k.toFloat(k.sub(sum, zeros), k.f32()), factor);
    if (shape.offset)
      mean = k.add(mean, offset);
    k.storeVector(mean, out, k.add(to, i));
  });
}

void Emitter::meanOfReals(Value from, Value length, Value to) {
  Value empty = k.equal(length, k.index(0));
  Value count = k.toFloat(k.toI32(length), k.f32());
  count = k.broadcast(k.select(empty, k.f32(1.0f), count));
  k.blocks(shape.d, [&](Value i, Value) {
    auto load = [&](Value at) { return k.loadVector(x, at); };
    // Starting from the first row, not from 0, keeps the sign of a zero.
    Value start =
        k.select(empty, k.zeros(k.vec(16, k.f32())), load(k.add(from, i)));
    Value sum = total(from, 1, length, i, start, load);
    k.storeVector(k.div(sum, count), out, k.add(to, i));
  });
}

} // namespace

func::FuncOp buildPool(ModuleOp module, StringRef name,
                       const PoolShape &shape) {
  Builder types(module.getContext());
  Type f32 = types.getF32Type();
  Type in = shape.in == Storage::F32
                ? f32
                : Type(types.getIntegerType(8 * storageBytes(shape.in)));
  KernelBuilder k(module, name,
                  {in, types.getI32Type(), f32, shape.mean ? f32 : in});
  Emitter(k, shape).emit();
  return k.finish();
}

} // namespace quern
