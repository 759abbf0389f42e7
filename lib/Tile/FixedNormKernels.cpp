//===- FixedNormKernels.cpp - Kernels that end in a fixed LayerNorm -------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedNorm.h"
#include "lib/Tile/FixedTerms.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// The element type of codes.
static Type storedType(Builder b, Storage s) {
  return b.getIntegerType(8 * storageBytes(s));
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
