//===- UseFixedPoint.cpp - Integer ops without f32 steps ------------------===//
//
// The pass tq-use-fixed-point; quantization.md 3.6 and 9.7 to 9.9.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/TQOps.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace quern {
#define GEN_PASS_DEF_USEFIXEDPOINT
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// What the scheme asks for.
struct Forms {
  bool isIGelu = false;
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
        forms.isIGelu = value == "i_gelu";
        known = forms.isIGelu || value == "polynomial";
      } else if (value && key == "softmax") {
        softmax = tq::symbolizeSoftmaxForm(value.getValue());
        forms.softmax = softmax.value_or(tq::SoftmaxForm::Table);
        known = softmax.has_value();
      }
      if (!known)
        return module.emitError("expects tq.scheme.arithmetic to hold gelu = "
                                "\"polynomial\" or \"i_gelu\" and softmax = "
                                "\"table\", \"i_exp\" or \"shiftmax\", got ")
               << key << " = " << entry.getValue();
    }
    return success();
  }

  /// Makes an op fixed, or leaves one alone that no code comes from.
  LogicalResult change(Operation *op, const Forms &forms) {
    if (isa<tq::QuantizeOp, tq::RequantizeOp, tq::QGroupLinearOp>(op))
      return refuse(op, "is no op of fixed-point arithmetic; its input, or "
                        "what makes it, is in f32, in groups or has ranges of "
                        "tokens");
    if (auto linear = dyn_cast<tq::QLinearOp>(op))
      return change(linear, forms);
    if (auto sum = dyn_cast<tq::QAddNormOp>(op)) {
      if (isReal(sum.getA()) || isReal(sum.getB()) || isReal(sum.getResult()))
        return refuse(op, "adds or gives f32 values");
      if (sum.getSumType() || sum.getOrder())
        return refuse(op, "has a sum in groups");
      sum.setFixed(true);
    } else if (auto embedding = dyn_cast<tq::QEmbedOp>(op)) {
      if (isReal(embedding.getResult()))
        return refuse(op, "gives f32 values");
      embedding.setFixed(true);
    } else if (auto attention = dyn_cast<tq::QAttentionOp>(op)) {
      if (isReal(attention.getResult()))
        return refuse(op, "gives f32 values");
      if (attention.getProbType())
        return refuse(op, "has logarithmic probabilities");
      attention.setFixed(true);
      attention.setSoftmax(forms.softmax);
    } else {
      return success();
    }
    ++changed;
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
    if (isGelu && forms.isIGelu)
      op.setActivation(tq::Activation::IGelu);
    op.setFixed(true);
    ++changed;
    return success();
  }

  static LogicalResult refuse(Operation *op, const Twine &why) {
    return op->emitError("found arithmetic \"fixed\", and ")
           << op->getName() << " at " << siteOf(op) << " that " << why
           << ", expected codes of one scale throughout";
  }
};

} // namespace
