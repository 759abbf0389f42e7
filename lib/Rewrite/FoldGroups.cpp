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
  /// The quantizer of groups behind an activation: a product has one factor
  /// there, so its values are written first.
  tq::QuantizeOp behind;
  /// The op whose result is replaced.
  Operation *end = nullptr;
  /// The ends of the groups where they are not those of x.
  SmallVector<int64_t> ends;
  /// What the quantizer writes: none without one.
  std::optional<Outputs> out;

  bool hasBlocks() const { return weight && !weight->blocks.empty(); }
};

/// The groups of an input whose weight is in blocks: its own where each is in
/// one of them, else the runs of columns of one group and one block.
void matchGroupsInBlocks(GroupLinear &found, tq::GroupType in) {
  const Weight &weight = *found.weight;
  ArrayRef<int64_t> map = in.getMap();
  SmallVector<int64_t> blockOf(map.size());
  for (size_t column = 0, block = 0; column < map.size(); ++column) {
    while (int64_t(column) >= weight.blocks[block])
      ++block;
    blockOf[column] = int64_t(block);
  }
  auto paramsAt = [&](size_t column) {
    tq::UniformParams params = in.getParams()[map[column]];
    params.scale *= double(weight.scaleData[blockOf[column]]);
    return params;
  };
  SmallVector<int64_t> only(in.getParams().size(), -1);
  bool isWithin = true;
  for (auto [g, block] : llvm::zip_equal(map, blockOf)) {
    isWithin &= only[g] < 0 || only[g] == block;
    only[g] = block;
  }
  if (isWithin) {
    found.groups.resize(in.getParams().size());
    found.map.assign(map.begin(), map.end());
    for (size_t column = 0; column < map.size(); ++column)
      found.groups[map[column]] = paramsAt(column);
    return;
  }
  for (size_t column = 0; column < map.size(); ++column) {
    if (column == 0 || map[column] != map[column - 1] ||
        blockOf[column] != blockOf[column - 1]) {
      found.groups.push_back(paramsAt(column));
      found.ends.push_back(int64_t(column));
    }
    found.map.push_back(int64_t(found.groups.size()) - 1);
    found.ends.back() = int64_t(column) + 1;
  }
}

/// The groups of a weight in blocks.
std::string matchBlocks(GroupLinear &found) {
  tq::GroupType in = groupTypeOf(found.x);
  if (in && in.getStorageBits() <= 8) {
    matchGroupsInBlocks(found, in);
    return "";
  }
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
  found.ends.assign(found.weight->blocks.begin(), found.weight->blocks.end());
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
    std::swap(found.behind, found.quantize);
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
  if (!found.ends.empty())
    set("blocks", builder.getDenseI64ArrayAttr(found.ends));
  return attrs;
}

/// The codes of groups that the values of a product behind its activation have:
/// those of a sum of them and nothing.
Value quantizeGroups(OpBuilder &builder, Value values,
                     tq::QuantizeOp quantize) {
  auto type = cast<RankedTensorType>(quantize.getResult().getType());
  Outputs out = *describeOutputs(quantize.getResult(), type.getDimSize(1));
  std::vector<float> factors, zeros(out.zero.begin(), out.zero.end());
  for (double scale : out.scale)
    factors.push_back(static_cast<float>(1 / scale));
  std::string site = quantize.getSite().value_or("codes").str();
  auto vector = [&](const char *name, std::vector<float> data) {
    return tq::createVector<float>(builder, values.getLoc(), site + name,
                                   std::move(data));
  };
  Value ma = vector(".ma", std::move(factors)), mb = vector(".none", {0});
  Value codes = tq::QAddOp::create(
      builder, values.getLoc(), type, values, values, ma, mb,
      vector(".mo", std::move(zeros)),
      hasLimits(quantize) ? StringAttr() : quantize.getSiteAttr(),
      /*fixed=*/false);
  return limitGroups(builder, codes, quantize);
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
    bool isLimited = hasLimits(found.quantize);
    SmallVector<NamedAttribute> attrs = productAttrs(
        builder, found,
        siteNames(builder, {isLimited ? tq::QuantizeOp() : found.quantize}));
    Type type = found.behind ? found.behind.getX().getType()
                             : found.end->getResult(0).getType();
    Value result;
    if (found.grouped)
      result = tq::QGroupLinearOp::create(builder, loc, TypeRange(type),
                                          ValueRange(operands), attrs);
    else
      result = tq::QLinearOp::create(builder, loc, TypeRange(type),
                                     ValueRange(operands), attrs);
    result = found.behind ? quantizeGroups(builder, result, found.behind)
                          : limitGroups(builder, result, found.quantize);
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
