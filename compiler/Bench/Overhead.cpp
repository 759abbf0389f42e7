//===- Overhead.cpp - What groups, 16 bits and few bits cost --------------===//
//
// Clocks and neighbours change within seconds, so that times of different
// moments do not compare: the plain product runs right before each form.
//
//===----------------------------------------------------------------------===//
#include "compiler/Bench/Overhead.h"

#include "compiler/Bench/GroupGemmCase.h"
#include "compiler/Bench/Timing.h"
#include "compiler/Bench/WideGemmCase.h"
#include "compiler/Emit/KernelContext.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>

namespace quern {

double predictedGroupOverhead(int64_t groups, int64_t k) {
  return double(groups) / double(k);
}

namespace {

/// A form that can be run again and again.
struct Form {
  OverheadRow row;
  std::function<void()> run;
  std::function<int64_t()> countWrong;
};

/// All forms and the code of their kernels.
class Overhead {
public:
  explicit Overhead(const OverheadOptions &options)
      : options(options), context(makeKernelContext()), scratch(1 << 20) {
    module = mlir::ModuleOp::create(mlir::UnknownLoc::get(context.get()));
  }

  Expected<std::vector<OverheadRow>> run();

private:
  GemmShape getShape() const;
  void addPlain(const std::string &form, int64_t weightBits);
  void addGroups(int64_t groups);
  void addWide();
  template <typename Case> void build(const Case &gemm) {
    if (!module->lookupSymbol(gemm.name()))
      gemm.build(*module);
  }
  Error compile();
  void call(const std::string &kernel, std::vector<void *> &operands,
            int64_t chunks);
  void time(Form &form);

  const OverheadOptions &options;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<KernelJit> jit;
  std::map<std::string, KernelEntry> entries;
  AlignedBytes scratch;
  std::vector<Form> forms;
};

} // namespace

GemmShape Overhead::getShape() const {
  return linearShape(768, 3072, GemmActivation::Gelu, 8);
}

void Overhead::call(const std::string &kernel, std::vector<void *> &operands,
                    int64_t chunks) {
  entries[kernel](operands.data(), options.tokens, 1, 0, 0, chunks,
                  scratch.as<void>());
}

void Overhead::addPlain(const std::string &name, int64_t weightBits) {
  GemmShape shape = getShape();
  shape.weightBits = weightBits;
  auto gemm = std::make_shared<GemmCase>(shape, options.tokens);
  build(*gemm);
  entries[gemm->name()] = nullptr;
  Form form;
  form.row.form = name;
  form.row.kernel = gemm->name();
  form.run = [this, gemm, operands = gemm->operands()]() mutable {
    call(gemm->name(), operands, gemm->chunks());
  };
  form.countWrong = [gemm] { return gemm->countWrong(); };
  forms.push_back(std::move(form));
}

void Overhead::addGroups(int64_t groups) {
  GroupGemmShape shape;
  shape.gemm = getShape();
  shape.ends = equalGroupEnds(shape.gemm.k, groups);
  auto gemm = std::make_shared<GroupGemmCase>(shape, options.tokens);
  build(*gemm);
  entries[gemm->name()] = nullptr;
  Form form;
  form.row.form = "PEG K=" + std::to_string(groups);
  form.row.kernel = gemm->name();
  form.row.predicted = predictedGroupOverhead(groups, shape.gemm.k);
  form.run = [this, gemm, operands = gemm->operands()]() mutable {
    call(gemm->name(), operands, gemm->chunks());
  };
  form.countWrong = [gemm] { return gemm->countWrong(); };
  forms.push_back(std::move(form));
}

void Overhead::addWide() {
  GemmShape shape = getShape();
  auto gemm = std::make_shared<WideGemmCase>(
      shape, options.tokens, randomWideData(options.tokens, shape), 3e-8f);
  build(*gemm);
  entries[gemm->name()] = nullptr;
  entries[gemm->planesName()] = nullptr;
  Form form;
  form.row.form = "W8A16";
  form.row.kernel = gemm->name();
  // Two byte planes are two products.
  form.row.predicted = 1;
  form.run = [this, gemm, planes = gemm->planesOperands(),
              operands = gemm->operands()]() mutable {
    call(gemm->planesName(), planes, gemm->planesChunks());
    call(gemm->name(), operands, gemm->chunks());
  };
  form.countWrong = [gemm] { return gemm->countWrong(); };
  forms.push_back(std::move(form));
}

Error Overhead::compile() {
  Expected<KernelJit> made = KernelJit::create(*module, options.tier, 0);
  if (!made)
    return made.takeError();
  jit.emplace(std::move(*made));
  for (auto &[name, entry] : entries) {
    Expected<KernelEntry> found = jit->lookup(name);
    if (!found)
      return found.takeError();
    entry = *found;
  }
  return Error::success();
}

static double secondsOf(const std::function<void()> &run) {
  double start = clockSeconds();
  run();
  return clockSeconds() - start;
}

void Overhead::time(Form &form) {
  form.run();
  form.row.wrong = form.countWrong();
  std::vector<double> ratios, times;
  for (unsigned i = 0; i < options.repeats; ++i) {
    double base = secondsOf(forms.front().run), own = secondsOf(form.run);
    times.push_back(own);
    ratios.push_back(own / base);
  }
  form.row.measured = median(ratios) - 1;
  form.row.milliseconds = 1e3 * median(times);
}

Expected<std::vector<OverheadRow>> Overhead::run() {
  if (!canRun(options.tier))
    return Error::make("this machine cannot run tier ",
                       getTierName(options.tier).str());
  addPlain("W8A8", 8);
  for (int64_t groups : {1, 2, 3, 4, 6, 8, 12})
    addGroups(groups);
  addWide();
  // Unpacking is not among the multiply-adds.
  addPlain("W4A8", 4);
  addPlain("W2A8", 2);
  if (Error error = compile())
    return error;
  std::vector<OverheadRow> rows;
  for (Form &form : forms) {
    time(form);
    rows.push_back(form.row);
  }
  return rows;
}

Expected<std::vector<OverheadRow>> runOverhead(const OverheadOptions &options) {
  return Overhead(options).run();
}

void printOverhead(const OverheadOptions &options,
                   const std::vector<OverheadRow> &rows, std::ostream &out) {
  out << llvm::formatv("FFN1 of BERT-base, 768 to 3072 with GELU, {0} tokens, "
                       "tier {1}: added to the product by operations and in "
                       "time\n\n"
                       "| form | kernel | predicted | measured | ms | wrong |\n"
                       "|---|---|---|---|---|---|\n",
                       options.tokens, getTierName(options.tier))
             .str();
  for (const OverheadRow &row : rows)
    out << llvm::formatv("| {0} | {1} | {2:f2} % | {3:f1} % | {4:f3} | {5} |\n",
                         row.form, row.kernel, 100 * row.predicted,
                         100 * row.measured, row.milliseconds, row.wrong)
               .str();
}

std::string overheadJson(const OverheadOptions &options,
                         const std::vector<OverheadRow> &rows) {
  llvm::json::Array forms;
  for (const OverheadRow &row : rows)
    forms.push_back(llvm::json::Object{{"form", row.form},
                                       {"kernel", row.kernel},
                                       {"predicted", row.predicted},
                                       {"measured", row.measured},
                                       {"ms", row.milliseconds},
                                       {"wrong", row.wrong}});
  llvm::json::Object top{{"tokens", options.tokens},
                         {"k", 768},
                         {"n", 3072},
                         {"tier", getTierName(options.tier).str()},
                         {"forms", std::move(forms)}};
  return llvm::formatv("{0:2}", llvm::json::Value(std::move(top))).str() + "\n";
}

} // namespace quern
