//===- AddNorm.cpp - Residual sum and LayerNorm kernels -------------------===//
//
// Row by row: the sum goes to scratch memory, which stays in the first-level
// cache, then LayerNorm reads it twice. Columns of the padding are computed
// with the rest, but no sum counts them.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AddNorm.h"

using namespace mlir;

namespace quern {

Type storedType(MLIRContext *context, Storage storage) {
  return storage == Storage::F32
             ? Type(Float32Type::get(context))
             : Type(IntegerType::get(context, 8 * storageBytes(storage)));
}

void emitRowSum(KernelBuilder &k, const AddNormShape &shape, CodeNorm &norm,
                Value row, Value tap, Value tapping) {
  Value a = k.buffer(0), b = k.buffer(1);
  Value aRow = k.mul(row, shape.aStride), bRow = k.mul(row, shape.bStride);
  Value tapRow = k.mul(row, shape.tapStride);
  auto sumCodes = [&](Value i) {
    Value x =
        k.mul(k.loadReal(a, k.add(aRow, i)), k.loadVector(k.buffer(2), i));
    Value y =
        k.mul(k.loadReal(b, k.add(bRow, i)), k.loadVector(k.buffer(3), i));
    Value v = k.add(k.add(x, y), k.loadVector(k.buffer(4), i));
    return k.round(v, shape.sumRange);
  };
  k.blocks(shape.d,
           [&](Value i, Value mask) { norm.putCodes(sumCodes(i), i, mask); });
  k.ifThen(tapping, [&] {
    k.blocks(shape.d, [&](Value i, Value) {
      k.storeCodes(sumCodes(i), tap, k.add(tapRow, i));
    });
  });
}

func::FuncOp buildQAddNorm(ModuleOp module, StringRef name,
                           const AddNormShape &shape) {
  MLIRContext *context = module.getContext();
  Type f32 = Float32Type::get(context), i8 = IntegerType::get(context, 8);
  KernelBuilder k(module, name,
                  {storedType(context, shape.a), storedType(context, shape.b),
                   f32, f32, f32, f32, f32, i8, storedType(context, shape.out),
                   storedType(context, shape.sum)});
  CodeNorm norm(k, shape.d, shape.sum, k.buffer(7), k.buffer(5), k.buffer(6),
                k.buffer(8), shape.outRange);
  Value tapping = k.tapping();
  forEachRow(k, shape.rows, [&](Value row) {
    emitRowSum(k, shape, norm, row, k.buffer(9), tapping);
    norm.finish(k.mul(row, shape.outStride));
  });
  return k.finish();
}

int64_t qaddNormScratch(const AddNormShape &shape) {
  return CodeNorm::scratchBytes(shape.d, shape.sum);
}

func::FuncOp buildAddNorm(ModuleOp module, StringRef name,
                          const AddNormShape &shape) {
  Type f32 = Builder(module.getContext()).getF32Type();
  KernelBuilder k(module, name, {f32, f32, f32, f32, f32, f32, f32});
  Value eps = k.load(k.buffer(4), k.index(0));
  Value tapping = k.tapping();
  forEachRow(k, shape.rows, [&](Value row) {
    Value aRow = k.mul(row, shape.aStride), bRow = k.mul(row, shape.bStride);
    Value tapRow = k.mul(row, shape.tapStride);
    auto sum = [&](Value i) {
      return k.add(k.loadVector(k.buffer(0), k.add(aRow, i)),
                   k.loadVector(k.buffer(1), k.add(bRow, i)));
    };
    k.blocks(shape.d, [&](Value i, Value) {
      k.storeBytes(sum(i), k.scratch(), k.mul(i, 4));
    });
    k.ifThen(tapping, [&] {
      k.blocks(shape.d, [&](Value i, Value) {
        k.storeVector(sum(i), k.buffer(6), k.add(tapRow, i));
      });
    });
    emitRealNorm(k, shape.d, k.index(0), k.buffer(2), k.buffer(3), eps,
                 k.buffer(5), k.mul(row, shape.outStride));
  });
  return k.finish();
}

func::FuncOp buildNorm(ModuleOp module, StringRef name,
                       const AddNormShape &shape) {
  Type f32 = Builder(module.getContext()).getF32Type();
  KernelBuilder k(module, name, {f32, f32, f32, f32, f32});
  Value eps = k.load(k.buffer(3), k.index(0));
  forEachRow(k, shape.rows, [&](Value row) {
    Value from = k.mul(row, shape.aStride);
    k.blocks(shape.d, [&](Value i, Value) {
      k.storeBytes(k.loadVector(k.buffer(0), k.add(from, i)), k.scratch(),
                   k.mul(i, 4));
    });
    emitRealNorm(k, shape.d, k.index(0), k.buffer(1), k.buffer(2), eps,
                 k.buffer(4), k.mul(row, shape.outStride));
  });
  return k.finish();
}

int64_t normScratch(const AddNormShape &shape) {
  return rowStride(shape.d) * 4;
}

} // namespace quern
