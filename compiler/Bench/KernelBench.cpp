//===- KernelBench.cpp - Time single kernels against the peak -------------===//
//
// The peak loop runs directly before and after each timing, because clocks
// and neighbours change within seconds.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/KernelBench.h"

#include "compiler/Bench/DotPeak.h"
#include "compiler/Bench/GemmCase.h"
#include "compiler/Emit/KernelJit.h"
#include "dialects/TK/TKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <ostream>

namespace quern {

static double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

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

static GemmShape getShape(const Layer &layer) {
  GemmShape shape;
  shape.k = layer.k;
  shape.n = layer.n;
  shape.xStride = rowStride(layer.k);
  shape.outStride = rowStride(layer.n);
  shape.activation = layer.activation;
  shape.weightBits = layer.weightBits;
  return shape;
}

/// Times one case; its kernel is in `entry`.
static KernelBenchRow time(GemmCase &gemm, KernelEntry entry,
                           const Layer &layer, int64_t tokens,
                           const KernelBenchOptions &options) {
  KernelBenchRow row;
  row.kernel = gemm.name();
  row.tokens = tokens;
  row.k = layer.k;
  row.n = layer.n;
  std::vector<void *> operands = gemm.operands();
  AlignedBytes scratch(1 << 16);
  auto run = [&] {
    entry(operands.data(), tokens, 1, 0, 0, gemm.chunks(), scratch.as<void>());
  };
  run();
  row.wrong = gemm.countWrong();
  double operations = 2.0 * double(tokens) * double(layer.k) * double(layer.n);
  bool hasPeak = options.tier != Tier::Scalar;
  double guess = hasPeak ? measureDotPeak(options.tier) : 2e10;
  int calls = std::max(1, int(1.5e-3 * guess / operations));
  std::vector<double> speeds, shares;
  for (int i = 0; i < options.repeats; ++i) {
    double before = hasPeak ? measureDotPeak(options.tier) : 0;
    double start = now();
    for (int c = 0; c < calls; ++c)
      run();
    double speed = operations * calls / (now() - start);
    double after = hasPeak ? measureDotPeak(options.tier) : 0;
    speeds.push_back(speed);
    if (hasPeak)
      shares.push_back(speed / std::max(before, after));
  }
  row.speed = median(speeds);
  row.share = hasPeak ? median(shares) : 0;
  return row;
}

Expected<std::vector<KernelBenchRow>>
runKernelBench(const KernelBenchOptions &options) {
  if (!canRun(options.tier))
    return Error::make("this machine cannot run tier ",
                       getTierName(options.tier).str());
  mlir::MLIRContext context;
  context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                      mlir::LLVM::LLVMDialect, mlir::math::MathDialect,
                      mlir::memref::MemRefDialect, mlir::scf::SCFDialect,
                      mlir::vector::VectorDialect, tk::TKDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  for (const Layer &layer : kLayers)
    buildGemm(*module, getGemmName(getShape(layer)), getShape(layer));
  auto jit = KernelJit::create(*module, options.tier);
  if (!jit)
    return jit.takeError();
  std::vector<KernelBenchRow> rows;
  for (int64_t tokens : options.tokens)
    for (const Layer &layer : kLayers) {
      GemmCase gemm(getShape(layer), tokens);
      auto entry = jit->lookup(gemm.name());
      if (!entry)
        return entry.takeError();
      rows.push_back(time(gemm, *entry, layer, tokens, options));
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
