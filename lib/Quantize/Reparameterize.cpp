//===- Reparameterize.cpp - Channel ranges into LayerNorm and weights -----===//
//
// The pass tq-reparameterize; see Reparameterize.h. New constants are made, so
// shared ones keep their other readers.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Reparameterize.h"

#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/Sites.h"

#include "dialects/TQ/Constants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Remarks.h"

namespace quern {
#define GEN_PASS_DEF_REPARAMETERIZE
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// W diag(scale) and b + W shift for one linear.
LogicalResult scaleLinear(tq::LinearOp linear, ArrayRef<float> scale,
                          ArrayRef<float> shift) {
  auto weight = tq::getConstantData<float>(linear.getW());
  auto bias = tq::getConstantData<float>(linear.getB());
  if (!weight || !bias)
    return linear.emitError("expects constant weights to take the channel "
                            "scales of its input");
  size_t cols = scale.size();
  std::vector<float> scaled(weight->array().begin(), weight->array().end());
  std::vector<float> shifted(bias->size());
  for (size_t n = 0; n < shifted.size(); ++n) {
    double sum = (*bias)[n];
    for (size_t k = 0; k < cols; ++k)
      sum += double((*weight)[n * cols + k]) * shift[k];
    shifted[n] = static_cast<float>(sum);
  }
  scaleColumns(scaled, scale);
  OpBuilder builder(linear);
  auto name = [](Value value) {
    return (tq::getConstantName(value) + ".scaled").str();
  };
  linear.getWMutable().assign(tq::createConstant<float>(
      builder, linear.getLoc(), cast<RankedTensorType>(linear.getW().getType()),
      name(linear.getW()), std::move(scaled)));
  linear.getBMutable().assign(tq::createVector<float>(
      builder, linear.getLoc(), name(linear.getB()), std::move(shifted)));
  return success();
}

struct ReparameterizePass
    : quern::impl::ReparameterizeBase<ReparameterizePass> {
  using ReparameterizeBase::ReparameterizeBase;

  void runOnOperation() override {
    auto visit = [&](tq::ObserveOp observe, const SiteQuantizer &site) {
      return moveChannels(observe, site);
    };
    if (failed(forEachQuantizedSite(getOperation(), visit)))
      signalPassFailure();
  }

  /// Moves the scales of channels, or of groups that are to be folded, into
  /// what is before the site and behind it.
  LogicalResult moveChannels(tq::ObserveOp observe, const SiteQuantizer &site) {
    if (site.isUndecided)
      return refuseUndecided(observe);
    if (site.channelScale.empty())
      return success();
    int64_t width = cast<RankedTensorType>(observe.getType()).getShape().back();
    if (site.foldedGroups && int64_t(site.channelScale.size()) != width)
      return observe.emitError("expects groups of ")
             << width << " channels, got " << site.channelScale.size();
    if (failed(reparameterize(observe, inOrder(observe, site.channelScale),
                              inOrder(observe, site.channelShift))))
      return failure();
    ++sitesReparameterized;
    if (!site.foldedGroups)
      return success();
    remark::passed(
        observe.getLoc(),
        remark::RemarkOpts::name("FoldedGroups").category("quantize"))
        << remark::add("site {0}: {1} groups folded into its LayerNorm and "
                       "the weights of its products",
                       observe.getSite(), site.foldedGroups);
    ++groupsFolded;
    return success();
  }
};

} // namespace

void quern::scaleColumns(MutableArrayRef<float> weights,
                         ArrayRef<float> scale) {
  size_t cols = scale.size();
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<float>(double(weights[i]) * scale[i % cols]);
}

LogicalResult quern::reparameterize(tq::ObserveOp observe,
                                    ArrayRef<float> scale,
                                    ArrayRef<float> shift) {
  auto [norm, reorder] = normBefore(observe);
  if (!norm || !norm->hasOneUse())
    return observe.emitError("channel scales need a LayerNorm before site '")
           << observe.getSite() << "'";
  auto gamma = tq::getConstantData<float>(norm.getGamma());
  auto beta = tq::getConstantData<float>(norm.getBeta());
  if (!gamma || !beta || gamma->size() != scale.size())
    return observe.emitError("expects a constant gain of ")
           << scale.size() << " channels before site '" << observe.getSite()
           << "'";
  SmallVector<tq::LinearOp> linears;
  bool sums = false;
  for (Operation *user : observe->getUsers()) {
    if (auto linear = dyn_cast<tq::LinearOp>(user))
      linears.push_back(linear);
    else if (isa<tq::AddOp>(user))
      sums = true;
    else
      return observe.emitError("channel scales of site '")
             << observe.getSite() << "' cannot move into its reader "
             << user->getName();
  }

  std::vector<float> newGamma(scale.size()), newBeta(scale.size());
  for (size_t i = 0; i < scale.size(); ++i) {
    size_t j = reorder ? reorder.getOrder()[i] : i;
    newGamma[j] = static_cast<float>(double((*gamma)[j]) / scale[i]);
    newBeta[j] = static_cast<float>((double((*beta)[j]) - shift[i]) / scale[i]);
  }
  OpBuilder builder(norm);
  Location loc = norm.getLoc();
  std::string site = observe.getSite().str();
  norm.getGammaMutable().assign(tq::createVector<float>(
      builder, loc, site + ".gamma", std::move(newGamma)));
  norm.getBetaMutable().assign(tq::createVector<float>(
      builder, loc, site + ".beta", std::move(newBeta)));

  for (tq::LinearOp linear : linears)
    if (failed(scaleLinear(linear, scale, shift)))
      return failure();
  observe->setAttr(channelScaleName,
                   DenseF32ArrayAttr::get(observe.getContext(), scale));
  observe->setAttr(channelShiftName,
                   DenseF32ArrayAttr::get(observe.getContext(), shift));
  if (!sums)
    return success();
  builder.setInsertionPointAfter(observe);
  Value scales =
      tq::createVector<float>(builder, loc, site + ".channel_scale", scale);
  Value shifts =
      tq::createVector<float>(builder, loc, site + ".channel_shift", shift);
  Value restored = tq::ScaleShiftOp::create(
      builder, loc, observe.getType(), observe.getResult(), scales, shifts);
  observe.getResult().replaceUsesWithIf(
      restored, [](OpOperand &use) { return isa<tq::AddOp>(use.getOwner()); });
  return success();
}
