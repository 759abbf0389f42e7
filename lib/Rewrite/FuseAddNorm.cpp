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
    // The fused op keeps the codes of the sum to itself.
    for (Operation *reader : quantizeSum->getUsers())
      for (Operation *user : reader->getUsers())
        if (!isa<tq::LayerNormOp>(user))
          return "the next residual sum reads its input, too";
    std::optional<ChannelCodes> a = matchSummand(add.getA(), width);
    std::optional<ChannelCodes> b = matchSummand(add.getB(), width);
    if (!a || !b)
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

    // u = (s_a r_a (a - z_a) + t_a + s_b r_b (b - z_b) + t_b) / s_u + z_u
    std::vector<float> ma(width), mb(width), mo(width);
    for (size_t j = 0; j < width; ++j) {
      double offset = 0, sumScale = sum->params[j].scale;
      auto fold = [&](const ChannelCodes &x) {
        double scale = x.codes.scale * x.channelScale[j];
        offset += x.channelShift[j] - scale * static_cast<double>(x.codes.zero);
        return static_cast<float>(scale / sumScale);
      };
      ma[j] = fold(*a);
      mb[j] = fold(*b);
      mo[j] = static_cast<float>(offset / sumScale +
                                 static_cast<double>(sum->params[j].zero));
    }

    Operation *end =
        quantize ? quantize.getOperation() : normal.getDefiningOp();
    OpBuilder builder(end);
    Location loc = norm.getLoc();
    std::string site = quantizeSum.getSite().value_or("sum").str();
    auto vector = [&](const char *name, std::vector<float> data) {
      return tq::createVector<float>(builder, loc, site + name,
                                     std::move(data));
    };
    Value valueA = vector(".ma", std::move(ma));
    Value valueB = vector(".mb", std::move(mb));
    Value valueO = vector(".mo", std::move(mo));
    Value gamma = vector(".gamma", std::move(affine->gamma));
    Value beta = vector(".beta", std::move(affine->beta));
    auto result = tq::QAddNormOp::create(
        builder, loc, end->getResult(0).getType(), a->codes.value,
        b->codes.value, valueA, valueB, valueO, gamma, beta, /*sum_lo=*/0,
        /*sum_hi=*/topCode(sum->bits),
        APFloat(groups ? 1.0f : static_cast<float>(sum->params[0].scale)),
        groups ? 0 : sum->params[0].zero, norm.getEps(),
        siteNames(builder, {readsFirst(norm) ? quantizeSum : tq::QuantizeOp(),
                            quantize}),
        groups ? TypeAttr::get(groups) : TypeAttr(),
        reorder ? reorder.getOrderAttr() : DenseI64ArrayAttr());
    remarkFolded(
        norm, "FuseAddNorm",
        "integer residual sum in " + Twine(sum->bits) + " bits" +
            (groups ? " of " + Twine(groups.getParams().size()) + " groups"
                    : Twine()) +
            " and LayerNorm");
    end->getResult(0).replaceAllUsesWith(result.getResult());
    return "";
  }
};

} // namespace
