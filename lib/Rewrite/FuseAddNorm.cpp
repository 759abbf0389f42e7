//===- FuseAddNorm.cpp - Residual sum and LayerNorm to integers -----------===//
//
// The pass tq-fuse-add-norm.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Match.h"
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
    std::optional<Codes> sum = matchCodes(norm.getX());
    if (!sum)
      return "the sum before it has no quantizer";
    auto quantizeSum = sum->value.getDefiningOp<tq::QuantizeOp>();
    if (!quantizeSum || quantizeSum.getRounding() != tq::Rounding::HalfEven)
      return "its input is not the quantized sum itself";
    auto add = quantizeSum.getX().getDefiningOp<tq::AddOp>();
    if (!add)
      return "its input is not a sum";
    size_t width = cast<RankedTensorType>(add.getType()).getDimSize(1);
    std::optional<ChannelCodes> a = matchChannelCodes(add.getA(), width);
    std::optional<ChannelCodes> b = matchChannelCodes(add.getB(), width);
    if (!a || !b)
      return "an operand of the sum has no quantizer";
    tq::QuantizeOp quantize = matchOnlyQuantizer(norm.getResult());
    std::optional<Affine> affine = foldAffine(norm, quantize);
    if (!affine)
      return "its gain or shift is not a constant";

    // u = (s_a r_a (a - z_a) + t_a + s_b r_b (b - z_b) + t_b) / s_u + z_u
    std::vector<float> ma(width), mb(width), mo(width);
    for (size_t j = 0; j < width; ++j) {
      double offset = 0;
      auto fold = [&](const ChannelCodes &x) {
        double scale = x.codes.scale * x.channelScale[j];
        offset += x.channelShift[j] - scale * static_cast<double>(x.codes.zero);
        return static_cast<float>(scale / sum->scale);
      };
      ma[j] = fold(*a);
      mb[j] = fold(*b);
      mo[j] = static_cast<float>(offset / sum->scale +
                                 static_cast<double>(sum->zero));
    }

    Operation *end = quantize ? quantize.getOperation() : norm.getOperation();
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
        /*sum_hi=*/(int64_t(1) << sum->bits) - 1,
        APFloat(static_cast<float>(sum->scale)), sum->zero, norm.getEps(),
        siteNames(builder, {quantizeSum, quantize}));
    remarkFolded(norm, "FuseAddNorm",
                 "integer residual sum in " + Twine(sum->bits) +
                     " bits and LayerNorm");
    end->getResult(0).replaceAllUsesWith(result.getResult());
    return "";
  }
};

} // namespace
