//===- row-kernels.cpp - Cost of the kernels beside the matrix products ---===//
//
// Times attention, residual sum with LayerNorm, embeddings and GELU on one
// core, for the shapes of BERT-base, and prints cycles per element. An element
// of attention is one score. QUERN_MAX_ISA=sse2 times the plain tier. The
// forms of softmax, GELU and LayerNorm are in row-forms.cpp.
//
//===----------------------------------------------------------------------===//
#include "tools/bench/Subject.h"

#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"

#include <cmath>

using namespace quern;

static AttentionShape attentionShape(int64_t headDim) {
  AttentionShape shape;
  shape.heads = 768 / headDim;
  shape.headDim = headDim;
  shape.qkvStride = 3 * 768;
  shape.kColumn = 768;
  shape.vColumn = 2 * 768;
  shape.contextStride = 768;
  return shape;
}

static void integerAttention(benchmark::State &state) {
  int64_t tokens = state.range(0);
  AttentionShape shape = attentionShape(state.range(1));
  Subject s([&](mlir::ModuleOp m) { buildQAttention(m, "kernel", shape); });
  QAttentionParams p;
  for (int i = 0; i != 16; ++i) {
    p.expHi[i] = std::exp(-0.4f * float(i)) * 8388607.0f;
    p.expLo[i] = std::exp(-0.025f * float(i));
  }
  p.scoreMultiplier = 0.002f;
  p.scoreOffset = 120;
  p.probMultiplier = 255;
  p.contextMultiplier = 0.03f;
  p.contextOffset = 128;
  p.zq = p.zk = p.zv = 128;
  std::vector<int32_t> offsets = {0, int32_t(tokens)};
  s.time(state,
         {s.codes((tokens + 17) * shape.qkvStride), s.data(offsets),
          s.data(p.data()), s.memory((tokens + 17) * 768), nullptr, nullptr},
         tokens, shape.heads, double(tokens * tokens * shape.heads));
}
BENCHMARK(integerAttention)
    ->ArgNames({"tokens", "head"})
    ->ArgsProduct({{16, 32, 128, 384}, {64}})
    ->Args({128, 32});

static void floatAttention(benchmark::State &state) {
  int64_t tokens = state.range(0);
  AttentionShape shape = attentionShape(64);
  Subject s([&](mlir::ModuleOp m) { buildAttention(m, "kernel", shape); });
  std::vector<int32_t> offsets = {0, int32_t(tokens)};
  auto *qkv = s.reals((tokens + 17) * shape.qkvStride, 0.3f);
  s.time(state,
         {qkv, qkv, qkv, s.data(offsets), s.reals(1, 0.125f),
          s.memory((tokens + 17) * 768 * 4), nullptr, nullptr},
         tokens, shape.heads, double(tokens * tokens * shape.heads));
}
BENCHMARK(floatAttention)->ArgName("tokens")->Arg(128);

static void addNorm(benchmark::State &state) {
  int64_t d = 768, rows = 128;
  AddNormShape shape;
  shape.d = d;
  shape.aStride = shape.bStride = shape.outStride = shape.tapStride = d;
  if (state.range(0) == 16) {
    shape.a = shape.sum = Storage::U16;
    shape.sumRange.hi = 65535;
  }
  Subject s([&](mlir::ModuleOp m) { buildQAddNorm(m, "kernel", shape); });
  size_t size = (rows + 17) * d;
  s.time(state,
         {s.codes(2 * size), s.codes(size), s.reals(d, 0.4f), s.reals(d, 0.3f),
          s.reals(d, 3), s.reals(d, 25), s.reals(d, 100),
          s.data(CodeNormParams(0.05f, d, 1e-12).data()), s.memory(size),
          s.memory(2 * size)},
         rows, rows / kRowsPerChunk, double(rows * d));
}
BENCHMARK(addNorm)->ArgName("bits")->Arg(8)->Arg(16);

static void embed(benchmark::State &state) {
  int64_t d = 768, rows = 128;
  EmbedShape shape;
  shape.d = shape.tableStride = shape.outStride = shape.tapStride = d;
  Subject s([&](mlir::ModuleOp m) { buildQEmbed(m, "kernel", shape); });
  std::vector<int32_t> ids, types(rows, 0), positions;
  for (int64_t t = 0; t != rows; ++t) {
    ids.push_back(int32_t(t * 37 % 1000));
    positions.push_back(int32_t(t));
  }
  QEmbedParams p = {80, 120, 1 / 80.0f, 70, 130};
  size_t size = (rows + 17) * d;
  s.time(state,
         {s.data(ids), s.data(types), s.data(positions), s.codes(1001 * d),
          s.codes(3 * d), s.codes(513 * d), s.reals(1, 0.01f),
          s.reals(1, 0.01f), s.reals(1, 0.01f), s.data(p.data()),
          s.reals(d, 25), s.reals(d, 100),
          s.data(CodeNormParams(0.05f, d, 1e-12).data()), s.memory(size),
          s.memory(size), s.memory(size)},
         rows, rows / kRowsPerChunk, double(rows * d));
}
BENCHMARK(embed);

static void elementFunction(benchmark::State &state) {
  int64_t d = 3072, rows = 32;
  auto function = ElementFunction(state.range(0));
  RowShape shape;
  shape.d = shape.inStride = shape.outStride = d;
  Subject s([&](mlir::ModuleOp m) {
    buildElementFunction(m, "kernel", function, shape);
  });
  size_t size = (rows + 17) * d;
  s.time(state, {s.reals(size, 1.5f), s.memory(size * 4)}, rows,
         rows / kRowsPerChunk, double(rows * d));
}
BENCHMARK(elementFunction)
    ->ArgName("function")
    ->Arg(int64_t(ElementFunction::Gelu))
    ->Arg(int64_t(ElementFunction::Tanh));

BENCHMARK_MAIN();
