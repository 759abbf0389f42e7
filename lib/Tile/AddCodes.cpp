//===- AddCodes.cpp - Kernels and launches of residual sums ---------------===//
//
// See AddCodes.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/AddCodes.h"

#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/FixedPoint.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

static Type storedType(Builder &b, Storage s) {
  return s == Storage::F32 ? Type(b.getF32Type())
                           : Type(b.getIntegerType(8 * storageBytes(s)));
}

func::FuncOp buildQAdd(ModuleOp module, StringRef name,
                       const AddNormShape &shape) {
  Builder b(module.getContext());
  Type f32 = b.getF32Type();
  KernelBuilder k(module, name,
                  {storedType(b, shape.a), storedType(b, shape.b), f32, f32,
                   f32, storedType(b, shape.out)});
  forEachRow(k, shape.rows, [&](Value row) {
    Value aRow = k.mul(row, shape.aStride), bRow = k.mul(row, shape.bStride);
    Value to = k.mul(row, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      Value x = k.mul(k.loadReal(k.buffer(0), k.add(aRow, i)),
                      k.loadVector(k.buffer(2), i));
      Value y = k.mul(k.loadReal(k.buffer(1), k.add(bRow, i)),
                      k.loadVector(k.buffer(3), i));
      Value v = k.add(k.add(x, y), k.loadVector(k.buffer(4), i));
      k.storeCodes(k.round(v, shape.outRange), k.buffer(5), k.add(to, i));
    });
  });
  return k.finish();
}

func::FuncOp buildFixedAdd(ModuleOp module, StringRef name,
                           const AddNormShape &shape) {
  Builder b(module.getContext());
  Type i8 = b.getI8Type();
  KernelBuilder k(module, name,
                  {storedType(b, shape.a), storedType(b, shape.b), i8, i8,
                   storedType(b, shape.out)});
  forEachRow(k, shape.rows, [&](Value row) {
    Value aRow = k.mul(row, shape.aStride), bRow = k.mul(row, shape.bStride);
    Value to = k.mul(row, shape.outStride);
    k.blocks(shape.d, [&](Value i, Value) {
      auto term = [&](unsigned of, Value from) {
        return fixedAt(k, k.loadCodes(k.buffer(of), k.add(from, i)),
                       loadFixed(k, k.buffer(of + 2), i, shape.narrow));
      };
      WideLanes terms = eachHalf([&](Value a, Value b) { return k.add(a, b); },
                                 term(0, aRow), term(1, bRow));
      Value sum = limitTo32(k, terms, int64_t(shape.outRange.lo),
                            int64_t(shape.outRange.hi), shape.narrow);
      k.storeCodes(sum, k.buffer(4), k.add(to, i));
    });
  });
  return k.finish();
}

LogicalResult Tiler::tileQAdd(tq::QAddOp op) {
  FailureOr<Place> a = placeOf(op.getA(), op), b = placeOf(op.getB(), op);
  FailureOr<Storage> aStorage = storageOf(op.getA(), op);
  FailureOr<Storage> bStorage = storageOf(op.getB(), op);
  FailureOr<Storage> outStorage = storageOf(op.getResult(), op);
  auto ma = constant<float>(op.getMa(), "ma", op);
  auto mb = constant<float>(op.getMb(), "mb", op);
  auto mo = constant<float>(op.getMo(), "mo", op);
  if (failed(a) || failed(b) || failed(aStorage) || failed(bStorage) ||
      failed(outStorage) || failed(ma) || failed(mb) || failed(mo))
    return failure();

  int64_t d = widthOf(op.getResult()), padded = llvm::alignTo(d, 16);
  std::string site = op.getSite().value_or(StringRef()).str();
  std::string named = site.empty() ? siteOr(sitesOfLimit(op), 0, "") : site;
  LaunchInfo info;
  info.op = "add";
  info.step = nameOf(op, named);
  info.layer = layerOfSite(named);
  Place out = define(op.getResult(), info.step, d, *outStorage, a->rows);
  if (!site.empty())
    info.sites.push_back({site, out.buffer, 0, d});

  AddNormShape shape;
  shape.d = d;
  shape.a = *aStorage;
  shape.b = *bStorage;
  shape.out = *outStorage;
  shape.outRange = rangeOf(op.getResult());
  shape.aStride = a->stride;
  shape.bStride = b->stride;
  shape.outStride = out.stride;
  shape.rows = a->rows;
  std::string name = joinName(
      {"add", num(d), storageName(shape.a).str(), storageName(shape.b).str(),
       storageName(shape.out).str(), rangeName(shape.outRange), num(a->stride),
       num(b->stride), a->rows == RowsOf::Tokens ? "" : "s",
       op.getFixed() ? "fixed" : ""});
  auto vector = [&](StringRef part, const ConstantView<float> &values) {
    std::vector<float> all(d, values[0]);
    if (values.size() != 1)
      all = values.values().vec();
    return program.vector(info.step + part.str(), all, padded);
  };
  std::vector<std::string> operands = {a->buffer, b->buffer};
  if (op.getFixed()) {
    auto sum = tq::fixedSum(op, ma->values(), mb->values(), mo->values(), d);
    if (failed(sum))
      return failure();
    shape.narrow = isNarrow(sum->a, 65535) && isNarrow(sum->b, 65535);
    if (!shape.narrow)
      name += "_long";
    operands.push_back(program.data(info.step + ".a", packFixed(sum->a)));
    operands.push_back(program.data(info.step + ".b", packFixed(sum->b)));
  } else {
    operands.push_back(vector(".ma", *ma));
    operands.push_back(vector(".mb", *mb));
    operands.push_back(vector(".mo", *mo));
  }
  operands.push_back(out.buffer);
  bool isFixed = op.getFixed();
  std::string kernel = program.kernel(
      name,
      [&](StringRef name) {
        return isFixed ? buildFixedAdd(program.module(), name, shape)
                       : buildQAdd(program.module(), name, shape);
      },
      /*scratchBytes=*/0);
  program.explain(kernel, rowNotes(shape.rows, /*isReal=*/false));
  describeAdd(program.module(), kernel, shape, isFixed);
  program.launch(kernel, operands, rowChunks(a->rows), info);
  return success();
}

} // namespace quern
