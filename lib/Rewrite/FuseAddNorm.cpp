//===- FuseAddNorm.cpp - Residual sum and LayerNorm to integers -----------===//
//
// The pass tq-fuse-add-norm.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/MatchGroups.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_FUSEADDNORM
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// Operands of a sum of codes.
struct Sum {
  Value a, b, ma, mb, mo;
};

/// u = (s_a r_a (a - z_a) + t_a + s_b r_b (b - z_b) + t_b) / s_u + z_u
Sum makeSum(OpBuilder &builder, Location loc, const std::string &site,
            const ChannelCodes &a, const ChannelCodes &b,
            const ChannelParams &sum) {
  size_t width = sum.params.size();
  std::vector<float> ma(width), mb(width), mo(width);
  for (size_t j = 0; j < width; ++j) {
    double offset = 0, sumScale = sum.params[j].scale;
    auto fold = [&](const ChannelCodes &x) {
      double scale = x.codes.scale * x.channelScale[j];
      offset += x.channelShift[j] - scale * static_cast<double>(x.codes.zero);
      return static_cast<float>(scale / sumScale);
    };
    ma[j] = fold(a);
    mb[j] = fold(b);
    mo[j] = static_cast<float>(offset / sumScale +
                               static_cast<double>(sum.params[j].zero));
  }
  auto vector = [&](const char *name, std::vector<float> data) {
    return tq::createVector<float>(builder, loc, site + name, std::move(data));
  };
  return {a.codes.value, b.codes.value, vector(".ma", std::move(ma)),
          vector(".mb", std::move(mb)), vector(".mo", std::move(mo))};
}

struct FuseAddNormPass : quern::impl::FuseAddNormBase<FuseAddNormPass> {
  using FuseAddNormBase::FuseAddNormBase;

  void runOnOperation() override {
    SmallVector<tq::LayerNormOp> norms;
    getOperation().walk([&](tq::LayerNormOp op) {
      // The LayerNorm of the embeddings is tq-fuse-embedding's.
      if (!op->use_empty())
        norms.push_back(op);
    });
    for (tq::LayerNormOp norm : norms) {
      std::string why = fuse(norm);
      if (why.empty()) {
        ++fused;
        continue;
      }
      ++refused;
      remarkRefused(norm, "FuseAddNorm", why);
    }
  }

  /// Rewrites, or returns why not.
  std::string fuse(tq::LayerNormOp norm) {
    auto dequantize = norm.getX().getDefiningOp<tq::DequantizeOp>();
    size_t width = cast<RankedTensorType>(norm.getType()).getDimSize(1);
    std::optional<ChannelParams> sum;
    if (dequantize)
      sum = describeChannels(dequantize.getX(), width);
    if (!sum)
      return "the sum before it has no quantizer";
    tq::GroupType groups = groupTypeOf(dequantize.getX());
    auto quantizeSum = dequantize.getX().getDefiningOp<tq::QuantizeOp>();
    if (!quantizeSum || quantizeSum.getRounding() != tq::Rounding::HalfEven)
      return "its input is not the quantized sum itself";
    if (groups && groups.getStorageBits() > 8)
      return "the groups of the sum have codes of " +
             std::to_string(groups.getStorageBits()) +
             " bits, expected at most 8";
    auto add = quantizeSum.getX().getDefiningOp<tq::AddOp>();
    if (!add)
      return "its input is not a sum";
    // The fused op keeps the codes of the sum to itself, and bounds them alike.
    bool isShared = hasLimits(quantizeSum);
    for (Operation *reader : quantizeSum->getUsers())
      for (Operation *user : reader->getUsers())
        isShared |= !isa<tq::LayerNormOp>(user);
    std::optional<ChannelCodes> a = matchSummand(add.getA(), width);
    std::optional<ChannelCodes> b = matchSummand(add.getB(), width);
    if ((!a || !b) && !isShared)
      return "an operand of the sum has no quantizer";
    auto reorder = dyn_cast_or_null<tq::ReorderOp>(onlyUser(norm.getResult()));
    ArrayRef<int64_t> order;
    if (reorder)
      order = reorder.getOrder();
    Value normal = reorder ? reorder.getResult() : norm.getResult();
    tq::QuantizeOp quantize = matchOnlyChannelQuantizer(normal);
    std::optional<Affine> affine = foldChannelAffine(norm, quantize, order);
    if (!affine)
      return "its gain or shift is not a constant";

    std::string site = quantizeSum.getSite().value_or("sum").str();
    Location loc = norm.getLoc();
    // A sum that the next one reads, too, or that has limits, is an op of its
    // own, and the LayerNorm's that of its codes and nothing.
    Sum terms;
    if (isShared) {
      auto real = [&](Value value) {
        return ChannelCodes{{value, 1, 0, 8},
                            std::vector<double>(width, 1),
                            std::vector<double>(width, 0)};
      };
      OpBuilder builder(quantizeSum);
      terms = makeSum(builder, loc, site, a ? *a : real(add.getA()),
                      b ? *b : real(add.getB()), *sum);
      Value codes = tq::QAddOp::create(
          builder, loc, quantizeSum.getResult().getType(), terms.a, terms.b,
          terms.ma, terms.mb, terms.mo,
          hasLimits(quantizeSum) ? StringAttr() : quantizeSum.getSiteAttr(),
          /*fixed=*/false);
      codes = limitGroups(builder, codes, quantizeSum);
      quantizeSum.replaceAllUsesWith(codes);
      auto constant = [&](const char *name, float value) {
        return tq::createVector<float>(builder, loc, site + name,
                                       std::vector<float>{value});
      };
      Value none = constant(".none", 0);
      terms = {codes, codes, constant(".one", 1), none, none};
    }
    Operation *end =
        quantize ? quantize.getOperation() : normal.getDefiningOp();
    OpBuilder builder(end);
    if (!isShared)
      terms = makeSum(builder, loc, site, *a, *b, *sum);
    auto vector = [&](const char *name, std::vector<float> data) {
      return tq::createVector<float>(builder, loc, site + name,
                                     std::move(data));
    };
    Value gamma = vector(".gamma", std::move(affine->gamma));
    Value beta = vector(".beta", std::move(affine->beta));
    auto result = tq::QAddNormOp::create(
        builder, loc, end->getResult(0).getType(), terms.a, terms.b, terms.ma,
        terms.mb, terms.mo, gamma, beta, /*sum_lo=*/0,
        /*sum_hi=*/topCode(sum->bits),
        APFloat(groups ? 1.0f : static_cast<float>(sum->params[0].scale)),
        groups ? 0 : sum->params[0].zero, norm.getEps(),
        siteNames(builder, {readsFirst(norm) && !isShared ? quantizeSum
                                                          : tq::QuantizeOp(),
                            hasLimits(quantize) ? tq::QuantizeOp() : quantize}),
        groups ? TypeAttr::get(groups) : TypeAttr(),
        reorder ? reorder.getOrderAttr() : DenseI64ArrayAttr());
    remarkFolded(
        norm, "FuseAddNorm",
        "integer residual sum in " + Twine(sum->bits) + " bits" +
            (groups ? " of " + Twine(groups.getParams().size()) + " groups"
                    : Twine()) +
            " and LayerNorm");
    end->getResult(0).replaceAllUsesWith(
        limitGroups(builder, result.getResult(), quantize));
    return "";
  }
};

} // namespace
