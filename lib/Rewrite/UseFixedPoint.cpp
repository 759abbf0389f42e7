//===- UseFixedPoint.cpp - Integer ops without f32 steps ------------------===//
//
// The pass tq-use-fixed-point; quantization.md 3.6 and 9.7 to 9.9.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/FixedPoint.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Rewrite/Passes.h"
#include "quern/integer_gelu.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <cmath>

namespace quern {
#define GEN_PASS_DEF_USEFIXEDPOINT
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// Forms of GELU.
enum class Gelu { Polynomial, IGelu, ShiftGelu };

/// Of ShiftGELU, whose input has codes of 8 bits. Inputs below -geluReach give
/// 0, as sigmoids there are below a step of 1/128; results are at most
/// geluDrop below a positive input.
constexpr double geluReach = 3, geluDrop = 0.17;

/// What the scheme asks for.
struct Forms {
  Gelu gelu = Gelu::Polynomial;
  tq::SoftmaxForm softmax = tq::SoftmaxForm::Table;
};

bool isReal(Value value) {
  return cast<ShapedType>(value.getType()).getElementType().isF32();
}

/// Name and value of the first site of an op, for messages.
std::string siteOf(Operation *op) {
  if (auto site = op->getAttrOfType<StringAttr>("site"))
    return site.str();
  auto sites = op->getAttrOfType<ArrayAttr>("sites");
  return sites && !sites.empty() ? cast<StringAttr>(sites[0]).str()
                                 : std::string("a site");
}

/// Whether a value is one of an image's pixels, their codes, the product of
/// those with the patch weights, or a row of the position table.
bool isFirst(Value value) {
  if (!value)
    return false;
  // The arguments of a vision model: patches, positions, offsets.
  if (auto argument = dyn_cast<BlockArgument>(value))
    return isReal(value) && argument.getArgNumber() == 0 &&
           argument.getOwner()->getNumArguments() == 3;
  Operation *op = value.getDefiningOp();
  if (isa<tq::QuantizeOp, tq::DequantizeOp>(op))
    return isFirst(op->getOperand(0));
  if (auto product = dyn_cast<tq::QLinearOp>(op))
    return isReal(product.getResult()) && isFirst(product.getX());
  return isa<tq::EmbeddingOp>(op);
}

struct UseFixedPointPass : quern::impl::UseFixedPointBase<UseFixedPointPass> {
  using UseFixedPointBase::UseFixedPointBase;

  void runOnOperation() override {
    auto module = getOperation()->getParentOfType<ModuleOp>();
    auto scheme = module ? module->getAttrOfType<DictionaryAttr>("tq.scheme")
                         : DictionaryAttr();
    auto asked =
        scheme ? scheme.getAs<DictionaryAttr>("arithmetic") : DictionaryAttr();
    if (!asked)
      return;
    Forms forms;
    if (failed(read(module, asked, forms)))
      return signalPassFailure();
    WalkResult result = getOperation().walk([&](Operation *op) {
      return failed(change(op, forms)) ? WalkResult::interrupt()
                                       : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  /// Reads the forms that the dictionary names.
  static LogicalResult read(ModuleOp module, DictionaryAttr asked,
                            Forms &forms) {
    for (NamedAttribute entry : asked) {
      StringRef key = entry.getName();
      auto value = dyn_cast<StringAttr>(entry.getValue());
      std::optional<tq::SoftmaxForm> softmax;
      bool known = false;
      if (value && key == "gelu") {
        forms.gelu = value == "i_gelu"       ? Gelu::IGelu
                     : value == "shift_gelu" ? Gelu::ShiftGelu
                                             : Gelu::Polynomial;
        known = forms.gelu != Gelu::Polynomial || value == "polynomial";
      } else if (value && key == "softmax") {
        softmax = tq::symbolizeSoftmaxForm(value.getValue());
        forms.softmax = softmax.value_or(tq::SoftmaxForm::Table);
        known = softmax.has_value();
      }
      if (!known)
        return module.emitError("expects tq.scheme.arithmetic to hold gelu = "
                                "\"polynomial\", \"i_gelu\" or \"shift_gelu\" "
                                "and softmax = \"table\", \"i_exp\" or "
                                "\"shiftmax\", got ")
               << key << " = " << entry.getValue();
    }
    return success();
  }

  /// Makes an op fixed, or leaves one alone that no code comes from.
  LogicalResult change(Operation *op, const Forms &forms) {
    // Pixels are real numbers: those end at the first sum.
    auto first = dyn_cast<tq::QAddOp>(op);
    if (isFirst(op->getNumResults() == 1 ? op->getResult(0) : Value()) ||
        (first && isReal(first.getA()) && isReal(first.getB()) &&
         isFirst(first.getA()) && isFirst(first.getB())))
      return success();
    if (isa<tq::QuantizeOp, tq::RequantizeOp, tq::QGroupLinearOp>(op))
      return refuse(op, "is no op of fixed-point arithmetic; its input, or "
                        "what makes it, is in f32, in groups or has ranges of "
                        "tokens");
    if (auto linear = dyn_cast<tq::QLinearOp>(op))
      return change(linear, forms);
    if (auto sum = dyn_cast<tq::QAddOp>(op)) {
      if (isReal(sum.getA()) || isReal(sum.getB()))
        return refuse(op, "adds f32 values");
      auto type = sum.getResult().getType().getElementType();
      if (isa<tq::GroupType>(type) && !tq::powerOfTwoFactors(type))
        return refuse(op, "has a sum in groups other than those of "
                          "power_of_two");
      sum.setFixed(true);
    } else if (auto sum = dyn_cast<tq::QAddNormOp>(op)) {
      if (isReal(sum.getA()) || isReal(sum.getB()) || isReal(sum.getResult()))
        return refuse(op, "adds or gives f32 values");
      if (sum.getOrder() ||
          (sum.getSumType() && !tq::powerOfTwoFactors(*sum.getSumType())))
        return refuse(op, "has a sum in groups other than those of "
                          "power_of_two");
      sum.setFixed(true);
    } else if (auto embedding = dyn_cast<tq::QEmbedOp>(op)) {
      if (isReal(embedding.getResult()))
        return refuse(op, "gives f32 values");
      embedding.setFixed(true);
    } else if (auto attention = dyn_cast<tq::QAttentionOp>(op)) {
      if (isReal(attention.getResult()))
        return refuse(op, "gives f32 values");
      if (attention.getPerHead())
        return refuse(op, "has scales of heads");
      if (failed(checkLog(attention, forms.softmax)))
        return failure();
      attention.setFixed(true);
      attention.setSoftmax(forms.softmax);
    } else {
      return success();
    }
    ++changed;
    return success();
  }

  /// Logarithmic probabilities have a fixed form in base 2, and the published
  /// one in units of 1.
  static LogicalResult checkLog(tq::QAttentionOp op, tq::SoftmaxForm softmax) {
    auto log = cast_if_present<tq::LogType>(op.getProbType().value_or(Type()));
    if (!log)
      return success();
    if (log.getBase() != tq::LogBase::Two || log.getBits() > 4)
      return refuse(op, "has logarithmic probabilities other than those of "
                        "log2 in 3 or 4 bits");
    if (softmax == tq::SoftmaxForm::Shiftmax)
      return refuse(op, "has logarithmic probabilities beside softmax "
                        "\"shiftmax\"");
    if (softmax == tq::SoftmaxForm::IExp && log.getParams().scale != 1)
      return refuse(op, "has logarithmic probabilities of another scale than 1 "
                        "beside softmax \"i_exp\"");
    return success();
  }

  LogicalResult change(tq::QLinearOp op, const Forms &forms) {
    // The logits: what is f32 here never becomes a code again.
    if (isReal(op.getResult()))
      return success();
    Type input = op.getX().getType().getElementType();
    if (tq::getTokenType(input))
      return refuse(op, "reads ranges of tokens");
    if (tq::getCodeStorage(input)->bits > 8)
      return refuse(op, "reads codes of more than 8 bits");
    if (isa<tq::OffsetType>(input))
      return refuse(op, "reads codes with a real offset");
    if (op.getWZeros())
      return refuse(op, "has asymmetric weights");
    bool isGelu = op.getActivation() == tq::Activation::Gelu ||
                  op.getActivation() == tq::Activation::GeluTanh;
    if (isGelu && forms.gelu == Gelu::ShiftGelu && failed(splitGelu(op)))
      return failure();
    if (isGelu && forms.gelu == Gelu::IGelu)
      op.setActivation(tq::Activation::IGelu);
    op.setFixed(true);
    ++changed;
    return success();
  }

  /// Makes two ops of a product with GELU: ShiftGELU needs whole rows. The
  /// range of its results says which inputs there are.
  static LogicalResult splitGelu(tq::QLinearOp op) {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    auto storage = tq::getCodeStorage(type.getElementType());
    if (storage->bits > 8 || !tq::getPerTensorParams(type.getElementType()))
      return refuse(op, "gives codes of more than 8 bits, or with a real "
                        "offset, from ShiftGELU");
    auto multiplier = tq::getConstantData<float>(op.getMultiplier());
    auto offset = tq::getConstantData<float>(op.getOffset());
    if (!multiplier || !offset)
      return refuse(op, "has no constants that take the scale of the input of "
                        "ShiftGELU");
    double perStep = op.getPostMultiplier().convertToFloat();
    double zero = op.getPostOffset().convertToFloat();
    double top = (double(op.getHi()) - zero) / perStep + geluDrop;
    double scale = (top + geluReach) / 255;
    int64_t inputZero = std::llround(geluReach / scale);
    int32_t unit = qi_shift_gelu_unit(scale);
    if (unit == 0)
      return op->emitError("found ShiftGELU at ")
             << siteOf(op) << " of inputs up to " << top
             << ", expected at most 146: an 8-bit step is at most 1 / 1.702";

    OpBuilder builder(op);
    std::vector<float> multipliers, offsets;
    for (size_t n = 0; n < multiplier->size(); ++n) {
      multipliers.push_back(float((*multiplier)[n] / scale));
      offsets.push_back(float((*offset)[n] / scale + double(inputZero)));
    }
    op.getMultiplierMutable().assign(tq::createVector<float>(
        builder, op.getLoc(), "shift_gelu.multiplier", std::move(multipliers)));
    op.getOffsetMutable().assign(tq::createVector<float>(
        builder, op.getLoc(), "shift_gelu.offset", std::move(offsets)));
    builder.setInsertionPointAfter(op);
    auto gelu = tq::QShiftGeluOp::create(
        builder, op.getLoc(), type, op.getResult(), inputZero, unit,
        APFloat(float(scale * perStep / 128)), op.getPostOffset(), op.getLo(),
        op.getHi(), op.getSites());
    op.getResult().replaceAllUsesExcept(gelu.getResult(), gelu);
    op.getResult().setType(type.clone(tq::getUniformType(
        op.getContext(), 8, /*isSigned=*/false, float(scale), inputZero)));
    op.setActivation(tq::Activation::None);
    op.setPostMultiplier(APFloat(1.0f));
    op.setPostOffset(APFloat(0.0f));
    op.setLo(0);
    op.setHi(255);
    op.setSitesAttr(builder.getArrayAttr({}));
    return success();
  }

  static LogicalResult refuse(Operation *op, const Twine &why) {
    return op->emitError("found arithmetic \"fixed\", and ")
           << op->getName() << " at " << siteOf(op) << " that " << why
           << ", expected codes of one scale throughout";
  }
};

} // namespace
