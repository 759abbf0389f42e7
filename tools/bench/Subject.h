//===- Subject.h - A kernel to be timed -----------------------------------===//
//
// Compiles one kernel for the best tier of this machine and calls it; counts
// cycles per element by a clock taken from a chain of dependent multiplications
// right before.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_BENCH_SUBJECT_H
#define QUERN_TOOLS_BENCH_SUBJECT_H

#include "compiler/Emit/KernelContext.h"
#include "compiler/Emit/KernelJit.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace quern {

/// Cycles per second, from multiplications of three cycles each.
inline double clockRate() {
  const int64_t count = 20'000'000;
  uint64_t x = 3;
  auto from = std::chrono::steady_clock::now();
  for (int64_t i = 0; i != count; ++i)
    asm volatile("imulq %0, %0" : "+r"(x));
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - from;
  return 3.0 * double(count) / time.count();
}

/// A compiled kernel and zeroed or patterned memory for it.
class Subject {
public:
  explicit Subject(llvm::function_ref<void(mlir::ModuleOp)> build) {
    auto module = mlir::ModuleOp::create(mlir::UnknownLoc::get(context.get()));
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
  std::unique_ptr<mlir::MLIRContext> context = makeKernelContext();
  std::unique_ptr<KernelJit> jit;
  KernelEntry entry;
  std::vector<std::unique_ptr<void, void (*)(void *)>> owned;
};

} // namespace quern

#endif // QUERN_TOOLS_BENCH_SUBJECT_H
