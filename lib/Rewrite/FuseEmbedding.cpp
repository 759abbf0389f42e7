//===- FuseEmbedding.cpp - Table look-ups, sums, LayerNorm to one op ------===//
//
// The pass tq-fuse-embedding.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Rewrite/MatchGroups.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_FUSEEMBEDDING
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// A sum behind a quantizer.
struct QuantizedSum {
  tq::QuantizeOp quantize;
  tq::AddOp add;
  Codes codes;
  /// The type of a sum with power-of-two factors, whose `codes` have the
  /// greatest of the scales; null where there is one.
  tq::GroupType factors = nullptr;
};

/// A sum of one scale, or with power-of-two factors.
std::optional<QuantizedSum> matchSum(Value real) {
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  if (!dequantize)
    return std::nullopt;
  std::optional<Codes> codes = describeCodes(dequantize.getX());
  tq::GroupType factors = groupTypeOf(dequantize.getX());
  if (factors &&
      (factors.getStorageBits() > 8 || !factors.getLimits().empty() ||
       !tq::powerOfTwoFactors(factors)))
    return std::nullopt;
  if (factors) {
    codes = Codes{dequantize.getX(), 0, factors.getParams()[0].zero,
                  factors.getStorageBits()};
    for (tq::UniformParams group : factors.getParams())
      codes->scale = std::max(codes->scale, group.scale);
  }
  if (!codes)
    return std::nullopt;
  auto quantize = codes->value.getDefiningOp<tq::QuantizeOp>();
  if (!quantize || quantize.getRounding() != tq::Rounding::HalfEven)
    return std::nullopt;
  auto add = quantize.getX().getDefiningOp<tq::AddOp>();
  if (!add)
    return std::nullopt;
  return QuantizedSum{quantize, add, *codes, factors};
}

struct FuseEmbeddingPass : quern::impl::FuseEmbeddingBase<FuseEmbeddingPass> {
  using FuseEmbeddingBase::FuseEmbeddingBase;

  void runOnOperation() override {
    SmallVector<tq::LayerNormOp> norms;
    getOperation().walk([&](tq::LayerNormOp op) { norms.push_back(op); });
    for (tq::LayerNormOp norm : norms) {
      if (!readsEmbeddings(norm))
        continue;
      std::string why = fuse(norm);
      if (why.empty()) {
        ++fused;
        continue;
      }
      ++refused;
      remarkRefused(norm, "FuseEmbedding", why);
    }
  }

  /// True when the sum under the LayerNorm, quantized or not, adds a look-up.
  static bool readsEmbeddings(tq::LayerNormOp norm) {
    Value sum = norm.getX();
    if (auto dequantize = sum.getDefiningOp<tq::DequantizeOp>())
      if (auto quantize = dequantize.getX().getDefiningOp<tq::QuantizeOp>())
        sum = quantize.getX();
    auto add = sum.getDefiningOp<tq::AddOp>();
    return add && (add.getA().getDefiningOp<tq::EmbeddingOp>() ||
                   add.getB().getDefiningOp<tq::EmbeddingOp>());
  }

  std::string fuse(tq::LayerNormOp norm) {
    std::optional<QuantizedSum> outer = matchSum(norm.getX());
    if (!outer)
      return "the sum with the positions has no quantizer";
    auto position = outer->add.getB().getDefiningOp<tq::EmbeddingOp>();
    Value rest = outer->add.getA();
    if (!position) {
      position = outer->add.getA().getDefiningOp<tq::EmbeddingOp>();
      rest = outer->add.getB();
    }
    std::optional<QuantizedSum> inner = matchSum(rest);
    if (!position || !inner || inner->factors)
      return "the sum of words and types has no quantizer";
    auto word = inner->add.getA().getDefiningOp<tq::EmbeddingOp>();
    auto type = inner->add.getB().getDefiningOp<tq::EmbeddingOp>();
    if (!word || !type)
      return "the inner sum is not one of two look-ups";
    std::optional<Weight> tables[3] = {matchWeight(word.getTable()),
                                       matchWeight(type.getTable()),
                                       matchWeight(position.getTable())};
    for (const std::optional<Weight> &table : tables)
      if (!table)
        return "a table is not quantized";
    tq::QuantizeOp quantize = matchOnlyChannelQuantizer(norm.getResult());
    std::optional<Affine> affine = foldChannelAffine(norm, quantize, {});
    if (!affine)
      return "its gain or shift is not a constant";

    Operation *end = quantize ? quantize.getOperation() : norm.getOperation();
    OpBuilder builder(end);
    Location loc = norm.getLoc();
    Value gamma = tq::createVector<float>(builder, loc, "embedding.gamma",
                                          std::move(affine->gamma));
    Value beta = tq::createVector<float>(builder, loc, "embedding.beta",
                                         std::move(affine->beta));
    auto f32 = [](double value) { return APFloat(static_cast<float>(value)); };
    bool isFirst = readsFirst(norm);
    const Codes &e1 = inner->codes, &e2 = outer->codes;
    auto result = tq::QEmbedOp::create(
        builder, loc, end->getResult(0).getType(), word.getIndex(),
        type.getIndex(), position.getIndex(), tables[0]->codes,
        tables[1]->codes, tables[2]->codes, tables[0]->scales,
        tables[1]->scales, tables[2]->scales, gamma, beta, f32(1 / e1.scale),
        e1.zero, f32(e1.scale), /*e1_lo=*/0, topCode(e1.bits),
        f32(1 / e2.scale), e2.zero, f32(e2.scale), /*e2_lo=*/0,
        topCode(e2.bits), norm.getEps(),
        siteNames(builder, {isFirst ? inner->quantize : tq::QuantizeOp(),
                            isFirst ? outer->quantize : tq::QuantizeOp(),
                            hasLimits(quantize) ? tq::QuantizeOp() : quantize}),
        tables[0]->bits, tables[1]->bits, tables[2]->bits, /*fixed=*/false,
        /*e2_type=*/outer->factors ? TypeAttr::get(outer->factors)
                                   : TypeAttr());
    remarkFolded(norm, "FuseEmbedding",
                 "integer embedding, sums in " + Twine(e1.bits) + " and " +
                     Twine(e2.bits) + " bits");
    end->getResult(0).replaceAllUsesWith(
        limitGroups(builder, result.getResult(), quantize));
    return "";
  }
};

} // namespace
