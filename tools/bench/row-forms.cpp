//===- row-forms.cpp - Cost of the forms of softmax, GELU and LayerNorm ---===//
//
// Part of row-kernels: each function of integer-only and logarithmic recipes
// alone, from codes in memory to codes in memory. Softmax has rows of 128
// scores, GELU rows of 3072 sums, LayerNorm rows of 768 codes.
//
//===----------------------------------------------------------------------===//
#include "tools/bench/Subject.h"

#include "lib/Tile/AttentionStages.h"
#include "lib/Tile/FixedAttention.h"
#include "lib/Tile/FixedNorm.h"
#include "lib/Tile/FixedTerms.h"
#include "lib/Tile/ShiftGelu.h"
#include "quern/integer_activation.h"

#include <cmath>

using namespace quern;

/// Score codes are this far apart.
static constexpr double kUnit = 0.05;

static qi_affine affine(double multiplier, double offset) {
  qi_affine a = {};
  if (qi_make_affine(multiplier, offset, &a))
    std::abort();
  return a;
}

//===----------------------------------------------------------------------===//
// Softmax and context
//===----------------------------------------------------------------------===//

namespace {

enum class Probs {
  Table,
  Log2,
  LogSqrt2,
  FixedTable,
  IExp,
  Shiftmax,
  FixedLog2,
  LogIntSoftmax
};

/// A part of attention over 128 tokens and one head of 64 channels.
struct StageCase {
  explicit StageCase(Probs probs, int bits = 4) {
    shape.qkvStride = 192;
    shape.kColumn = 64;
    shape.vColumn = 128;
    shape.contextStride = 64;
    bool isRoot = probs == Probs::LogSqrt2;
    bool isPublished = probs == Probs::LogIntSoftmax;
    bool isLog = isRoot || isPublished || probs == Probs::Log2 ||
                 probs == Probs::FixedLog2;
    if (isLog)
      shape.log = {bits, isRoot ? 2 : 1};
    for (int i = 0; i != 16; ++i) {
      real.expHi[i] = float(std::exp(-16 * kUnit * i) * 8388607.0);
      real.expLo[i] = float(std::exp(-kUnit * i));
    }
    real.scoreMultiplier = 0.002f;
    real.probMultiplier = isLog ? 1 / 8388607.0f : 255;
    real.probStep =
        float(kUnit * std::log2(std::exp(1.0)) * double(shape.log.per_octave));
    real.contextMultiplier = 0.03f;
    real.scoreOffset = real.contextOffset = 128;
    real.zq = real.zk = real.zv = 128;
    shape.fixed = !(probs == Probs::Table || probs == Probs::Log2 || isRoot);
    if (!shape.fixed)
      return;
    qi_affine score = affine(0.002, 120), context = affine(0.03, 128);
    qi_probs uniform = {};
    qi_log_probs logs = {};
    const float *hi = real.expHi.data(), *lo = real.expLo.data();
    int failed =
        probs == Probs::FixedTable
            ? qi_make_table_probs(hi, lo, 255, 255, &uniform)
        : probs == Probs::IExp     ? qi_make_exp_probs(kUnit, 255, &uniform)
        : probs == Probs::Shiftmax ? qi_make_shift_probs(kUnit, 128, &uniform)
        : isPublished ? qi_make_exp_log_probs(kUnit, bits, &logs)
                      : qi_make_table_log_probs(hi, lo, 1, bits, &logs);
    if (failed)
      std::abort();
    shape.expBytes = exponentialBytes(isLog ? logs.exps : uniform.exps);
    shape.narrow = true;
    shape.roundProbs = isLog ? !isPublished : uniform.nearest != 0;
    fixed = isLog ? packFixedAttention(score, context, logs, shape.maxLength,
                                       128, 128, 128)
                  : packFixedAttention(score, context, uniform, 128, 128, 128);
  }

  void time(benchmark::State &state, AttentionStage stage) {
    const int64_t tokens = 128;
    Subject s([&](mlir::ModuleOp m) {
      buildAttentionStage(m, "kernel", shape, stage);
    });
    std::vector<int32_t> offsets = {0, int32_t(tokens)};
    void *params = shape.fixed ? s.data(fixed) : s.data(real.data());
    s.time(state,
           {s.codes((tokens + 17) * shape.qkvStride), s.data(offsets), params,
            s.memory((tokens + 17) * 64), nullptr, nullptr},
           tokens, 1, double(tokens * tokens));
  }

  AttentionShape shape;
  QAttentionParams real = {};
  std::vector<int8_t> fixed;
};

} // namespace

static void softmax(benchmark::State &state, Probs probs) {
  StageCase(probs).time(state, AttentionStage::Softmax);
}
/// Logarithmic codes without their planes.
static void softmaxCodes(benchmark::State &state, Probs probs) {
  StageCase(probs).time(state, AttentionStage::Codes);
}
BENCHMARK_CAPTURE(softmaxCodes, table_to_4_bit_log2, Probs::Log2);
BENCHMARK_CAPTURE(softmaxCodes, table_to_4_bit_log_sqrt2, Probs::LogSqrt2);
BENCHMARK_CAPTURE(softmaxCodes, fixed_table_to_4_bit_log2, Probs::FixedLog2);
BENCHMARK_CAPTURE(softmaxCodes, log_int_softmax, Probs::LogIntSoftmax);
BENCHMARK_CAPTURE(softmax, table_to_u8, Probs::Table);
BENCHMARK_CAPTURE(softmax, table_to_4_bit_log2, Probs::Log2);
BENCHMARK_CAPTURE(softmax, table_to_4_bit_log_sqrt2, Probs::LogSqrt2);
BENCHMARK_CAPTURE(softmax, fixed_table_to_u8, Probs::FixedTable);
BENCHMARK_CAPTURE(softmax, fixed_table_to_4_bit_log2, Probs::FixedLog2);
BENCHMARK_CAPTURE(softmax, i_exp, Probs::IExp);
BENCHMARK_CAPTURE(softmax, shiftmax, Probs::Shiftmax);
BENCHMARK_CAPTURE(softmax, log_int_softmax, Probs::LogIntSoftmax);

/// Elements are products of a probability and a row of values.
static void context(benchmark::State &state, Probs probs, int bits) {
  StageCase(probs, bits).time(state, AttentionStage::Context);
}
BENCHMARK_CAPTURE(context, u8, Probs::Table, 0);
BENCHMARK_CAPTURE(context, log2_3_bits, Probs::Log2, 3);
BENCHMARK_CAPTURE(context, log2_4_bits, Probs::Log2, 4);
BENCHMARK_CAPTURE(context, log_sqrt2_4_bits, Probs::LogSqrt2, 4);
BENCHMARK_CAPTURE(context, log_sqrt2_6_bits, Probs::LogSqrt2, 6);

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

/// From sums of products to codes, as the epilogue of a product does it.
static void fixedActivation(benchmark::State &state, GemmActivation function) {
  const int64_t count = 3072;
  qi_affine before = affine(0.01, 7), after = affine(0.002, 19);
  Subject s([&](mlir::ModuleOp m) {
    mlir::Builder b(m.getContext());
    mlir::Type i8 = b.getI8Type();
    KernelBuilder k(m, "kernel", {b.getI32Type(), i8, i8, i8});
    FixedLanes post = loadFixed(k, k.buffer(2), k.index(0), true);
    k.blocks(count, [&](mlir::Value i, mlir::Value) {
      FixedLanes output = loadFixed(k, k.buffer(1), i, true);
      mlir::Value v = k.loadVector(k.buffer(0), i);
      if (function != GemmActivation::None) {
        v = fixedCode(k, v, output, -QI_ACTIVATION_LIMIT, QI_ACTIVATION_LIMIT);
        v = fixedActivate(k, function, v);
      }
      v = fixedCode(k, v, function == GemmActivation::None ? output : post, 0,
                    255);
      k.storeCodes(v, k.buffer(3), i);
    });
    k.finish();
  });
  std::vector<qi_affine> columns(size_t(count), before);
  std::vector<int32_t> sums;
  for (int32_t i = 0; i != count; ++i)
    sums.push_back(i * 7919 % 400001 - 200000);
  s.time(state,
         {s.data(sums), s.data(packFixed(columns)), s.data(packFixed(after)),
          s.memory(count)},
         1, 1, double(count));
}
BENCHMARK_CAPTURE(fixedActivation, none, GemmActivation::None);
BENCHMARK_CAPTURE(fixedActivation, gelu, GemmActivation::Gelu);
BENCHMARK_CAPTURE(fixedActivation, i_gelu, GemmActivation::IGelu);

/// A look-up in a table for each code, which the largest of its row chooses.
static void shiftGelu(benchmark::State &state) {
  const int64_t d = 3072, rows = 32;
  RowShape shape;
  shape.d = shape.inStride = shape.outStride = d;
  shape.in = shape.out = Storage::U8;
  ShiftGeluParams params = {120, qi_shift_gelu_unit(0.04), affine(0.0005, 20),
                            0, 255};
  Subject s([&](mlir::ModuleOp m) { buildShiftGelu(m, "kernel", shape); });
  s.time(state,
         {s.codes((rows + 17) * d), s.data(packShiftGelu(params)),
          s.memory((rows + 17) * d)},
         rows, rows / kRowsPerChunk, double(rows * d));
}
BENCHMARK(shiftGelu);

//===----------------------------------------------------------------------===//
// LayerNorm
//===----------------------------------------------------------------------===//

namespace {

/// LayerNorm of rows of 768 codes, with the residual sum or alone.
struct NormCase {
  static constexpr int64_t d = 768, rows = 128;

  explicit NormCase(int64_t bits) : isWide(bits == 16) {
    shape.d = shape.aStride = shape.bStride = shape.outStride =
        shape.tapStride = d;
    if (isWide) {
      shape.a = shape.sum = Storage::U16;
      shape.sumRange.hi = 65535;
    }
    std::vector<qi_affine> a, b;
    std::vector<float> gamma, beta;
    for (int64_t j = 0; j < d; ++j) {
      double part = 1 + 0.3 * std::sin(double(j));
      a.push_back(affine((isWide ? 0.3 : 0.4) * part, 3));
      b.push_back(affine((isWide ? 70 : 0.3) * part, 0));
      gamma.push_back(float(25 * part));
      beta.push_back(float(100 + 10 * part));
    }
    std::vector<qi_channel> normal(d, qi_channel{});
    int shift =
        qi_make_channels(gamma.data(), beta.data(), d, 1, 0, normal.data());
    shape.narrow = isNarrow(a, 65535) && isNarrow(normal, shift);
    shape.plain = isPlain(normal, shift);
    first = packTerm(a, isWide ? 65535 : 255, shape.narrow);
    second = packTerm(b, 255, shape.narrow);
    shape.aTerm = first.form;
    shape.bTerm = second.form;
    channels =
        packChannels(normal, shift, std::vector<uint8_t>(d, isWide ? 0 : 6), 0);
  }

  bool isWide;
  AddNormShape shape;
  TermConstants first, second;
  std::vector<int8_t> channels;
};

} // namespace

static void fixedAddNorm(benchmark::State &state) {
  NormCase c(state.range(0));
  Subject s([&](mlir::ModuleOp m) { buildFixedAddNorm(m, "kernel", c.shape); });
  size_t size = (c.rows + 17) * c.d;
  s.time(state,
         {s.codes(2 * size), s.codes(size), s.data(c.first.bytes),
          s.data(c.second.bytes), s.data(c.channels), s.memory(size),
          s.memory(2 * size)},
         c.rows, c.rows / kRowsPerChunk, double(c.rows * c.d));
}
BENCHMARK(fixedAddNorm)->ArgName("bits")->Arg(8)->Arg(16);

/// The code of FixedNorm, with codes that are there.
static void fixedNorm(benchmark::State &state) {
  NormCase c(state.range(0));
  Subject s([&](mlir::ModuleOp m) {
    mlir::Builder b(m.getContext());
    mlir::Type i8 = b.getI8Type();
    KernelBuilder k(m, "kernel", {c.isWide ? b.getI16Type() : i8, i8, i8});
    FixedNorm norm(k, c.d, kNormRows, c.shape.sumRange,
                   {/*byChannel=*/false, c.shape.narrow, c.shape.plain},
                   k.buffer(1), k.buffer(2), c.shape.outRange);
    forEachRows(
        k, RowsOf::Tokens, kNormRows, [&](llvm::ArrayRef<mlir::Value> rows) {
          KernelBuilder::Values to;
          for (mlir::Value row : rows)
            to.push_back(k.mul(row, c.d));
          norm.normalize(
              [&](mlir::Value i) {
                KernelBuilder::Values codes;
                for (mlir::Value at : to)
                  codes.push_back(k.loadCodes(k.buffer(0), k.add(at, i)));
                return codes;
              },
              to);
        });
    k.finish();
  });
  size_t size = (c.rows + 17) * c.d;
  s.time(state, {s.codes(2 * size), s.data(c.channels), s.memory(size)}, c.rows,
         c.rows / kRowsPerChunk, double(c.rows * c.d));
}
BENCHMARK(fixedNorm)->ArgName("bits")->Arg(8)->Arg(16);
