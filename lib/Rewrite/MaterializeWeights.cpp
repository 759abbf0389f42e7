//===- MaterializeWeights.cpp - f32 constants for float islands -----------===//
//
// The pass tq-materialize-weights.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/Match.h"
#include "lib/Rewrite/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {
#define GEN_PASS_DEF_MATERIALIZEWEIGHTS
#include "lib/Rewrite/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

struct MaterializeWeightsPass
    : quern::impl::MaterializeWeightsBase<MaterializeWeightsPass> {
  using MaterializeWeightsBase::MaterializeWeightsBase;

  void runOnOperation() override {
    SmallVector<tq::DequantizeWeightOp> weights;
    getOperation().walk([&](tq::DequantizeWeightOp op) {
      auto isWritten = [&](Operation *user) {
        return readsNumbers(user) || (hasParts(op) && isAlive(user));
      };
      if (llvm::any_of(op->getUsers(), isWritten))
        weights.push_back(op);
      for (Operation *user : op->getUsers())
        if (isAlive(user) && !isWritten(user))
          remarkRefused(user, "MaterializeWeights",
                        user->getName().getStringRef() +
                            " with weights made f32 as it reads them");
    });
    for (tq::DequantizeWeightOp op : weights) {
      std::optional<Weight> weight = matchWeight(op.getResult(), Blocks::Yes);
      if (!weight) {
        op.emitError("expects constant codes and scales");
        return signalPassFailure();
      }
      auto type = cast<RankedTensorType>(op.getType());
      size_t size = weight->codeData.size();
      size_t cols = weight->scaleData.size() == 1
                        ? size
                        : size / weight->scaleData.size();
      size_t rowSize = std::max<size_t>(type.getShape().back(), 1);
      std::vector<float> blockScales = scalesOfColumns(*weight);
      std::vector<float> values(size);
      for (size_t i = 0; i < size; ++i)
        values[i] = (blockScales.empty()
                         ? weight->scaleData[i / std::max<size_t>(cols, 1)]
                         : blockScales[i % rowSize]) *
                    static_cast<float>(weight->codeData[i] -
                                       weight->zeroOf(i / rowSize));
      OpBuilder builder(op);
      Value constant = tq::createConstant<float>(
          builder, op.getLoc(), type,
          (tq::getConstantName(weight->codes) + ".f32").str(),
          std::move(values));
      auto isWritten = [&](Operation *user) {
        return readsNumbers(user) || (hasParts(op) && isAlive(user));
      };
      for (Operation *user : op->getUsers())
        if (isWritten(user))
          remarkRefused(user, "MaterializeWeights",
                        user->getName().getStringRef() +
                            " with weights written out in f32");
      op.getResult().replaceUsesWithIf(
          constant, [&](OpOperand &use) { return isWritten(use.getOwner()); });
      ++materialized;
    }
  }

  /// The scale of each column of weights in blocks; empty for others.
  static std::vector<float> scalesOfColumns(const Weight &weight) {
    std::vector<float> scales;
    for (auto [block, end] : llvm::enumerate(weight.blocks))
      scales.resize(end, weight.scaleData[block]);
    return scales;
  }

  static bool hasParts(tq::DequantizeWeightOp op) {
    return op.getZeros() || op.getBlocks();
  }

  /// Products and look-ups read codes and make numbers of them themselves,
  /// unless these have zero points or scales of blocks.
  static bool readsNumbers(Operation *op) {
    return isAlive(op) && !isa<tq::LinearOp, tq::EmbeddingOp>(op);
  }

  /// Ops that a rewrite has replaced are still there until tq-clean-up.
  static bool isAlive(Operation *op) { return !op->use_empty(); }
};

} // namespace
