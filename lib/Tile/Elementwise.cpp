//===- Elementwise.cpp - Kernels without a reduction, and normalize -------===//
//
// Each visits the blocks of 16 columns of its rows; the padding of a row is
// computed along.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Elementwise.h"

using namespace mlir;

namespace quern {

/// Codes pass through f32 exactly within these limits; the true limits of a
/// quantizer come in as data.
static constexpr CodeRange kAnyCode = {-4194304.0f, 4194304.0f};

static Type elementType(ModuleOp module, Storage s) {
  Builder b(module.getContext());
  if (s == Storage::F32)
    return b.getF32Type();
  return b.getIntegerType(8 * storageBytes(s));
}

/// Builds a kernel of the buffers x, params and out that maps blocks.
/// `body(x at, out at, block)` gets element offsets.
static func::FuncOp
buildRows(ModuleOp module, StringRef name, const RowShape &shape,
          int64_t params,
          function_ref<void(KernelBuilder &, ArrayRef<Value> params, Value from,
                            Value to)>
              body) {
  Type f32 = elementType(module, Storage::F32);
  SmallVector<Type> buffers = {elementType(module, shape.in)};
  if (params)
    buffers.push_back(f32);
  buffers.push_back(elementType(module, shape.out));
  KernelBuilder k(module, name, buffers);
  SmallVector<Value> values;
  for (int64_t i = 0; i != params; ++i)
    values.push_back(k.broadcast(k.load(k.buffer(1), k.index(i))));
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      body(k, values, k.add(from, i), k.add(to, i));
    });
  });
  return k.finish();
}

func::FuncOp buildElementFunction(ModuleOp module, StringRef name,
                                  ElementFunction function,
                                  const RowShape &shape) {
  auto apply = [&](KernelBuilder &k, Value x) -> Value {
    switch (function) {
    case ElementFunction::Gelu:
      return k.gelu(x);
    case ElementFunction::GeluTanh:
      return k.geluTanh(x);
    case ElementFunction::Tanh:
      return k.tanh(x);
    case ElementFunction::Relu:
      return k.maxReal(x, k.zeros(k.vec(16, k.f32())));
    }
    llvm_unreachable("unknown function");
  };
  return buildRows(
      module, name, shape, 0,
      [&](KernelBuilder &k, ArrayRef<Value>, Value from, Value to) {
        k.storeVector(apply(k, k.loadVector(k.buffer(0), from)), k.buffer(1),
                      to);
      });
}

func::FuncOp buildAdd(ModuleOp module, StringRef name, const RowShape &shape) {
  Type f32 = elementType(module, Storage::F32);
  KernelBuilder k(module, name, {f32, f32, f32});
  forEachRow(k, shape.rows, [&](Value row) {
    Value a = k.mul(row, shape.inStride), b = k.mul(row, shape.bStride);
    Value to = k.mul(row, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      Value sum = k.add(k.loadVector(k.buffer(0), k.add(a, i)),
                        k.loadVector(k.buffer(1), k.add(b, i)));
      k.storeVector(sum, k.buffer(2), k.add(to, i));
    });
  });
  return k.finish();
}

func::FuncOp buildQuantize(ModuleOp module, StringRef name,
                           const RowShape &shape) {
  return buildRows(
      module, name, shape, 4,
      [&](KernelBuilder &k, ArrayRef<Value> p, Value from, Value to) {
        Value v = k.mul(k.loadVector(k.buffer(0), from), p[0]);
        v = k.minReal(p[2], k.maxReal(p[1], v));
        Value codes = k.round(v, kAnyCode);
        k.storeCodes(k.add(codes, k.toInt(p[3])), k.buffer(2), to);
      });
}

func::FuncOp buildDequantize(ModuleOp module, StringRef name,
                             const RowShape &shape) {
  return buildRows(
      module, name, shape, 2,
      [&](KernelBuilder &k, ArrayRef<Value> p, Value from, Value to) {
        Value codes = k.sub(k.loadCodes(k.buffer(0), from), k.toInt(p[1]));
        k.storeVector(k.mul(k.toFloat(codes, k.f32()), p[0]), k.buffer(2), to);
      });
}

func::FuncOp buildDequantizeChannels(ModuleOp module, StringRef name,
                                     const RowShape &shape) {
  Type f32 = elementType(module, Storage::F32);
  KernelBuilder k(module, name, {elementType(module, shape.in), f32, f32, f32});
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      Value q = k.toFloat(k.loadCodes(k.buffer(0), k.add(from, i)), k.f32());
      // Of so few bits the difference is exact.
      Value v = k.mul(k.sub(q, k.loadVector(k.buffer(2), i)),
                      k.loadVector(k.buffer(1), i));
      k.storeVector(v, k.buffer(3), k.add(to, i));
    });
  });
  return k.finish();
}

func::FuncOp buildRequantize(ModuleOp module, StringRef name,
                             const RowShape &shape) {
  return buildRows(
      module, name, shape, 4,
      [&](KernelBuilder &k, ArrayRef<Value> p, Value from, Value to) {
        Value v = k.toFloat(k.loadCodes(k.buffer(0), from), k.f32());
        v = k.add(k.mul(v, p[0]), p[1]);
        v = k.minReal(p[3], k.maxReal(p[2], v));
        k.storeCodes(k.round(v, kAnyCode), k.buffer(2), to);
      });
}

func::FuncOp buildLimit(ModuleOp module, StringRef name,
                        const RowShape &shape) {
  Type i8 = elementType(module, Storage::U8);
  KernelBuilder k(module, name, {i8, i8, i8});
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    k.loop(k.index(0), k.index(shape.d), 64, [&](Value i) {
      Value x = k.loadVector(k.buffer(0), k.add(from, i), 64);
      Value most = k.loadVector(k.buffer(1), i, 64);
      Value least = k.loadVector(k.buffer(1), k.add(i, rowStride(shape.d)), 64);
      k.storeVector(k.maxUnsigned(least, k.min(x, most)), k.buffer(2),
                    k.add(to, i));
    });
  });
  return k.finish();
}

func::FuncOp buildNormalize(ModuleOp module, StringRef name,
                            const RowShape &shape) {
  Type f32 = elementType(module, Storage::F32);
  KernelBuilder k(module, name, {f32, f32, f32});
  Value eps = k.load(k.buffer(1), k.index(0));
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.inStride), to = k.mul(row, shape.outStride);
    auto x = [&](Value i) { return k.loadVector(k.buffer(0), k.add(from, i)); };
    Value squares = sumColumns(k, shape.d, [&](Value i) {
      Value v = x(i);
      return k.mul(v, v);
    });
    Value length = k.broadcast(k.sqrt(squares));
    length = k.maxReal(length, k.broadcast(eps));
    k.blocks(shape.d, [&](Value i, Value) {
      k.storeVector(k.div(x(i), length), k.buffer(2), k.add(to, i));
    });
  });
  return k.finish();
}

} // namespace quern
