//===- FoldGroups.cpp - Linears of grouped codes to integers --------------===//
//
// The pass tq-fold-groups; quantization.md 9.2. Blocks of a weight's columns
// with scales of their own (learned by heads) are groups too.
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

/// Scale and zero point of each output; real, for codes with a real offset.
struct Outputs {
  unsigned bits;
  std::vector<double> scale, zero;
};

std::optional<Outputs> describeOutputs(Value codes, size_t width) {
  Outputs result;
  if (std::optional<Codes> one = describeOffsetCodes(codes)) {
    result = {one->bits, std::vector<double>(width, one->scale),
              std::vector<double>(width, one->realZero())};
    return result;
  }
  std::optional<ChannelParams> channels = describeChannels(codes, width);
  if (!channels)
    return std::nullopt;
  result.bits = channels->bits;
  for (tq::UniformParams params : channels->params) {
    result.scale.push_back(params.scale);
    result.zero.push_back(double(params.zero));
  }
  return result;
}

/// A linear with groups before or behind it, or in its weight.
struct GroupLinear {
  tq::LinearOp op;
  Value x;
  /// One group where x has one scale. Of a weight in blocks each is a group,
  /// whose scale is that of x times its own.
  SmallVector<tq::UniformParams> groups;
  SmallVector<int64_t> map;
  bool grouped = false;
  std::optional<Weight> weight;
  /// What code 0 of x stands for beside its zero point, over the scale of x.
  double offset = 0;
  tq::Activation activation = tq::Activation::None;
  tq::QuantizeOp quantize;
  /// The op whose result is replaced.
  Operation *end = nullptr;
  /// What the quantizer writes: none without one.
  std::optional<Outputs> out;

  bool hasBlocks() const { return weight && !weight->blocks.empty(); }
};

/// The groups of an input whose weight is in blocks: each is in one of them.
std::string matchGroupsInBlocks(GroupLinear &found, tq::GroupType in) {
  found.groups.assign(in.getParams().begin(), in.getParams().end());
  found.map.assign(in.getMap().begin(), in.getMap().end());
  SmallVector<int64_t> blockOf(found.groups.size(), -1);
  size_t block = 0;
  for (auto [column, g] : llvm::enumerate(found.map)) {
    while (int64_t(column) >= found.weight->blocks[block])
      ++block;
    if (blockOf[g] < 0) {
      blockOf[g] = int64_t(block);
      found.groups[g].scale *= double(found.weight->scaleData[block]);
    } else if (blockOf[g] != int64_t(block)) {
      return "a group of its input lies in two blocks of its weight";
    }
  }
  return "";
}

/// The groups of a weight in blocks.
std::string matchBlocks(GroupLinear &found) {
  tq::GroupType in = groupTypeOf(found.x);
  if (in && in.getStorageBits() <= 8)
    return matchGroupsInBlocks(found, in);
  std::optional<Codes> x = describeOffsetCodes(found.x);
  if (!x || x->bits > 8)
    return "its weight has scales of blocks and its input no codes of one "
           "scale in at most 8 bits";
  int64_t last = 0;
  for (auto [g, end] : llvm::enumerate(found.weight->blocks)) {
    found.groups.push_back(
        {x->scale * double(found.weight->scaleData[g]), x->zero});
    found.map.append(end - last, int64_t(g));
    last = end;
  }
  found.offset = x->offset / x->scale;
  return "";
}

/// Matches; "" for a linear without groups or one that folds, else why not.
std::string match(tq::LinearOp op, GroupLinear &found) {
  auto dequantize = op.getX().getDefiningOp<tq::DequantizeOp>();
  if (!dequantize)
    return "";
  found.op = op;
  found.x = dequantize.getX();
  if (std::optional<Weight> weight = matchWeight(op.getW(), Blocks::Yes))
    found.weight.emplace(std::move(*weight));
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
  if (!in && !out && !found.hasBlocks())
    return "";
  found.end =
      found.quantize ? found.quantize.getOperation() : last.getDefiningOp();
  if (out && found.activation != tq::Activation::None)
    return "its activation is behind it and groups behind that";
  if (found.quantize)
    found.out = describeOutputs(found.quantize.getResult(), shape[0]);
  if (shape[1] > largestK)
    return "its " + std::to_string(shape[1]) +
           " inputs overflow an i32 accumulator";
  found.grouped = in || found.hasBlocks();
  if (found.hasBlocks())
    return matchBlocks(found);
  if (in) {
    if (in.getStorageBits() > 8)
      return "its input has no codes of at most 8 bits";
    found.groups.assign(in.getParams().begin(), in.getParams().end());
    found.map.assign(in.getMap().begin(), in.getMap().end());
    return "";
  }
  std::optional<Codes> one = describeOffsetCodes(found.x);
  if (!one || one->bits > 8)
    return "its input has no codes of at most 8 bits";
  found.groups = {{one->scale, one->zero}};
  found.map.assign(shape[1], 0);
  found.offset = one->offset / one->scale;
  return "";
}

/// The constants of the product, by group or block and output.
struct Constants {
  std::vector<int32_t> correction;
  std::vector<float> multiplier, offset;
};

Constants foldConstants(const GroupLinear &found, ArrayRef<float> bias) {
  const Weight &weight = *found.weight;
  size_t groups = found.groups.size(), rows = bias.size();
  size_t cols = found.map.size();
  std::vector<int64_t> sums(groups * rows);
  for (size_t n = 0; n < rows; ++n)
    for (size_t k = 0; k < cols; ++k)
      sums[found.map[k] * rows + n] += weight.codeData[n * cols + k];
  Constants all = {std::vector<int32_t>(groups * rows),
                   std::vector<float>(groups * rows), std::vector<float>(rows)};
  for (size_t n = 0; n < rows; ++n) {
    bool folds = found.out && found.activation == tq::Activation::None;
    double scale = folds ? found.out->scale[n] : 1;
    double zero = folds ? found.out->zero[n] : 0;
    double first = bias[n];
    for (size_t g = 0; g < groups; ++g) {
      double factor =
          found.groups[g].scale * (found.hasBlocks() ? 1 : weight.scaleOf(n));
      all.correction[g * rows + n] =
          static_cast<int32_t>(-found.groups[g].zero * sums[g * rows + n]);
      all.multiplier[g * rows + n] = static_cast<float>(factor / scale);
      // A real offset of the inputs, times what is multiplied with them.
      first += found.offset * factor * double(sums[g * rows + n]);
    }
    all.offset[n] = static_cast<float>(first / scale + zero);
  }
  return all;
}

/// What the product has beside its operands.
SmallVector<NamedAttribute> productAttrs(OpBuilder &builder, GroupLinear &found,
                                         ArrayAttr sites) {
  bool isPlain = found.activation == tq::Activation::None;
  double postScale = found.out && !isPlain ? found.out->scale[0] : 1;
  double postZero = found.out && !isPlain ? found.out->zero[0] : 0;
  unsigned outBits = found.out ? found.out->bits : 8;
  SmallVector<NamedAttribute> attrs;
  auto set = [&](StringRef name, Attribute value) {
    attrs.push_back(builder.getNamedAttr(name, value));
  };
  set("activation",
      tq::ActivationAttr::get(builder.getContext(), found.activation));
  set("post_multiplier",
      builder.getF32FloatAttr(static_cast<float>(1 / postScale)));
  set("post_offset", builder.getF32FloatAttr(static_cast<float>(postZero)));
  set("lo", builder.getI64IntegerAttr(0));
  set("hi", builder.getI64IntegerAttr((int64_t(1) << outBits) - 1));
  set("sites", sites);
  auto stored = found.op.getW().getDefiningOp<tq::DequantizeWeightOp>();
  if (stored.getBits() != 8)
    set("weight_bits", builder.getI64IntegerAttr(stored.getBits()));
  if (found.hasBlocks() && !groupTypeOf(found.x))
    set("blocks", builder.getDenseI64ArrayAttr(found.weight->blocks));
  return attrs;
}

/// A product bounds its codes alike; groups with fewer have them limited.
Value limitGroups(OpBuilder &builder, Value made, tq::GroupType limited,
                  ArrayAttr sites) {
  SmallVector<int64_t> lo, hi;
  for (int64_t g : limited.getMap()) {
    lo.push_back(limited.limitsOf(g).lo);
    hi.push_back(limited.limitsOf(g).hi);
  }
  return tq::QLimitOp::create(builder, made.getLoc(), made.getType(), made,
                              builder.getDenseI64ArrayAttr(hi),
                              builder.getDenseI64ArrayAttr(lo), sites);
}

/// Erases what is left of the linear layer: tq-fold-linear must not find it.
void eraseUnused(GroupLinear &found) {
  Operation *op = found.end;
  while (op->use_empty()) {
    Value before = op->getOperand(0);
    bool last = op == found.op.getOperation();
    op->erase();
    if (last)
      break;
    op = before.getDefiningOp();
  }
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
    const std::optional<Weight> &weight = found.weight;
    if (!weight)
      return "its weight is not quantized";
    if (!weight->zeros.empty())
      return "its weight has zero points";
    auto bias = tq::getConstantData<float>(linear.getB());
    if (!bias)
      return "its bias is not a constant";
    Constants constants = foldConstants(found, bias->array());

    OpBuilder builder(found.end);
    Location loc = linear.getLoc();
    std::string base = tq::getConstantName(weight->codes).str();
    Value operands[] = {
        found.x, weight->codes,
        tq::createVector<int32_t>(builder, loc, base + ".correction",
                                  std::move(constants.correction)),
        tq::createVector<float>(builder, loc, base + ".multiplier",
                                std::move(constants.multiplier)),
        tq::createVector<float>(builder, loc, base + ".offset",
                                std::move(constants.offset))};
    ArrayAttr sites = siteNames(builder, {found.quantize});
    tq::GroupType limited =
        found.quantize ? groupTypeOf(found.quantize.getResult()) : nullptr;
    if (limited && limited.getLimits().empty())
      limited = nullptr;
    SmallVector<NamedAttribute> attrs = productAttrs(
        builder, found, limited ? builder.getArrayAttr({}) : sites);
    Type type = found.end->getResult(0).getType();
    Value result;
    if (found.grouped)
      result = tq::QGroupLinearOp::create(builder, loc, TypeRange(type),
                                          ValueRange(operands), attrs);
    else
      result = tq::QLinearOp::create(builder, loc, TypeRange(type),
                                     ValueRange(operands), attrs);
    if (limited)
      result = limitGroups(builder, result, limited, sites);
    remarkFolded(linear, "FoldGroups",
                 "integer linear of " + Twine(found.map.size()) +
                     " inputs in " + Twine(found.groups.size()) +
                     (found.hasBlocks() ? " blocks" : " groups") + " and " +
                     Twine(bias->size()) + " outputs");
    found.end->getResult(0).replaceAllUsesWith(result);
    eraseUnused(found);
    return "";
  }
};

} // namespace
