//===- FoldLinear.cpp - Linear, activation and quantizer to integers ------===//
//
// The pass tq-fold-linear; quantization.md 9.1.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Match.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_FOLDLINEAR
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// Above this many inputs 255 * 128 * K overflows i32; the bytes of wider
/// codes are summed apart, each with its part of the correction.
constexpr int64_t largestK = 65793, largestWideK = 65535;

/// Whether no sum of a product with asymmetric weights leaves i32, in whatever
/// order its parts come: products of codes, the zero points times the sum of
/// a row's codes, and the correction, each at most half of what i32 holds.
bool zerosFit(const Weight &weight, int64_t cols, int64_t top) {
  int64_t largest = 0;
  for (int32_t zero : weight.zeros)
    largest = std::max<int64_t>(largest, std::abs(int64_t(zero)));
  return largest < (int64_t(1) << 24) &&
         cols * top * (128 + largest) < (int64_t(1) << 30);
}

struct FoldLinearPass : quern::impl::FoldLinearBase<FoldLinearPass> {
  using FoldLinearBase::FoldLinearBase;

  void runOnOperation() override {
    SmallVector<tq::LinearOp> linears;
    getOperation().walk([&](tq::LinearOp op) { linears.push_back(op); });
    for (tq::LinearOp linear : linears) {
      std::string why = fold(linear);
      if (why.empty()) {
        ++folded;
        continue;
      }
      ++refused;
      remarkRefused(linear, "FoldLinear", why);
    }
  }

  /// Rewrites, or returns why not.
  std::string fold(tq::LinearOp linear) {
    std::optional<Codes> x = matchFactor(linear.getX());
    if (!x)
      return "its input has no codes of one scale, or one for each token";
    bool isWide = x->bits > 8;
    std::optional<Weight> weight = matchWeight(linear.getW());
    if (!weight)
      return linear.getW().getDefiningOp<tq::DequantizeWeightOp>()
                 ? "its weight has scales of blocks"
                 : "its weight is not quantized";
    auto bias = tq::getConstantData<float>(linear.getB());
    if (!bias)
      return "its bias is not a constant";
    auto shape = cast<RankedTensorType>(linear.getW().getType()).getShape();
    size_t rows = shape[0], cols = shape[1];
    if (shape[1] > (isWide ? largestWideK : largestK))
      return "its " + std::to_string(cols) +
             " inputs overflow an i32 accumulator";
    if (!weight->zeros.empty()) {
      if (isWide ||
          tq::getTokenType(
              cast<RankedTensorType>(x->value.getType()).getElementType()))
        return "its weight has zero points and its input no codes of one scale "
               "in at most 8 bits";
      if (!zerosFit(*weight, shape[1], topCode(x->bits)))
        return "the zero points of its weight overflow an i32 accumulator";
    }

    // What follows: an activation, then a quantizer, each the only reader.
    Value last = linear.getResult();
    auto activation = tq::Activation::None;
    if (auto found = activationOf(onlyUser(last))) {
      activation = *found;
      last = onlyUser(last)->getResult(0);
    }
    tq::QuantizeOp quantize = matchOnlyQuantizer(last);
    std::optional<Codes> y =
        quantize ? describeOffsetCodes(quantize.getResult()) : std::nullopt;
    bool isPlain = activation == tq::Activation::None;

    double outScale = y && isPlain ? y->scale : 1;
    double outZero = y && isPlain ? y->realZero() : 0;
    std::vector<int32_t> correction(isWide ? 2 * rows : rows);
    std::vector<float> multiplier(rows), offset(rows);
    for (size_t n = 0; n < rows; ++n) {
      int64_t sum = 0;
      for (size_t k = 0; k < cols; ++k)
        sum += weight->codeData[n * cols + k];
      sum -= weight->zeroOf(n) * int64_t(cols);
      int64_t whole = -x->zero * sum;
      // The shift rounds down, so that the low part is not negative.
      correction[n] = static_cast<int32_t>(isWide ? whole >> 8 : whole);
      if (isWide)
        correction[rows + n] = static_cast<int32_t>(whole & 255);
      multiplier[n] =
          static_cast<float>(x->scale * weight->scaleOf(n) / outScale);
      // A real offset of the inputs, times what is multiplied with them.
      double first = (*bias)[n] + x->offset * weight->scaleOf(n) * double(sum);
      offset[n] = static_cast<float>(first / outScale + outZero);
    }

    Operation *end = quantize ? quantize.getOperation() : last.getDefiningOp();
    OpBuilder builder(end);
    Location loc = linear.getLoc();
    std::string base = tq::getConstantName(weight->codes).str();
    Value corrections = tq::createVector<int32_t>(
        builder, loc, base + ".correction", std::move(correction));
    Value multipliers = tq::createVector<float>(
        builder, loc, base + ".multiplier", std::move(multiplier));
    Value offsets = tq::createVector<float>(builder, loc, base + ".offset",
                                            std::move(offset));
    Value zeros;
    if (!weight->zeros.empty())
      zeros = tq::createVector<int32_t>(builder, loc, base + ".zeros",
                                        std::vector<int32_t>(weight->zeros));
    double postScale = y && !isPlain ? y->scale : 1;
    double postZero = y && !isPlain ? y->realZero() : 0;
    auto result = tq::QLinearOp::create(
        builder, loc, end->getResult(0).getType(), x->value, weight->codes,
        corrections, multipliers, offsets, zeros, activation,
        APFloat(static_cast<float>(1 / postScale)),
        APFloat(static_cast<float>(postZero)), /*lo=*/0,
        /*hi=*/y ? topCode(y->bits) : 255, siteNames(builder, {quantize}),
        weight->bits);
    remarkFolded(linear, "FoldLinear",
                 Twine("integer linear of ") + Twine(cols) + " inputs and " +
                     Twine(rows) + " outputs, result in " +
                     (y ? Twine(y->bits) + " bits" : Twine("f32")));
    end->getResult(0).replaceAllUsesWith(result.getResult());
    return "";
  }
};

} // namespace
