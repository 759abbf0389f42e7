//===- FoldGroups.cpp - Linears of grouped codes to integers --------------===//
//
// The pass tq-fold-groups; quantization.md 9.2.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/MatchGroups.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_FOLDGROUPS
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// Above this many inputs 255 * 128 * K overflows i32.
constexpr int64_t largestK = 65793;

std::optional<tq::Activation> activationOf(Operation *op) {
  if (auto gelu = dyn_cast_or_null<tq::GeluOp>(op))
    return gelu.getApproximate() == tq::Approximate::Tanh
               ? tq::Activation::GeluTanh
               : tq::Activation::Gelu;
  if (isa_and_nonnull<tq::ReluOp>(op))
    return tq::Activation::Relu;
  if (isa_and_nonnull<tq::TanhOp>(op))
    return tq::Activation::Tanh;
  return std::nullopt;
}

/// A linear with groups before or behind it.
struct GroupLinear {
  tq::LinearOp op;
  Value x;
  /// One group where x has one scale.
  SmallVector<tq::UniformParams> groups;
  SmallVector<int64_t> map;
  bool grouped = false;
  tq::Activation activation = tq::Activation::None;
  tq::QuantizeOp quantize;
  /// The op whose result is replaced.
  Operation *end = nullptr;
  /// What the quantizer writes: none without one.
  std::optional<ChannelParams> out;
};

/// Matches; "" for a linear without groups or one that folds, else why not.
std::string match(tq::LinearOp op, GroupLinear &found) {
  auto dequantize = op.getX().getDefiningOp<tq::DequantizeOp>();
  if (!dequantize)
    return "";
  found.op = op;
  found.x = dequantize.getX();
  auto shape = cast<RankedTensorType>(op.getW().getType()).getShape();
  Value last = op.getResult();
  if (auto activation = activationOf(onlyUser(last))) {
    found.activation = *activation;
    last = onlyUser(last)->getResult(0);
  }
  found.quantize = matchOnlyChannelQuantizer(last);
  tq::GroupType in = groupTypeOf(found.x);
  tq::GroupType out =
      found.quantize ? groupTypeOf(found.quantize.getResult()) : nullptr;
  if (!in && !out)
    return "";
  found.end =
      found.quantize ? found.quantize.getOperation() : last.getDefiningOp();
  if (out && found.activation != tq::Activation::None)
    return "its activation is behind it and groups behind that";
  if (found.quantize &&
      !(found.out = describeChannels(found.quantize.getResult(), shape[0])))
    return "its inputs have groups and its results a real offset";
  std::optional<ChannelParams> inputs = describeChannels(found.x, shape[1]);
  if (!inputs || inputs->bits > 8)
    return "its input has no codes of at most 8 bits";
  if (shape[1] > largestK)
    return "its " + std::to_string(shape[1]) +
           " inputs overflow an i32 accumulator";
  found.grouped = bool(in);
  if (in) {
    found.groups.assign(in.getParams().begin(), in.getParams().end());
    found.map.assign(in.getMap().begin(), in.getMap().end());
  } else {
    found.groups = {inputs->params.front()};
    found.map.assign(shape[1], 0);
  }
  return "";
}

struct FoldGroupsPass : quern::impl::FoldGroupsBase<FoldGroupsPass> {
  using FoldGroupsBase::FoldGroupsBase;

  void runOnOperation() override {
    SmallVector<tq::LinearOp> linears;
    getOperation().walk([&](tq::LinearOp op) { linears.push_back(op); });
    for (tq::LinearOp linear : linears) {
      GroupLinear found;
      std::string why = match(linear, found);
      if (why.empty() && found.map.empty())
        continue;
      if (why.empty())
        why = fold(found);
      if (why.empty()) {
        ++folded;
        continue;
      }
      ++refused;
      remarkRefused(linear, "FoldGroups", why);
    }
  }

  std::string fold(GroupLinear &found) {
    tq::LinearOp linear = found.op;
    std::optional<Weight> weight = matchWeight(linear.getW());
    if (!weight)
      return "its weight is not quantized";
    if (!weight->zeros.empty())
      return "its weight has zero points";
    auto bias = tq::getConstantData<float>(linear.getB());
    if (!bias)
      return "its bias is not a constant";
    size_t groups = found.groups.size(), rows = bias->size();
    size_t cols = found.map.size();
    bool plain = found.activation == tq::Activation::None;

    std::vector<int64_t> sums(groups * rows);
    for (size_t n = 0; n < rows; ++n)
      for (size_t k = 0; k < cols; ++k)
        sums[found.map[k] * rows + n] += weight->codeData[n * cols + k];
    std::vector<int32_t> correction(groups * rows);
    std::vector<float> multiplier(groups * rows), offset(rows);
    for (size_t n = 0; n < rows; ++n) {
      bool folds = found.out && plain;
      double scale = folds ? found.out->params[n].scale : 1;
      double zero = folds ? double(found.out->params[n].zero) : 0;
      for (size_t g = 0; g < groups; ++g) {
        correction[g * rows + n] =
            static_cast<int32_t>(-found.groups[g].zero * sums[g * rows + n]);
        multiplier[g * rows + n] = static_cast<float>(
            found.groups[g].scale * weight->scaleOf(n) / scale);
      }
      offset[n] = static_cast<float>((*bias)[n] / scale + zero);
    }

    OpBuilder builder(found.end);
    Location loc = linear.getLoc();
    std::string base = tq::getConstantName(weight->codes).str();
    Value operands[] = {
        found.x, weight->codes,
        tq::createVector<int32_t>(builder, loc, base + ".correction",
                                  std::move(correction)),
        tq::createVector<float>(builder, loc, base + ".multiplier",
                                std::move(multiplier)),
        tq::createVector<float>(builder, loc, base + ".offset",
                                std::move(offset))};
    double postScale = found.out && !plain ? found.out->params[0].scale : 1;
    double postZero =
        found.out && !plain ? double(found.out->params[0].zero) : 0;
    unsigned outBits = found.out ? found.out->bits : 8;
    SmallVector<NamedAttribute> attrs;
    auto set = [&](StringRef name, Attribute value) {
      attrs.push_back(builder.getNamedAttr(name, value));
    };
    set("activation", tq::ActivationAttr::get(&getContext(), found.activation));
    set("post_multiplier",
        builder.getF32FloatAttr(static_cast<float>(1 / postScale)));
    set("post_offset", builder.getF32FloatAttr(static_cast<float>(postZero)));
    set("lo", builder.getI64IntegerAttr(0));
    set("hi", builder.getI64IntegerAttr((int64_t(1) << outBits) - 1));
    set("sites", siteNames(builder, {found.quantize}));
    Type type = found.end->getResult(0).getType();
    Value result;
    auto stored = linear.getW().getDefiningOp<tq::DequantizeWeightOp>();
    if (stored.getBits() != 8)
      set("weight_bits", builder.getI64IntegerAttr(stored.getBits()));
    if (found.grouped)
      result = tq::QGroupLinearOp::create(builder, loc, TypeRange(type),
                                          ValueRange(operands), attrs);
    else
      result = tq::QLinearOp::create(builder, loc, TypeRange(type),
                                     ValueRange(operands), attrs);
    remarkFolded(linear, "FoldGroups",
                 "integer linear of " + Twine(cols) + " inputs in " +
                     Twine(groups) + " groups and " + Twine(rows) + " outputs");
    found.end->getResult(0).replaceAllUsesWith(result);
    // tq-fold-linear must not find what is left of it.
    Operation *op = found.end;
    while (op->use_empty()) {
      Value before = op->getOperand(0);
      bool last = op == linear.getOperation();
      op->erase();
      if (last)
        break;
      op = before.getDefiningOp();
    }
    return "";
  }
};

} // namespace
