//===- Quantize.cpp - Write the quantizers of a scheme into a model -------===//
//
// The pass tq-quantize: sites first, then weights by the role their users give
// them.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/ChosenCodes.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/RoundedCodes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/DenseMap.h"

namespace quern {
#define GEN_PASS_DEF_QUANTIZE
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// The role of the constant read by `operand`, or "" if it is no weight.
StringRef roleOf(OpOperand &operand) {
  Operation *user = operand.getOwner();
  if (auto linear = dyn_cast<tq::LinearOp>(user))
    return operand.get() == linear.getW() ? weightRole(linear) : "";
  if (auto embedding = dyn_cast<tq::EmbeddingOp>(user))
    return weightRole(embedding);
  if (auto norm = dyn_cast<tq::LayerNormOp>(user))
    return operand.get() == norm.getGamma() ? "norms" : "";
  return "";
}

/// Where the channels of groups lie: scores and probabilities have rows of
/// heads, whose columns are no channels.
int64_t groupAxis(tq::ObserveOp observe) {
  return observe.getKey() == "s" || observe.getKey() == "p" ? 0 : 1;
}

/// The type of the codes of a site.
Type codeType(tq::ObserveOp observe, const SiteQuantizer &quantizer) {
  MLIRContext *context = observe.getContext();
  if (quantizer.perToken)
    return tq::DynamicType::get(context, quantizer.bits, /*isSigned=*/false,
                                tq::RangeOf::Token, quantizer.centred);
  if (quantizer.logBase)
    return tq::LogType::get(context, quantizer.bits, *quantizer.logBase,
                            {quantizer.scale, quantizer.zero});
  if (quantizer.offset != 0)
    return tq::OffsetType::get(
        context, quantizer.bits, /*isSigned=*/false,
        tq::RealParams{quantizer.scale, quantizer.offset});
  if (quantizer.groupOf.empty())
    return tq::getUniformType(context, quantizer.bits, /*isSigned=*/false,
                              quantizer.scale, quantizer.zero);
  SmallVector<tq::UniformParams> params;
  for (size_t g = 0; g < quantizer.groupScales.size(); ++g)
    params.push_back({quantizer.groupScales[g], quantizer.groupZeros[g]});
  return tq::GroupType::get(
      context, quantizer.bits, /*isSigned=*/false, groupAxis(observe),
      inOrder(observe, quantizer.groupOf), params, quantizer.groupLimits);
}

struct QuantizePass : quern::impl::QuantizeBase<QuantizePass> {
  using QuantizeBase::QuantizeBase;

  void runOnOperation() override {
    std::optional<SchemeAttr> scheme = SchemeAttr::read(getOperation());
    if (!scheme)
      return signalPassFailure();
    // Roles are read off the observed sites, so weights come first.
    SmallVector<arith::ConstantOp> constants;
    SmallVector<tq::ObserveOp> observes;
    getOperation().walk([&](tq::ObserveOp op) { observes.push_back(op); });
    for (tq::ObserveOp observe : observes)
      if (failed(checkChannels(observe, *scheme)))
        return signalPassFailure();
    getOperation().walk([&](arith::ConstantOp op) { constants.push_back(op); });
    for (arith::ConstantOp constant : constants)
      if (failed(quantizeWeight(constant, *scheme)))
        return signalPassFailure();
    for (tq::ObserveOp observe : observes)
      if (failed(quantizeSite(observe, *scheme)))
        return signalPassFailure();
  }

  /// Scales of channels belong into what is before the site and behind it.
  LogicalResult checkChannels(tq::ObserveOp observe, const SchemeAttr &scheme) {
    std::optional<SiteQuantizer> site = scheme.site(observe.getSite());
    if (site && site->isUndecided)
      return refuseUndecided(observe);
    if (site && !site->residual.empty() &&
        llvm::any_of(observe->getUsers(),
                     [](Operation *user) { return isa<tq::AddOp>(user); }))
      return observe.emitError("site '")
             << observe.getSite()
             << "' has codes of its own for residual sums, expected "
                "tq-split-residual to have parted them";
    if (!site || site->channelScale.empty() ||
        observe->hasAttr(channelScaleName))
      return success();
    return observe.emitError("site '")
           << observe.getSite()
           << "' has channel scales, expected tq-reparameterize to have moved "
              "them";
  }

  LogicalResult quantizeSite(tq::ObserveOp observe, const SchemeAttr &scheme) {
    StringRef site = observe.getSite();
    if (!scheme.contains(site))
      return observe.emitError("site '")
             << site << "' is not in tq.scheme, expected a quantizer or "
             << "\"fp32\"";
    std::optional<SiteQuantizer> quantizer = scheme.site(site);
    if (!quantizer) {
      remark::analysis(observe.getLoc(),
                       remark::RemarkOpts::name("Site").category("quantize"))
          << remark::add("site ") << site << remark::add(" stays in f32");
      observe.replaceAllUsesWith(observe.getX());
      observe.erase();
      ++sitesFloat;
      return success();
    }
    int64_t width = cast<RankedTensorType>(observe.getType())
                        .getDimSize(groupAxis(observe));
    if (!quantizer->groupOf.empty() &&
        int64_t(quantizer->groupOf.size()) != width)
      return observe.emitError("expects groups of ")
             << width << " channels, got " << quantizer->groupOf.size();
    // Scores, probabilities, sums and what attention multiplies have integer
    // zero points in their kernels.
    static constexpr StringLiteral integerKeys[] = {"e", "s", "p", "q", "k",
                                                    "v", "u", "y", "C"};
    if (quantizer->offset != 0 &&
        llvm::is_contained(integerKeys, observe.getKey()))
      return observe.emitError("site '")
             << site << "' has a real offset, expected one of emb, c, g, x, f, "
             << "h, z, P, whose readers can take it";
    OpBuilder builder(observe);
    auto codes = RankedTensorType::get(
        cast<RankedTensorType>(observe.getType()).getShape(),
        codeType(observe, *quantizer));
    auto quantize =
        tq::QuantizeOp::create(builder, observe.getLoc(), codes, observe.getX(),
                               observe.getSiteAttr());
    auto dequantize = tq::DequantizeOp::create(
        builder, observe.getLoc(), observe.getType(), quantize.getResult());
    observe.replaceAllUsesWith(dequantize.getResult());
    observe.erase();
    ++sitesQuantized;
    return success();
  }

  /// A gain of unsigned codes, which weights have not: their values in f32.
  /// Codes of gains are folded into f32 anyway.
  void roundGain(OpBuilder &builder, arith::ConstantOp constant,
                 const tq::ConstantData<float> &data, float scale,
                 unsigned bits, ArrayRef<OpOperand *> uses) {
    std::string name =
        (tq::getConstantName(constant.getResult()) + ".rounded").str();
    Value rounded = tq::createConstant<float>(
        builder, constant.getLoc(), cast<RankedTensorType>(constant.getType()),
        name, roundUnsigned(data.data(), data.size(), scale, bits));
    for (OpOperand *use : uses)
      use->set(rounded);
    ++weightsQuantized;
  }

  LogicalResult quantizeWeight(arith::ConstantOp constant,
                               const SchemeAttr &scheme) {
    // One dequantize_weight per role that the constant has.
    llvm::MapVector<StringRef, SmallVector<OpOperand *>> byRole;
    for (OpOperand &use : constant->getUses()) {
      StringRef role = roleOf(use);
      if (!role.empty() && scheme.weight(role))
        byRole[role].push_back(&use);
    }
    for (auto &[role, uses] : byRole) {
      auto data = tq::getConstantData<float>(constant.getResult());
      if (!data)
        return constant.emitError("holds no f32 data to quantize");
      for (float value : data->array())
        if (!std::isfinite(value))
          return constant.emitError("expects finite weights, got ") << value;
      auto type = cast<RankedTensorType>(constant.getType());
      bool matrix = type.getRank() == 2;
      WeightQuantizer quantizer = *scheme.weight(role);
      quantizer.perRow &= matrix;
      size_t rows = matrix ? type.getDimSize(0) : 1;
      std::optional<WeightCodes> rounded;
      for (OpOperand *use : uses)
        if (auto linear = dyn_cast<tq::LinearOp>(use->getOwner()))
          if (std::optional<WeightCodes> taken = takeCodes(linear))
            rounded = std::move(taken);
      if (rounded &&
          !belongTogether(*rounded, data->data(), data->size(), quantizer.bits))
        return uses.front()->getOwner()->emitError(
            "expects rounded codes next to its weights, got others");
      OpBuilder builder(constant);
      Location loc = constant.getLoc();
      StringRef base = tq::getConstantName(constant.getResult());
      std::string name = base.empty() ? "weight" : base.str();
      if (auto learned = scheme.unsignedScalesOf(schemeName(constant));
          learned && role == "norms" && learned->scales.size() == 1 &&
          !rounded) {
        roundGain(builder, constant, *data, learned->scales[0],
                  learned->bitsOf(0, quantizer.bits), uses);
        continue;
      }
      if (!rounded) {
        FailureOr<WeightCodes> chosen = chooseCodes(
            constant.getResult(), data->array(), rows, quantizer, scheme);
        if (failed(chosen))
          return failure();
        rounded = std::move(*chosen);
      }
      WeightCodes codes = std::move(*rounded);
      remark::passed(loc,
                     remark::RemarkOpts::name("Weight").category("quantize"))
          << remark::add("weight ") << name << remark::add(" in role ") << role
          << remark::add(", scales ")
          << remark::metric("scales", codes.scales.size());
      Value scales = tq::createVector<float>(builder, loc, name + ".scales",
                                             std::move(codes.scales));
      Value stored = tq::createConstant<int8_t>(
          builder, loc, type.clone(builder.getI8Type()), name + ".codes",
          std::move(codes.codes));
      Value zeros;
      if (!codes.zeros.empty())
        zeros = tq::createVector<int32_t>(builder, loc, name + ".zeros",
                                          std::move(codes.zeros));
      Value weight = tq::DequantizeWeightOp::create(
          builder, loc, type, stored, scales, zeros,
          builder.getI64IntegerAttr(codes.bits.value_or(quantizer.bits)),
          codes.blocks.empty() ? DenseI64ArrayAttr()
                               : builder.getDenseI64ArrayAttr(codes.blocks));
      for (OpOperand *use : uses)
        use->set(weight);
      ++weightsQuantized;
    }
    if (constant->use_empty())
      constant->erase();
    return success();
  }
};

} // namespace
