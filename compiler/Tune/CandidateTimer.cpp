//===- CandidateTimer.cpp - Forms of one kernel, timed in turns -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/CandidateTimer.h"

#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/Timing.h"
#include "compiler/Emit/KernelContext.h"
#include "compiler/Emit/KernelJit.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/mman.h>

namespace quern {

/// Weights that calls pass through: as many as BERT-base has, which come from
/// memory. From a last-level cache that holds them all, other prefetches win.
static constexpr int64_t kStreamBytes = 86 << 20;
static constexpr int64_t kHugePage = 2 << 20;

namespace {

/// Copies of a product's weights, in huge pages as in a session.
class Stream {
public:
  Stream(int64_t copyBytes)
      : copyBytes(copyBytes),
        copies(std::max<int64_t>(kStreamBytes / copyBytes, 2)) {
    size_t size = size_t(llvm::alignTo(copies * copyBytes, kHugePage));
    bytes.reset(static_cast<char *>(std::aligned_alloc(kHugePage, size)));
    madvise(bytes.get(), size, MADV_HUGEPAGE);
  }

  void fill(const void *copy) {
    for (int64_t i = 0; i < copies; ++i)
      std::memcpy(bytes.get() + i * copyBytes, copy, size_t(copyBytes));
  }

  void *next() {
    at = (at + 1) % copies;
    return bytes.get() + at * copyBytes;
  }

private:
  struct Free {
    void operator()(char *p) const { std::free(p); }
  };
  int64_t copyBytes, copies, at = 0;
  std::unique_ptr<char, Free> bytes;
};

/// All candidates at one number of rows.
class RowsTimer {
public:
  RowsTimer(const TimedForms &forms, const std::vector<TunedKernel> &kernels,
            const std::vector<KernelEntry> &entries, int64_t rows,
            Stream &stream)
      : forms(forms), kernels(kernels), entries(entries), rows(rows),
        product(forms.kernel.makeCase(rows)), operands(product->operands()),
        stream(stream), scratch(scratchBytes()) {
    stream.fill(operands[1]);
  }

  /// Whether all candidates give the bytes of the reference.
  bool areRight() {
    const GemmShape &gemm = forms.kernel.gemm;
    size_t bytes = size_t(rows * gemm.outStride * storageBytes(gemm.out));
    for (size_t c = 0; c < entries.size(); ++c) {
      std::memset(operands.back(), 0x5a, bytes);
      call(c);
      if (product->countWrong())
        return false;
    }
    return true;
  }

  std::vector<FormTime> run() {
    size_t count = entries.size();
    std::vector<std::vector<double>> gains(count), shares(count);
    const GemmShape &gemm = forms.kernel.gemm;
    double operations =
        2.0 * double(forms.kernel.planes() * rows * gemm.k * gemm.n);
    for (int round = 0; round < forms.rounds; ++round) {
      std::vector<double> seconds(count), peaks(count);
      for (size_t i = 0; i < count; ++i) {
        // Another one begins each round.
        size_t c = (i + size_t(round)) % count;
        double before = measureDotPeak(forms.tier);
        seconds[c] = timeCalls(c);
        peaks[c] = std::max(before, measureDotPeak(forms.tier));
      }
      for (size_t c = 0; c < count; ++c) {
        gains[c].push_back(seconds[0] / seconds[c]);
        shares[c].push_back(peaks[c] > 0 ? operations / seconds[c] / peaks[c]
                                         : 0);
      }
    }
    std::vector<FormTime> times;
    for (size_t c = 0; c < count; ++c)
      times.push_back({median(gains[c]), median(shares[c])});
    return times;
  }

private:
  size_t scratchBytes() const {
    int64_t bytes = 1 << 16;
    for (const TunedKernel &kernel : kernels)
      bytes = std::max(bytes, kernel.scratchBytes());
    return size_t(bytes);
  }

  void call(size_t c) {
    operands[1] = stream.next();
    GemmChunks chunks = getGemmChunks(kernels[c].gemm);
    entries[c](operands.data(), rows, 1, 0, 0,
               int64_t(llvm::divideCeil(rows, chunks.divide)) * chunks.multiply,
               scratch.as<void>());
  }

  /// Seconds of a call. The first one is for the caches.
  double timeCalls(size_t c) {
    call(c);
    int calls = 0;
    double start = clockSeconds(), passed = 0;
    do {
      call(c);
      ++calls;
      passed = clockSeconds() - start;
    } while (passed < forms.seconds);
    return passed / calls;
  }

  const TimedForms &forms;
  const std::vector<TunedKernel> &kernels;
  const std::vector<KernelEntry> &entries;
  int64_t rows;
  std::unique_ptr<ProductCase> product;
  std::vector<void *> operands;
  Stream &stream;
  AlignedBytes scratch;
};

} // namespace

Expected<std::vector<std::vector<FormTime>>>
timeForms(const TimedForms &forms) {
  std::unique_ptr<mlir::MLIRContext> context = makeKernelContext();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(context.get()));
  std::vector<TunedKernel> kernels;
  std::vector<std::string> names;
  for (const GemmTuning &tuning : forms.candidates) {
    TunedKernel kernel = forms.kernel;
    kernel.gemm.setTuning(tuning);
    names.push_back("candidate_" + std::to_string(names.size()));
    kernel.build(*module, names.back());
    kernels.push_back(kernel);
  }
  Expected<KernelJit> jit = KernelJit::create(*module, forms.tier, 0);
  if (!jit)
    return jit.takeError();
  std::vector<KernelEntry> entries;
  for (const std::string &name : names) {
    Expected<KernelEntry> entry = jit->lookup(name);
    if (!entry)
      return entry.takeError();
    entries.push_back(*entry);
  }
  std::vector<std::vector<FormTime>> times;
  Stream stream(forms.kernel.weightBytes());
  for (int64_t rows : forms.rows) {
    RowsTimer timer(forms, kernels, entries, rows, stream);
    if (!timer.areRight())
      return Error::make(forms.kernel.name(), ", ", rows,
                         " rows: found outputs that differ from the "
                         "reference, expected the same bytes of every form");
    times.push_back(timer.run());
  }
  return times;
}

} // namespace quern
