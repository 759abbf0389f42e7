//===- Verifier.cpp - Simulation, integers and machine code ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Batch after batch: the graphs once, the machine once for each tier and
// number of threads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/Verifier.h"

#include "compiler/Verify/SiteRuns.h"
#include "dialects/TQ/TQOps.h"
#include "runtime/src/manifest_generated.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

namespace quern {

void Difference::addUnequal(double a, double b) {
  ++differ;
  double d = std::fabs(a - b);
  largest = std::max(
      largest, std::isnan(d) ? std::numeric_limits<double>::infinity() : d);
}

void Difference::addBits(float a, float b) {
  ++values;
  if (std::memcmp(&a, &b, sizeof(float)) != 0)
    addUnequal(a, b);
}

void Difference::addMissing(uint64_t count) {
  if (count == 0)
    return;
  values += count;
  differ += count;
  largest = std::numeric_limits<double>::infinity();
}

static const manifest::Manifest &manifestOf(const quern_module *module) {
  uint64_t bytes = 0;
  return *manifest::GetManifest(quern_module_manifest(module, &bytes));
}

namespace {
class Verification {
public:
  explicit Verification(const VerifyRequest &request) : request(request) {}

  Expected<VerifyReport> run();

private:
  Error chooseTiers();
  Error runBatch(const RebuiltLevels &levels, const TokenBatch &batch);
  SiteReport &siteReport(const std::string &name, unsigned bits);
  void judge();

  const VerifyRequest &request;
  LevelContext context;
  VerifyReport report;
  struct Machine {
    size_t tier;
    MachineRun run;
  };
  std::vector<Machine> machines;
  std::map<std::string, size_t> siteIndex;
};
} // namespace

Error Verification::chooseTiers() {
  for (uint16_t tier : *manifestOf(request.module).tiers()) {
    const char *reason = nullptr;
    if (!quern_tier_usable(tier, &reason)) {
      report.skipped.push_back(
          {quern_tier_name(tier), reason ? reason : "not usable"});
      continue;
    }
    report.tiers.push_back(quern_tier_name(tier));
    for (uint32_t threads : request.threads) {
      Expected<MachineRun> run =
          MachineRun::create(request.module, tier, threads);
      if (!run)
        return run.takeError();
      machines.push_back({report.tiers.size() - 1, std::move(*run)});
    }
  }
  if (manifestOf(request.module).device()) {
    Expected<MachineRun> run =
        MachineRun::create(request.module, QUERN_TIER_CUDA, 1);
    if (run) {
      report.tiers.push_back(quern_tier_name(QUERN_TIER_CUDA));
      machines.push_back({report.tiers.size() - 1, std::move(*run)});
    } else {
      report.skipped.push_back(
          {quern_tier_name(QUERN_TIER_CUDA), run.message()});
    }
  }
  report.threads = request.threads;
  if (machines.empty())
    return Error::make(request.name, ": found no tier that this CPU can run");
  return Error::success();
}

SiteReport &Verification::siteReport(const std::string &name, unsigned bits) {
  auto [found, added] = siteIndex.try_emplace(name, report.sites.size());
  if (added) {
    SiteReport site;
    site.name = name;
    site.bits = bits;
    site.machine.resize(report.tiers.size());
    report.sites.push_back(std::move(site));
  }
  return report.sites[found->second];
}

/// The sites whose values come from a form that the simulation has not.
static std::set<std::string> sitesOfOtherForms(mlir::ModuleOp integer) {
  std::set<std::string> names;
  integer.walk([&](tq::QLinearOp op) {
    if (op.getActivation() == tq::Activation::IGelu)
      for (auto site : op.getSites().getAsRange<mlir::StringAttr>())
        names.insert(site.str());
  });
  integer.walk([&](tq::QShiftGeluOp op) {
    for (auto site : op.getSites().getAsRange<mlir::StringAttr>())
      names.insert(site.str());
  });
  integer.walk([&](tq::QAttentionOp op) {
    if (op.getSoftmax() != tq::SoftmaxForm::Table && !op.getSites().empty())
      names.insert(llvm::cast<mlir::StringAttr>(op.getSites()[1]).str());
  });
  return names;
}

Error Verification::runBatch(const RebuiltLevels &levels,
                             const TokenBatch &batch) {
  auto simulation = runGraph(*levels.simulation, Arithmetic::Real, batch);
  if (mlir::failed(simulation))
    return context.failed(request.name, "the simulation cannot be run");
  auto integer = runGraph(*levels.integer, Arithmetic::Machine, batch);
  auto equal =
      runGraph(*levels.integer, Arithmetic::Machine, batch, &*simulation);
  if (mlir::failed(integer) || mlir::failed(equal))
    return context.failed(request.name, "the integer graph cannot be run");
  for (Machine &machine : machines)
    if (Error error = machine.run.run(batch))
      return error;

  std::set<std::string> otherForms = sitesOfOtherForms(*levels.integer);
  for (const std::string &name : integer->order) {
    SiteReport &site = siteReport(name, integer->bits[name]);
    site.isOtherForm = otherForms.count(name) != 0;
    const Tensor &value = integer->sites.at(name);
    auto simulated = simulation->sites.find(name);
    if (simulated != simulation->sites.end()) {
      compare(simulated->second, value, site.simulation);
      compare(simulated->second, equal->sites.at(name), site.equalCodes);
    }
    for (Machine &machine : machines)
      if (!machine.run.compareSite(name, value, site.machine[machine.tier]))
        report.hidden[name] = "not kept by the machine code";
  }
  for (const std::string &name : simulation->order)
    if (!integer->sites.count(name))
      report.hidden[name] = "not in the integer graph";

  compare(simulation->output, integer->output, report.outputs.simulation);
  compare(simulation->output, equal->output, report.outputs.equalCodes);
  for (Machine &machine : machines)
    machine.run.compareOutput(integer->output,
                              report.outputs.machine[machine.tier]);
  return Error::success();
}

void Verification::judge() {
  auto machine = [&](const SiteReport &site) {
    for (size_t i = 0; i < report.tiers.size(); ++i)
      if (site.machine[i].differ != 0)
        report.failures.push_back(
            site.name + ": " + std::to_string(site.machine[i].differ) + " of " +
            std::to_string(site.machine[i].values) +
            " values of the integer graph differ from machine code (" +
            report.tiers[i] + ")");
  };
  for (const SiteReport &site : report.sites) {
    machine(site);
    if (site.bits != 0 && !site.isOtherForm && site.equalCodes.largest > 1)
      report.failures.push_back(
          site.name + ": from equal codes, simulation and integer graph "
                      "differ by more than one code");
  }
  machine(report.outputs);
}

Expected<VerifyReport> Verification::run() {
  if (Error error = chooseTiers())
    return error;
  auto batches = tokenBatches(request.module, request.name, request.texts,
                              request.batchTokens);
  if (!batches)
    return batches.takeError();
  for (const TokenBatch &batch : *batches) {
    report.texts += batch.offsets.size() - 1;
    report.tokens += batch.tokens();
  }
  Expected<RebuiltLevels> levels =
      levelsOf(context, request.module, request.name, request.modelFolder);
  if (!levels)
    return levels.takeError();
  quern_description about;
  quern_module_describe(request.module, &about);
  report.recipe = about.recipe;
  report.outputs.name = "output";
  report.outputs.machine.resize(report.tiers.size());
  for (size_t i = 0; i < batches->size(); ++i) {
    if (Error error = runBatch(*levels, (*batches)[i]))
      return error;
    if (request.progress)
      request.progress(double(i + 1) / batches->size());
  }
  judge();
  return std::move(report);
}

Expected<VerifyReport> verifyModule(const VerifyRequest &request) {
  return Verification(request).run();
}

} // namespace quern
