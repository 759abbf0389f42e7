//===- RealGemm.cpp - Matrix products of real numbers on GPUs -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A block makes 32 x 64 of y in steps of 16 k, a thread 4 x 4 of them. Shared
// memory holds a step of x, turned over, and one of W as numbers: whatever a
// weight is stored as, it is made a number once for all rows of the block.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/RealGemm.h"

#include "lib/Target/NVPTX/Activations.h"
#include "lib/Target/NVPTX/GemmEpilogue.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

static constexpr int64_t kRows = kRealGemmRows, kColumns = 64, kStep = 16;
static constexpr int64_t kThreads = 128;
/// Rows of x in shared memory, with room that spreads the banks.
static constexpr int64_t kRowPitch = kRows + 4;
static constexpr int64_t kWeightsAt = kStep * kRowPitch * 4;
static constexpr int64_t kTablesAt = kWeightsAt + kStep * kColumns * 4;

Error checkRealGemm(const RealGemmForm &form) {
  if (form.bits != 32 && form.bits != 8 && form.bits != 4 && form.bits != 2)
    return Error::make("f32 products: weights of ", form.bits,
                       " bits, expected 32, 8, 4 or 2");
  if (form.activation == Activation::IGelu)
    return Error("activation: found 'i_gelu', expected it in products without "
                 "floats");
  return Error::success();
}

std::string getRealGemmName(const RealGemmForm &form) {
  std::string name = "gemm_f32_" + shapeToString(std::array{kRows, kColumns}) +
                     "_w" + std::to_string(form.bits);
  if (form.activation != Activation::None)
    name += "_" + activationName(form.activation).str();
  return name;
}

GemmLaunch getRealGemmLaunch(int64_t m, int64_t n) {
  return {(n + kColumns - 1) / kColumns, (m + kRows - 1) / kRows, kThreads,
          kTablesAt + kEpilogueSharedBytes};
}

namespace {
class RealGemmEmitter {
public:
  RealGemmEmitter(DeviceBuilder &k, const RealGemmForm &form)
      : k(k), form(form) {}

  void emit();

private:
  void takeParams();
  /// Brings a step of an operand into shared memory.
  void copyRows(Value step);
  void copyWeights(Value step);
  /// The eight weights of a thread at one k.
  Values loadWeights(Value at);
  /// Adds the products of a step to the 16 sums of a thread.
  Values multiply(ArrayRef<Value> sums);
  void finish(ArrayRef<Value> sums);

  DeviceBuilder &k;
  const RealGemmForm &form;
  Value x, w, scales, bias, y, m, n, depth, xStride, yStride;
  Value shared, tables, thread, firstRow, firstColumn;
  /// Of the columns whose weights a thread copies.
  Value panel, within;
  Values columnScales;
};
} // namespace

void RealGemmEmitter::takeParams() {
  x = k.param();
  w = k.param();
  if (form.bits != 32)
    scales = k.param();
  for (Value *each : {&bias, &y, &m, &n, &depth, &xStride, &yStride})
    *each = k.param();
}

/// Four neighbours of a row each; zeros beyond the last k.
void RealGemmEmitter::copyRows(Value step) {
  Value row = k.div(thread, kStep / 4);
  Value inStep = k.shl(k.rem(thread, kStep / 4), 2);
  Value column = k.add(step, inStep);
  Value last = k.bitAnd(k.sub(depth, k.c(1)), -4);
  // Of rows that are not there, one that is.
  Value there = k.min(k.add(firstRow, row), k.sub(m, k.c(1)));
  Value from = k.at(x, k.add(k.mulWide(there, k.shl(xStride, 2)),
                             k.wide(k.shl(k.min(column, last), 2))));
  Values four = k.loadMany(from, k.f32(), 4);
  for (int64_t e = 0; e != 4; ++e) {
    Value v =
        k.select(k.less(k.add(column, e), depth), four[size_t(e)], k.f(0.0f));
    Value to = k.add(k.mul(k.add(inStep, e), kRowPitch), row);
    k.store(v, k.at(shared, k.shl(to, 2)), 4);
  }
}

Values RealGemmEmitter::loadWeights(Value at) {
  Values values;
  if (form.bits == 32) {
    Value line = k.add(k.mulWide(panel, k.shl(depth, 6)), k.wide(k.shl(at, 6)));
    Value from = k.at(k.at(w, line), k.shl(within, 2));
    for (int64_t half = 0; half != 2; ++half)
      values.append(k.loadMany(k.at(from, k.c(16 * half)), k.f32(), 4));
    return values;
  }
  int64_t codes = 8 / form.bits;
  Value lines = k.div(k.add(depth, codes - 1), codes);
  Value line = k.add(k.mulWide(panel, k.shl(lines, 4)),
                     k.wide(k.shl(k.div(at, codes), 4)));
  Values words = k.loadMany(k.at(k.at(w, line), within), k.i32(), 2);
  Value up = k.sub(k.c(32 - form.bits), k.mul(k.rem(at, codes), form.bits));
  for (int64_t e = 0; e != 8; ++e) {
    Value byte = k.bitAnd(k.shr(words[size_t(e / 4)], e % 4 * 8), 255);
    Value code = k.shrSigned(k.shlBy(byte, up), 32 - form.bits);
    values.push_back(k.mulF(columnScales[size_t(e)], k.toFloat(code)));
  }
  return values;
}

void RealGemmEmitter::copyWeights(Value step) {
  Value inStep = k.div(thread, kColumns / 8);
  // Beyond the last k x has zeros: any weight will do.
  Value at = k.min(k.add(step, inStep), k.sub(depth, k.c(1)));
  Values eight = loadWeights(at);
  Value column = k.shl(k.rem(thread, kColumns / 8), 3);
  Value to = k.at(shared, k.shl(k.add(k.mul(inStep, kColumns), column), 2));
  for (int64_t half = 0; half != 2; ++half)
    k.storeMany(ArrayRef(eight).slice(size_t(half) * 4, 4),
                k.at(to, k.c(kWeightsAt + 16 * half)));
}

Values RealGemmEmitter::multiply(ArrayRef<Value> sums) {
  Values now(sums.begin(), sums.end());
  Value left = k.at(shared, k.shl(k.div(thread, kColumns / 4), 4));
  Value right = k.at(shared, k.shl(k.rem(thread, kColumns / 4), 4));
  for (int64_t at = 0; at != kStep; ++at) {
    Values a = k.loadMany(k.at(left, k.c(at * kRowPitch * 4)), k.f32(), 4);
    Values b = k.loadMany(k.at(right, k.c(kWeightsAt + at * kColumns * 4)),
                          k.f32(), 4);
    for (size_t i = 0; i != 4; ++i)
      for (size_t j = 0; j != 4; ++j)
        now[i * 4 + j] = k.addF(now[i * 4 + j], k.mulF(a[i], b[j]));
  }
  return now;
}

void RealGemmEmitter::finish(ArrayRef<Value> sums) {
  Value row = k.add(firstRow, k.shl(k.div(thread, kColumns / 4), 2));
  Value column = k.add(firstColumn, k.shl(k.rem(thread, kColumns / 4), 2));
  k.ifThen(k.less(column, n), [&] {
    Values biases = k.loadMany(k.at(bias, k.shl(column, 2)), k.f32(), 4);
    for (size_t i = 0; i != 4; ++i) {
      Value here = k.add(row, int64_t(i));
      k.ifThen(k.less(here, m), [&] {
        Values four;
        for (size_t j = 0; j != 4; ++j)
          four.push_back(activate(k, form.activation,
                                  k.addF(sums[i * 4 + j], biases[j]), tables));
        k.storeMany(four, k.at(y, k.add(k.mulWide(here, k.shl(yStride, 2)),
                                        k.wide(k.shl(column, 2)))));
      });
    }
  });
}

void RealGemmEmitter::emit() {
  takeParams();
  shared = k.dynamicShared();
  tables = k.at(shared, k.c(kTablesAt));
  thread = k.thread();
  firstRow = k.mul(k.block(1), kRows);
  firstColumn = k.mul(k.block(0), kColumns);
  copyTables(k, form.activation, /*fixed=*/false, tables, thread, kThreads);
  // Of columns that are not there, some that are.
  Value column = k.add(firstColumn, k.shl(k.rem(thread, kColumns / 8), 3));
  column = k.min(column, k.sub(n, k.c(8)));
  panel = k.shr(column, 4);
  within = k.rem(column, 16);
  if (scales)
    for (int64_t half = 0; half != 2; ++half)
      columnScales.append(k.loadMany(
          k.at(scales, k.shl(k.add(column, half * 4), 2)), k.f32(), 4));
  Values sums = k.loop(k.c(0), depth, kStep, Values(16, k.f(0.0f)),
                       [&](Value step, ArrayRef<Value> carried) {
                         copyRows(step);
                         copyWeights(step);
                         k.barrier();
                         Values now = multiply(carried);
                         k.barrier();
                         return now;
                       });
  finish(sums);
}

void buildRealGemm(ModuleOp module, const RealGemmForm &form) {
  SmallVector<Param> params(form.bits == 32 ? 3 : 4, Param::Input);
  params.push_back(Param::Output);
  params.append(5, Param::I32);
  DeviceBuilder k(module, getRealGemmName(form), params, kThreads);
  RealGemmEmitter(k, form).emit();
  k.finish();
}

} // namespace quern::nvptx
