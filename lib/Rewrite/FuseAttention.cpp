//===- FuseAttention.cpp - Attention and Q, K, V to integers --------------===//
//
// The pass tq-fuse-attention: first everything is matched, then the three
// products are joined and the block is replaced.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/JoinProducts.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "quern/log_math.h"

#include <cmath>

namespace quern {
#define GEN_PASS_DEF_FUSEATTENTION
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// A matched attention block.
struct Attention {
  tq::ScoresOp scores;
  tq::SoftmaxOp softmax;
  tq::ContextOp context;
  /// Without a quantizer of the context its values are in f32, for a quantizer
  /// with the ranges of tokens.
  tq::QuantizeOp quantizeScores, quantizeProbs, quantizeContext;
  Codes s;
  HeadCodes p, c;
  /// The zero point of the context, which is no whole number of codes with a
  /// real offset.
  double contextZero = 0;
  /// The type of logarithmic probabilities; p is void then.
  tq::LogType log;

  /// Whether the queries are those of the first rows, and a product apart.
  bool isFirstQuery() { return context.getFirstQuery(); }

  Operation *end() {
    return quantizeContext ? quantizeContext.getOperation()
                           : context.getOperation();
  }
  /// Products and codes of q, k and v.
  Product products[3];
  HeadCodes qkv[3];

  bool isByHead() const {
    return p.isByHead() || c.isByHead() ||
           llvm::any_of(qkv, [](const HeadCodes &x) { return x.isByHead(); });
  }
};

/// Matches the quantizer that made `codes`, of which `real` are the values;
/// `what` names it in the refusal.
std::string matchQuantizer(Value real, Value codes, StringRef what,
                           tq::QuantizeOp &quantize) {
  quantize = codes.getDefiningOp<tq::QuantizeOp>();
  if (!quantize || quantize.getRounding() != tq::Rounding::HalfEven ||
      !onlyUser(real) || !onlyUser(codes))
    return (what + " are read elsewhere").str();
  return "";
}

/// The same of uniform codes with up to 8 bits: `Match` describes codes.
template <typename Described, typename Match>
std::string matchSite(Value real, StringRef what, tq::QuantizeOp &quantize,
                      Described &codes, Match describe) {
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  if (!dequantize)
    return (what + " have no quantizer").str();
  std::optional<Described> found = describe(dequantize.getX());
  if (!found)
    return (what + " have no codes of one scale, or of one for each head")
        .str();
  if (found->bits > 8)
    return (what + " have codes of " + Twine(found->bits) +
            " bits, expected at most 8")
        .str();
  codes = *found;
  return matchQuantizer(real, found->value, what, quantize);
}

/// Probabilities in uniform codes with the zero point 0, or in logarithmic ones
/// with a zero of their own.
std::string matchProbs(Attention &block) {
  Value real = block.context.getP();
  StringRef what = "the probabilities";
  auto dequantize = real.getDefiningOp<tq::DequantizeOp>();
  if (dequantize)
    block.log = dyn_cast<tq::LogType>(
        cast<RankedTensorType>(dequantize.getX().getType()).getElementType());
  if (!block.log) {
    std::string why =
        matchSite(real, what, block.quantizeProbs, block.p, [&](Value codes) {
          return describeHeads(codes, block.context.getHeads(), /*axis=*/0);
        });
    if (why.empty() && block.p.zero != 0)
      return "the probabilities have zero point " +
             std::to_string(block.p.zero) + ", expected 0";
    return why;
  }
  int64_t zero = block.log.getParams().zero;
  if (block.log.getBits() < 3)
    return "the probabilities have logarithmic codes of " +
           std::to_string(block.log.getBits()) + " bits, expected 3 to 8";
  if (zero != int64_t(1) << block.log.getBits())
    return "the probabilities have the logarithmic zero " +
           std::to_string(zero) + ", expected " +
           std::to_string(int64_t(1) << block.log.getBits());
  return matchQuantizer(real, dequantize.getX(), what, block.quantizeProbs);
}

/// What a sum of the planes of logarithmic codes is a multiple of: the largest
/// weight stands for the scale.
double planeUnit(tq::LogType log) {
  int perOctave = log.getBase() == tq::LogBase::Two ? 1 : 2;
  int octaves = qm_log_octaves({int32_t(log.getBits()), perOctave});
  return std::ldexp(log.getParams().scale, 1 - octaves);
}

std::string matchAttention(tq::ContextOp context, Attention &block) {
  block.context = context;
  int64_t heads = context.getHeads();
  block.quantizeContext = matchOnlyChannelQuantizer(context.getResult());
  auto behind = dyn_cast_or_null<tq::QuantizeOp>(onlyUser(context.getResult()));
  bool perToken =
      behind && tq::getTokenType(behind.getResult().getType().getElementType());
  if (!block.quantizeContext && !perToken)
    return "the context has no quantizer";
  block.c = {Value(), 0, 0, std::vector<double>(heads, 1)};
  if (block.quantizeContext) {
    Value codes = block.quantizeContext.getResult();
    if (std::optional<Codes> one = describeOffsetCodes(codes)) {
      block.c = {codes, one->bits, one->zero,
                 std::vector<double>(heads, one->scale)};
      block.contextZero = one->realZero();
    } else if (std::optional<HeadCodes> own = describeHeads(codes, heads)) {
      block.c = *own;
      block.contextZero = double(own->zero);
    } else {
      return "the context has groups of channels that are no heads";
    }
  }

  std::string why = matchProbs(block);
  if (!why.empty())
    return why;
  block.softmax = block.quantizeProbs.getX().getDefiningOp<tq::SoftmaxOp>();
  if (!block.softmax || !block.softmax->hasOneUse())
    return "the probabilities are not those of one softmax";

  why = matchSite(block.softmax.getS(), "the scores", block.quantizeScores,
                  block.s, [](Value codes) { return describeCodes(codes); });
  if (!why.empty())
    return why;
  block.scores = block.quantizeScores.getX().getDefiningOp<tq::ScoresOp>();
  if (!block.scores || !block.scores->hasOneUse())
    return "the softmax is not over raw scores";
  if (block.scores.getHeads() != context.getHeads() ||
      block.scores.getOffsets() != context.getOffsets() ||
      block.softmax.getOffsets() != context.getOffsets() ||
      block.scores.getFirstQuery() != context.getFirstQuery() ||
      block.softmax.getFirstQuery() != context.getFirstQuery())
    return "scores and context differ in heads, offsets or queries";

  Value input;
  Value reals[3] = {block.scores.getQ(), block.scores.getK(), context.getV()};
  for (int i = 0; i < 3; ++i) {
    auto dequantize = reals[i].getDefiningOp<tq::DequantizeOp>();
    std::optional<HeadCodes> codes;
    if (dequantize)
      codes = describeHeads(dequantize.getX(), heads);
    if (!codes || codes->bits > 8)
      return "q, k or v has no codes of at most 8 bits and of one scale, or of "
             "one for each head";
    block.qkv[i] = *codes;
    Operation *made = codes->value.getDefiningOp();
    // Heads with bits of their own.
    if (auto limit = dyn_cast_or_null<tq::QLimitOp>(made))
      made = limit.getX().hasOneUse() ? limit.getX().getDefiningOp() : nullptr;
    block.products[i] = Product(made);
    if (!block.products[i])
      return "q, k or v is no integer product";
    if (block.products[i].ends() != block.products[0].ends())
      return "the weights of q, k and v have scales of other blocks";
    // Queries of first rows are products of what was pooled.
    Value x = block.products[i].x();
    if (auto pool = x.getDefiningOp<tq::QPoolOp>();
        pool && i == 0 && block.isFirstQuery())
      x = pool.getX();
    if (i == 0)
      input = x;
    if (x != input || block.products[i].hasActivation() ||
        bool(block.products[i].zeros()) != bool(block.products[0].zeros()) ||
        !onlyUser(reals[i]) || !onlyUser(codes->value))
      return "q, k and v are not plain products of one input for this block";
  }
  if (block.log && block.isByHead())
    return "heads have scales of their own beside logarithmic probabilities";
  return "";
}

struct FuseAttentionPass : quern::impl::FuseAttentionBase<FuseAttentionPass> {
  using FuseAttentionBase::FuseAttentionBase;

  void runOnOperation() override {
    SmallVector<tq::ContextOp> contexts;
    getOperation().walk([&](tq::ContextOp op) { contexts.push_back(op); });
    for (tq::ContextOp context : contexts) {
      Attention block;
      std::string why = matchAttention(context, block);
      if (why.empty())
        why = fuse(block);
      if (why.empty()) {
        ++fused;
        continue;
      }
      ++refused;
      remarkRefused(context, "FuseAttention", why);
    }
  }

  /// The constants of each head.
  DenseF32ArrayAttr headConstants(OpBuilder &builder, Attention &block) {
    SmallVector<float> all;
    for (size_t h = 0; h < block.p.scales.size(); ++h) {
      double score = block.qkv[0].scales[h] * block.qkv[1].scales[h];
      double context = block.p.scales[h] * block.qkv[2].scales[h];
      tq::CodeLimits codes =
          block.c.value ? block.c.limitsOf(h) : tq::CodeLimits{0, 0};
      for (double number :
           {score / block.s.scale, 1 / block.p.scales[h],
            double(block.p.limitsOf(h).hi), context / block.c.scales[h],
            double(codes.lo), double(codes.hi)})
        all.push_back(static_cast<float>(number));
    }
    return builder.getDenseF32ArrayAttr(all);
  }

  /// Largest value of exp_hi * exp_lo, so that a row sums in u32.
  double largestExp() {
    int64_t length = 512;
    auto module = getOperation()->getParentOfType<ModuleOp>();
    if (auto model = module->getAttrOfType<DictionaryAttr>("tq.model"))
      if (auto given = model.getAs<IntegerAttr>("max_length"))
        length = std::max<int64_t>(given.getInt(), 1);
    return static_cast<double>(
        std::min<int64_t>((int64_t(1) << 23) - 1, 0xffffffffll / length));
  }

  std::string fuse(Attention &block) {
    OpBuilder builder(block.end());
    // Queries of first rows stay apart.
    size_t apart = block.isFirstQuery();
    Value qkv = joinProducts(
        builder, ArrayRef(block.products).drop_front(apart),
        ArrayRef(block.qkv).drop_front(apart), apart ? ".kv" : ".qkv");
    if (!qkv)
      return "a constant of q, k or v has no data";
    int64_t heads = block.context.getHeads();
    int64_t width =
        cast<RankedTensorType>(block.context.getType()).getDimSize(1);

    double step = block.s.scale * block.softmax.getScale().convertToFloat();
    double largest = largestExp();
    std::vector<float> hi(16), lo(16);
    for (int i = 0; i < 16; ++i) {
      hi[i] = static_cast<float>(std::exp(-16 * i * step) * largest);
      lo[i] = static_cast<float>(std::exp(-i * step));
    }
    Location loc = block.context.getLoc();
    Value expHi = tq::createVector<float>(builder, loc, "exp_hi", hi);
    Value expLo = tq::createVector<float>(builder, loc, "exp_lo", lo);
    auto f32 = [](double value) { return APFloat(static_cast<float>(value)); };
    double probMultiplier, probUnit;
    int64_t probHi = 255;
    if (block.log) {
      probMultiplier = block.log.getParams().scale / largest;
      probUnit = planeUnit(block.log);
    } else {
      probMultiplier = 1 / block.p.scales[0];
      probUnit = block.p.scales[0];
      probHi = topCode(block.p.bits);
    }
    auto result = tq::QAttentionOp::create(
        builder, loc, block.end()->getResult(0).getType(), qkv,
        block.context.getOffsets(), expHi, expLo,
        block.isFirstQuery() ? block.qkv[0].value : Value(), heads,
        width / heads, block.qkv[0].zero, block.qkv[1].zero, block.qkv[2].zero,
        f32(block.qkv[0].scales[0] * block.qkv[1].scales[0] / block.s.scale),
        f32(static_cast<double>(block.s.zero)), f32(probMultiplier),
        f32(probUnit * block.qkv[2].scales[0] / block.c.scales[0]),
        f32(block.contextZero),
        siteNames(builder, {block.quantizeScores, block.quantizeProbs,
                            block.quantizeContext}),
        topCode(block.s.bits), probHi, /*prob_type=*/TypeAttr(),
        /*prob_step=*/FloatAttr(), /*fixed=*/false, tq::SoftmaxForm::Table,
        f32(step),
        block.isByHead() ? headConstants(builder, block) : DenseF32ArrayAttr());
    if (block.log) {
      double perOctave = block.log.getBase() == tq::LogBase::Two ? 1 : 2;
      result.setProbType(block.log);
      result.setProbStep(f32(perOctave * step / std::log(2.0)));
    }
    remarkFolded(block.context, "FuseAttention",
                 "integer attention of " + Twine(heads) + " heads of " +
                     Twine(width / heads));
    block.end()->getResult(0).replaceAllUsesWith(result.getResult());
    return "";
  }
};

} // namespace
