//===- KernelBench.cpp - Time single kernels against the peak -------------===//
//
// The peak loop runs directly before and after each timing, and all kernels
// run in turns, because clocks and neighbours change within seconds.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/KernelBench.h"

#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/GemmCase.h"
#include "compiler/Bench/Timing.h"
#include "compiler/Emit/KernelContext.h"
#include "compiler/Emit/KernelJit.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace quern {

namespace {

/// A layer of BERT-base.
struct Layer {
  int64_t k, n;
  GemmActivation activation;
  int64_t weightBits = 8;
};

} // namespace

static constexpr Layer kLayers[] = {
    {768, 768, GemmActivation::None},     {768, 2304, GemmActivation::None},
    {768, 3072, GemmActivation::None},    {768, 3072, GemmActivation::Gelu},
    {3072, 768, GemmActivation::None},    {768, 768, GemmActivation::None, 4},
    {3072, 768, GemmActivation::None, 4}, {768, 768, GemmActivation::None, 2},
    {3072, 768, GemmActivation::None, 2}};

static GemmShape getShape(const Layer &layer, const ModuleTuning &tuning) {
  GemmShape shape =
      linearShape(layer.k, layer.n, layer.activation, layer.weightBits);
  tuning.apply(shape);
  return shape;
}

namespace {

/// One kernel at one number of tokens, and its timings.
class TimedCase {
public:
  TimedCase(const GemmShape &shape, int64_t tokens, Tier tier)
      : gemm(shape, tokens), operands(gemm.operands()), tier(tier),
        scratch(
            size_t(std::max<int64_t>(1 << 16, getGemmScratchBytes(shape)))) {
    row.kernel = gemm.name();
    row.tokens = tokens;
    row.k = shape.k;
    row.n = shape.n;
  }

  Error prepare(const KernelJit &jit) {
    Expected<KernelEntry> found = jit.lookup(row.kernel);
    if (!found)
      return found.takeError();
    entry = *found;
    run();
    row.wrong = gemm.countWrong();
    return Error::success();
  }

  /// One timing, of enough calls for a millisecond and a half.
  void time() {
    bool hasPeak = !isPlain(tier);
    double operations = 2.0 * double(row.tokens) * double(row.k * row.n);
    // What other kernels left in the caches is not this one's.
    run();
    double before = hasPeak ? measureDotPeak(tier) : 2e10;
    int calls = std::max(1, int(1.5e-3 * before / operations));
    double start = clockSeconds();
    for (int c = 0; c < calls; ++c)
      run();
    double speed = operations * calls / (clockSeconds() - start);
    double after = hasPeak ? measureDotPeak(tier) : 0;
    speeds.push_back(speed);
    if (!hasPeak)
      return;
    double share = speed / std::max(before, after);
    bool steady = std::abs(before - after) < 0.1 * std::max(before, after);
    (steady ? steadyShares : otherShares).push_back(share);
  }

  KernelBenchRow finish() {
    row.speed = median(speeds);
    if (!isPlain(tier))
      row.share = median(steadyShares.empty() ? otherShares : steadyShares);
    return row;
  }

private:
  void run() {
    entry(operands.data(), row.tokens, 1, 0, 0, gemm.chunks(),
          scratch.as<void>());
  }

  GemmCase gemm;
  std::vector<void *> operands;
  Tier tier;
  AlignedBytes scratch;
  KernelEntry entry = nullptr;
  KernelBenchRow row;
  std::vector<double> speeds, steadyShares, otherShares;
};

} // namespace

Expected<std::vector<KernelBenchRow>>
runKernelBench(const KernelBenchOptions &options) {
  if (!canRun(options.tier))
    return Error::make("this machine cannot run tier ",
                       getTierName(options.tier).str());
  std::unique_ptr<mlir::MLIRContext> context = makeKernelContext();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(context.get()));
  std::vector<GemmShape> shapes;
  for (const Layer &layer : kLayers) {
    GemmShape shape = getShape(layer, options.tuning);
    std::string name = getGemmName(shape);
    if (name.find(options.match) == std::string::npos)
      continue;
    shapes.push_back(shape);
    buildGemm(*module, name, shape);
  }
  if (shapes.empty())
    return Error::make("no kernel has \"", options.match, "\" in its name");
  auto jit = KernelJit::create(*module, options.tier, 0);
  if (!jit)
    return jit.takeError();
  std::vector<KernelBenchRow> rows;
  for (int64_t tokens : options.tokens) {
    std::vector<TimedCase> cases;
    for (const GemmShape &shape : shapes)
      cases.emplace_back(shape, tokens, options.tier);
    for (TimedCase &one : cases)
      if (Error error = one.prepare(*jit))
        return error;
    for (int i = 0; i < options.repeats; ++i)
      for (TimedCase &one : cases)
        one.time();
    for (TimedCase &one : cases)
      rows.push_back(one.finish());
  }
  return rows;
}

void printKernelBench(const std::vector<KernelBenchRow> &rows,
                      std::ostream &out) {
  char line[160];
  std::snprintf(line, sizeof line, "%-34s %6s %9s %8s %6s\n", "kernel",
                "tokens", "GOPS", "of peak", "wrong");
  out << line;
  for (const KernelBenchRow &row : rows) {
    char share[16] = "-";
    if (row.share > 0)
      std::snprintf(share, sizeof share, "%.1f %%", 100 * row.share);
    std::snprintf(line, sizeof line, "%-34s %6lld %9.1f %8s %6lld\n",
                  row.kernel.c_str(), (long long)row.tokens, row.speed / 1e9,
                  share, (long long)row.wrong);
    out << line;
  }
}

} // namespace quern
