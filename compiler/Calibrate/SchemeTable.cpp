//===- SchemeTable.cpp - Recipe and ranges to the scheme of a module ------===//
//
// Writes the dictionary that lib/Quantize/SchemeAttr reads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SchemeTable.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace quern;

std::vector<Site> quern::collectSites(ModuleOp module) {
  std::vector<Site> sites;
  module.walk([&](tq::ObserveOp op) {
    sites.push_back({op.getSite().str(), op.getKey().str(),
                     static_cast<int>(op.getLayer())});
  });
  return sites;
}

std::vector<ObservedSite> quern::observedSites(const std::vector<Site> &sites,
                                               const Recipe &recipe) {
  std::vector<ObservedSite> observed;
  for (const Site &site : sites) {
    ActivationScheme scheme = recipe.activationFor(site);
    if (!scheme.isFloat())
      observed.push_back({site.name, scheme});
  }
  return observed;
}

Error quern::attachScheme(ModuleOp module, const Recipe &recipe,
                          const RangeTable &ranges) {
  std::vector<Site> sites = collectSites(module);
  if (Error error = recipe.check(sites))
    return error;
  Builder builder(module.getContext());
  StringAttr fp32 = builder.getStringAttr("fp32");

  NamedAttrList siteList;
  for (const Site &site : sites) {
    ActivationScheme scheme = recipe.activationFor(site);
    if (scheme.isFloat()) {
      siteList.set(site.name, fp32);
      continue;
    }
    Expected<Range> range = ranges.lookup(site.name, scheme);
    if (!range)
      return range.takeError();
    UniformParams params = asymmetricParams(*range, scheme.bits);
    NamedAttrList entry;
    entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
    entry.set("scale", builder.getF32FloatAttr(params.scale));
    entry.set("zero", builder.getI64IntegerAttr(params.zero));
    siteList.set(site.name, entry.getDictionary(module.getContext()));
  }

  static constexpr std::pair<const char *, WeightRole> roles[] = {
      {"linear", WeightRole::Linear},
      {"pooler", WeightRole::Pooler},
      {"classifier", WeightRole::Classifier},
      {"word_table", WeightRole::WordTable},
      {"table", WeightRole::Table},
      {"norms", WeightRole::Norm}};
  NamedAttrList weightList;
  for (const auto &[name, role] : roles) {
    WeightScheme scheme = recipe.weightFor(role);
    if (scheme.isFloat()) {
      weightList.set(name, fp32);
      continue;
    }
    NamedAttrList entry;
    entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
    entry.set("granularity",
              builder.getStringAttr(scheme.perChannel ? "channel" : "tensor"));
    entry.set("estimator",
              builder.getStringAttr(scheme.mse ? "mse" : "minmax"));
    weightList.set(name, entry.getDictionary(module.getContext()));
  }

  NamedAttrList scheme;
  scheme.set("sites", siteList.getDictionary(module.getContext()));
  scheme.set("weights", weightList.getDictionary(module.getContext()));
  module->setAttr("tq.scheme", scheme.getDictionary(module.getContext()));
  return Error::success();
}
