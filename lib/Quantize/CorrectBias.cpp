//===- CorrectBias.cpp - Add what quantization takes from the means -------===//
//
// The pass tq-correct-bias.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

namespace quern {
#define GEN_PASS_DEF_CORRECTBIAS
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

struct CorrectBiasPass : quern::impl::CorrectBiasBase<CorrectBiasPass> {
  using CorrectBiasBase::CorrectBiasBase;

  void runOnOperation() override {
    std::optional<SchemeAttr> scheme = SchemeAttr::read(getOperation());
    if (!scheme)
      return signalPassFailure();
    WalkResult done = getOperation().walk([&](tq::LinearOp linear) {
      return failed(correct(linear, *scheme)) ? WalkResult::interrupt()
                                              : WalkResult::advance();
    });
    if (done.wasInterrupted())
      signalPassFailure();
  }

  LogicalResult correct(tq::LinearOp linear, const SchemeAttr &scheme) {
    StringRef site = siteBehind(linear.getResult());
    std::vector<float> change = scheme.bias(site);
    if (change.empty())
      return success();
    auto bias = tq::getConstantData<float>(linear.getB());
    if (!bias || bias->size() != change.size())
      return linear.emitError("expects a constant bias of ")
             << change.size() << " elements before site '" << site << "'";
    for (size_t i = 0; i < change.size(); ++i)
      change[i] += (*bias)[i];
    OpBuilder builder(linear);
    std::string name =
        (tq::getConstantName(linear.getB()) + ".corrected").str();
    linear.getBMutable().assign(tq::createVector<float>(
        builder, linear.getLoc(), name, std::move(change)));
    ++biasesCorrected;
    return success();
  }
};

} // namespace
