//===- KernelObjects.cpp - An object for each kernel ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Threads share nothing but a list: what one makes of a kernel, from its text
// on, lies in contexts of MLIR and of LLVM that nobody else uses meanwhile. A
// context that they shared would lock at every type and attribute.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelObjects.h"

#include "compiler/Emit/KernelCache.h"
#include "compiler/Emit/KernelContext.h"
#include "dialects/TK/TKDialect.h"
#include "lib/Support/Parallel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>
#include <numeric>

using namespace mlir;

namespace quern {

namespace {
/// A kernel with its variants.
struct KernelPart {
  std::string name, text;
  /// Whose code each tier runs, and which of the objects that is.
  std::vector<Tier> codes;
  std::vector<size_t> objects;
};

/// What is made once: the object of a part for a tier.
struct Job {
  const KernelPart *part;
  Tier tier;
  std::optional<Expected<std::string>> object;
};

/// Contexts that no thread is using.
class ContextPool {
public:
  std::unique_ptr<MLIRContext> take() {
    std::lock_guard<std::mutex> lock(mutex);
    if (unused.empty())
      return makeKernelContext();
    std::unique_ptr<MLIRContext> context = std::move(unused.back());
    unused.pop_back();
    return context;
  }
  void giveBack(std::unique_ptr<MLIRContext> context) {
    std::lock_guard<std::mutex> lock(mutex);
    unused.push_back(std::move(context));
  }

private:
  std::mutex mutex;
  std::vector<std::unique_ptr<MLIRContext>> unused;
};
} // namespace

static std::vector<KernelPart> splitKernels(ModuleOp module,
                                            ArrayRef<Tier> tiers) {
  llvm::MapVector<StringAttr, OwningOpRef<ModuleOp>> modules;
  for (Operation &op : *module.getBody()) {
    if (!tk::isKernel(&op))
      continue;
    StringAttr name = SymbolTable::getSymbolName(&op);
    if (auto function = dyn_cast<func::FuncOp>(op))
      if (FlatSymbolRefAttr of = tk::getVariantOf(function))
        name = of.getAttr();
    OwningOpRef<ModuleOp> &part = modules[name];
    if (!part)
      part = ModuleOp::create(module.getLoc());
    part->push_back(op.clone());
  }
  std::vector<KernelPart> parts;
  for (auto &[name, kernel] : modules) {
    KernelPart part{name.str(), "", {}, {}};
    llvm::raw_string_ostream(part.text) << *kernel;
    llvm::SmallVector<Operation *> forms;
    for (Operation &form : *kernel->getBody())
      forms.push_back(&form);
    for (Tier tier : tiers)
      part.codes.push_back(getCodeTier(forms, tier));
    parts.push_back(std::move(part));
  }
  return parts;
}

/// Makes the object of a kernel's text in `context`.
static Expected<std::string>
makeObject(const Job &job, const ObjectMaker &maker, MLIRContext &context) {
  std::string why;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && why.empty())
      why = diagnostic.str();
    return success();
  });
  // What was printed is what passed the last verification.
  ParserConfig config(&context, /*verifyAfterParse=*/false);
  auto kernel = parseSourceString<ModuleOp>(job.part->text, config);
  if (!kernel)
    return Error::make("kernel ", job.part->name, ": ", why);
  Expected<std::string> object = maker.make(*kernel, job.tier);
  if (!object && !why.empty())
    return Error::make(object.message(), ": ", why);
  return object;
}

/// Makes all objects, those that are likely to take longest first.
static void run(std::vector<Job> &jobs, const ObjectMaker &maker,
                const KernelCache &cache, unsigned threads) {
  std::vector<size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), size_t(0));
  llvm::sort(order, [&](size_t a, size_t b) {
    size_t first = jobs[a].part->text.size();
    size_t second = jobs[b].part->text.size();
    return first != second ? first > second : a < b;
  });
  ContextPool contexts;
  forEachParallel(order.size(), threads, [&](size_t i) {
    Job &job = jobs[order[i]];
    job.object = cache.get(job.part->text, maker.tag(job.tier), [&] {
      std::unique_ptr<MLIRContext> context = contexts.take();
      Expected<std::string> made = makeObject(job, maker, *context);
      contexts.giveBack(std::move(context));
      return made;
    });
  });
}

Expected<std::vector<std::vector<KernelObject>>>
makeObjects(ModuleOp module, ArrayRef<Tier> tiers, const ObjectMaker &maker,
            unsigned threads) {
  Expected<KernelCache> cache = KernelCache::fromEnvironment();
  if (!cache)
    return cache.takeError();
  std::vector<KernelPart> parts = splitKernels(module, tiers);
  std::vector<Job> jobs;
  for (KernelPart &part : parts)
    for (Tier code : part.codes) {
      auto same = llvm::find_if(jobs, [&](const Job &job) {
        return job.part == &part && job.tier == code;
      });
      part.objects.push_back(size_t(same - jobs.begin()));
      if (same == jobs.end())
        jobs.push_back({&part, code, std::nullopt});
    }
  run(jobs, maker, *cache, threads);
  for (Job &job : jobs)
    if (!*job.object)
      return job.object->takeError();
  std::vector<std::vector<KernelObject>> objects(tiers.size());
  for (size_t tier = 0; tier < tiers.size(); ++tier)
    for (const KernelPart &part : parts)
      objects[tier].push_back({part.name,
                               getEntryName(part.name, part.codes[tier]),
                               **jobs[part.objects[tier]].object});
  return Expected<std::vector<std::vector<KernelObject>>>(std::move(objects));
}

Expected<std::vector<std::vector<KernelObject>>>
emitObjects(ModuleOp module, ArrayRef<Tier> tiers, unsigned threads,
            const PassSetup &setup) {
  for (Tier tier : tiers)
    if (setup)
      if (auto lowered = lowerKernels(module, tier, setup); !lowered)
        return lowered.takeError();
  ObjectMaker maker = {[](Tier code) { return getTierName(code).str(); },
                       [](ModuleOp kernel, Tier code) {
                         return emitKernels(kernel, code, CodeForm::Object);
                       }};
  return makeObjects(module, tiers, maker, threads);
}

} // namespace quern
