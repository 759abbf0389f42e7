//===- linear-kernels.cpp - Time the kernels of linear layers -------------===//
//
// google-benchmark over the BERT-base shapes, u8 and f32, at several numbers
// of tokens. The counter `of_peak` is the share of the dot-product instruction
// alone, timed in the same run; `wrong` counts outputs that differ from the
// reference.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/GemmCase.h"
#include "compiler/Bench/KernelBench.h"
#include "compiler/Emit/KernelContext.h"
#include "compiler/Emit/KernelJit.h"

#include <benchmark/benchmark.h>

using namespace quern;

static void run(benchmark::State &state, int64_t k, int64_t n,
                GemmActivation activation, bool real) {
  GemmShape shape = linearShape(k, n, activation, 8);
  GemmCase gemm(shape, state.range(0), real);
  std::unique_ptr<mlir::MLIRContext> context = makeKernelContext();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(context.get()));
  gemm.build(*module);
  Tier tier = bestHostTier();
  auto jit = KernelJit::create(*module, tier);
  if (!jit)
    return state.SkipWithError(jit.message().c_str());
  auto entry = jit->lookup(gemm.name());
  if (!entry)
    return state.SkipWithError(entry.message().c_str());
  std::vector<void *> operands = gemm.operands();
  AlignedBytes scratch(real ? 64 : getGemmScratchBytes(shape) + 64);
  for (auto _ : state)
    (*entry)(operands.data(), state.range(0), 1, 0, 0, gemm.chunks(),
             scratch.as<void>());
  double operations = 2.0 * double(state.range(0)) * double(k) * double(n);
  state.counters["ops"] = benchmark::Counter(
      operations, benchmark::Counter::kIsIterationInvariantRate);
  if (!real && tier != Tier::Sse2)
    state.counters["of_peak"] =
        benchmark::Counter(operations / measureDotPeak(tier),
                           benchmark::Counter::kIsIterationInvariantRate);
  state.counters["wrong"] = double(gemm.countWrong());
}

#define QUERN_LINEAR(name, k, n, activation, real)                             \
  BENCHMARK_CAPTURE(run, name, k, n, GemmActivation::activation, real)         \
      ->Arg(8)                                                                 \
      ->Arg(32)                                                                \
      ->Arg(128)

QUERN_LINEAR(u8_768x768, 768, 768, None, false);
QUERN_LINEAR(u8_768x2304, 768, 2304, None, false);
QUERN_LINEAR(u8_768x3072, 768, 3072, None, false);
QUERN_LINEAR(u8_768x3072_gelu, 768, 3072, Gelu, false);
QUERN_LINEAR(u8_3072x768, 3072, 768, None, false);
QUERN_LINEAR(f32_768x768, 768, 768, None, true);

BENCHMARK_MAIN();
