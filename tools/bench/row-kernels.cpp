//===- row-kernels.cpp - Cost of the kernels beside the matrix products ---===//
//
// Times attention, residual sum with LayerNorm, embeddings and GELU on one
// core, for the shapes of BERT-base, and prints cycles per element: the clock
// is taken from a chain of dependent multiplications right before. An element
// of attention is one score. QUERN_MAX_ISA=scalar times the plain tier.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelJit.h"
#include "dialects/TK/TKDialect.h"
#include "lib/Tile/AddNorm.h"
#include "lib/Tile/Attention.h"
#include "lib/Tile/Elementwise.h"
#include "lib/Tile/Embed.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

using namespace quern;

/// Cycles per second, from multiplications of three cycles each.
static double clockRate() {
  const int64_t count = 20'000'000;
  uint64_t x = 3;
  auto from = std::chrono::steady_clock::now();
  for (int64_t i = 0; i != count; ++i)
    asm volatile("imulq %0, %0" : "+r"(x));
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - from;
  return 3.0 * double(count) / time.count();
}

namespace {

/// A compiled kernel and zeroed or patterned memory for it.
class Subject {
public:
  explicit Subject(llvm::function_ref<void(mlir::ModuleOp)> build) {
    context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::math::MathDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                        tk::TKDialect>();
    auto module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
    build(module);
    auto made = KernelJit::create(module, bestHostTier());
    module->erase();
    if (!made)
      std::abort();
    jit = std::make_unique<KernelJit>(std::move(*made));
    entry = *jit->lookup("kernel");
  }

  /// A buffer of codes that look like activations.
  void *codes(size_t bytes) {
    auto *p = static_cast<uint8_t *>(memory(bytes));
    uint32_t state = 1;
    for (size_t i = 0; i != bytes; ++i) {
      state = state * 1664525u + 1013904223u;
      p[i] = uint8_t(96 + (state >> 26));
    }
    return p;
  }
  void *reals(size_t count, float value) {
    auto *p = static_cast<float *>(memory(count * 4));
    for (size_t i = 0; i != count; ++i)
      p[i] = value * (1.0f + float(i % 97) / 97);
    return p;
  }
  template <typename T> void *data(const T &content) {
    void *p = memory(content.size() * sizeof(content[0]));
    std::memcpy(p, content.data(), content.size() * sizeof(content[0]));
    return p;
  }
  void *memory(size_t bytes) {
    void *p = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
    std::memset(p, 0, (bytes + 127) / 64 * 64);
    owned.emplace_back(p, std::free);
    return p;
  }

  /// Calls the kernel until the benchmark is content.
  void time(benchmark::State &state, std::vector<void *> buffers,
            int64_t tokens, int64_t chunks, double elements) {
    void *scratch = memory(1 << 20);
    double rate = clockRate();
    auto from = std::chrono::steady_clock::now();
    for (auto _ : state)
      entry(buffers.data(), tokens, 1, 0, 0, chunks, scratch);
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - from;
    double each = time.count() / double(state.iterations());
    state.counters["cycles/element"] = each * rate / elements;
    state.counters["us/chunk"] = each * 1e6 / double(chunks);
  }

private:
  mlir::MLIRContext context;
  std::unique_ptr<KernelJit> jit;
  KernelEntry entry;
  std::vector<std::unique_ptr<void, void (*)(void *)>> owned;
};

} // namespace

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
