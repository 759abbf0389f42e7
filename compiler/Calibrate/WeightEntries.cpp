//===- WeightEntries.cpp - Weights in the scheme of a module --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/WeightEntries.h"
#include "dialects/TQ/Constants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace quern;

namespace {

/// Holds learned scales against the weights of the model.
Error checkWeights(ModuleOp module, const RangeTable &ranges) {
  llvm::StringMap<RankedTensorType> types;
  module.walk([&](arith::ConstantOp op) {
    if (auto type = dyn_cast<RankedTensorType>(op.getType()))
      if (type.getRank() > 0)
        types[tq::getConstantName(op.getResult())] = type;
  });
  for (const auto &[name, weight] : ranges.weights) {
    auto found = types.find(name);
    if (found == types.end())
      return Error::make(ranges.prefix(), ": weight ", name,
                         ": found a scale, the model lacks the weight");
    RankedTensorType type = found->second;
    auto scales = int64_t(weight.scales.size());
    if (scales != 1 && weight.bits.empty() && scales != type.getDimSize(0))
      return Error::make(ranges.prefix(), ": weight ", name, ": found ", scales,
                         " scales, expected ", type.getDimSize(0),
                         ", one for each row");
    int64_t whole = type.getDimSize(weight.ofColumns ? type.getRank() - 1 : 0);
    if (scales != 1 && !weight.bits.empty() &&
        (type.getRank() != 2 || whole % scales != 0))
      return Error::make(ranges.prefix(), ": weight ", name, ": found ", scales,
                         " scales, expected one for each head: a number that "
                         "divides its ",
                         whole, weight.ofColumns ? " columns" : " rows");
  }
  return Error::success();
}

/// The entry of a weight among the given scales.
Attribute scalesEntry(const WeightScales &weight, Builder &builder) {
  auto scales = builder.getDenseF32ArrayAttr(weight.scales);
  if (weight.bits.empty())
    return scales;
  NamedAttrList entry;
  entry.set("scales", scales);
  entry.set("bits", builder.getDenseI64ArrayAttr(weight.bits));
  if (weight.scales.size() > 1)
    entry.set("along",
              builder.getStringAttr(weight.ofColumns ? "columns" : "rows"));
  return entry.getDictionary(builder.getContext());
}

} // namespace

Error quern::addWeightEntries(NamedAttrList &scheme, ModuleOp module,
                              const Recipe &recipe, const RangeTable &ranges) {
  Builder builder(module.getContext());
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
      weightList.set(name, builder.getStringAttr("fp32"));
      continue;
    }
    if (!scheme.symmetric && !ranges.weights.empty())
      return Error::make(ranges.prefix(),
                         ": weight.symmetric: found false "
                         "beside learned scales, which have no "
                         "zero points, expected true");
    NamedAttrList entry;
    entry.set("bits", builder.getI64IntegerAttr(scheme.bits));
    entry.set("granularity",
              builder.getStringAttr(scheme.perChannel ? "channel" : "tensor"));
    entry.set("estimator",
              builder.getStringAttr(StringRef(clipRuleName(scheme.estimator))));
    if (scheme.estimator == ClipRule::Percentile)
      entry.set("percentile", builder.getF64FloatAttr(scheme.percentile));
    if (scheme.estimator == ClipRule::MseGrid)
      entry.set("candidates", builder.getI64IntegerAttr(scheme.candidates));
    if (!scheme.symmetric)
      entry.set("symmetric", builder.getBoolAttr(false));
    if (scheme.adaptive)
      entry.set("rounding", builder.getStringAttr("adaround"));
    weightList.set(name, entry.getDictionary(module.getContext()));
  }
  scheme.set("weights", weightList.getDictionary(module.getContext()));
  if (Error error = checkWeights(module, ranges))
    return error;
  if (ranges.weights.empty())
    return Error::success();
  NamedAttrList scales, unsignedScales;
  for (const auto &[name, weight] : ranges.weights)
    (weight.isSigned ? scales : unsignedScales)
        .set(name, scalesEntry(weight, builder));
  scheme.set("scales", scales.getDictionary(module.getContext()));
  scheme.set("unsigned_scales",
             unsignedScales.getDictionary(module.getContext()));
  return Error::success();
}
