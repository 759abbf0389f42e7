//===- LearnedCodes.cpp - Codes of weights out of a module ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The steps of a module, the products of L2 and the linear layers of L1 have
// one order. A step does one product, or side by side those of a float
// attention; a product is one layer, or side by side those of an integer
// attention.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/LearnedCodes.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Tile/ReadWeights.h"
#include "runtime/src/manifest_generated.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {
class Taking {
public:
  Taking(const quern_module *module, const std::string &name,
         ModuleOp simulation, ModuleOp integer)
      : module(module), name(name) {
    uint64_t bytes = 0;
    about = manifest::GetManifest(quern_module_manifest(module, &bytes));
    simulation.walk([&](tq::LinearOp op) { layers.push_back(op); });
    integer.walk([&](Operation *op) {
      if (isa<tq::LinearOp, tq::QLinearOp, tq::QGroupLinearOp>(op))
        products.push_back(op);
    });
  }

  Error run();

private:
  Error takeStep(const manifest::Step &step);
  Error takeProduct(const manifest::Step &step, uint32_t index,
                    Operation *product, int64_t row);
  Error takeLayer(tq::LinearOp layer, ArrayRef<int8_t> codes);
  Error unexpected(const std::string &what) const {
    return Error::make(name, ": ", what, ", expected those of its model");
  }

  const quern_module *module;
  const std::string &name;
  const manifest::Manifest *about;
  std::vector<tq::LinearOp> layers;
  std::vector<Operation *> products;
  size_t nextLayer = 0, nextProduct = 0;
};
} // namespace

static int64_t outputsOf(Operation *product) {
  return cast<RankedTensorType>(product->getOperand(1).getType()).getDimSize(0);
}

Error Taking::run() {
  for (const manifest::Step *step : *about->steps())
    if (step->gemm_n() != 0)
      if (Error error = takeStep(*step))
        return error;
  if (nextLayer != layers.size() || nextProduct != products.size())
    return unexpected("found fewer matrix products");
  return Error::success();
}

Error Taking::takeStep(const manifest::Step &step) {
  const manifest::Operand *second =
      step.operands()->size() > 1 ? step.operands()->Get(1) : nullptr;
  if (!second || second->kind() != manifest::OperandKind::Data)
    return unexpected("found a product without weights");
  int64_t row = 0;
  do {
    if (nextProduct == products.size())
      return unexpected("found more matrix products");
    Operation *product = products[nextProduct++];
    if (Error error = takeProduct(step, second->index(), product, row))
      return error;
    row += isa<tq::LinearOp>(product) ? llvm::alignTo(outputsOf(product), 16)
                                      : outputsOf(product);
  } while (row < int64_t(step.gemm_n()));
  return Error::success();
}

/// The codes of a layer whose weights are kept in f32, as `scale * (code -
/// zero)` rounded once; none if its weights never had codes.
static std::optional<std::vector<int8_t>>
codesOfValues(tq::LinearOp layer, ArrayRef<float> values) {
  auto weight = layer.getW().getDefiningOp<tq::DequantizeWeightOp>();
  if (!weight || weight.getBlocks())
    return std::nullopt;
  auto scales = tq::getConstantData<float>(weight.getScales());
  auto zeros = weight.getZeros()
                   ? tq::getConstantData<int32_t>(weight.getZeros())
                   : std::nullopt;
  if (!scales)
    return std::nullopt;
  size_t k = layer.getW().getType().getDimSize(1);
  std::vector<int8_t> codes;
  for (size_t i = 0; i < values.size(); ++i) {
    double scale = (*scales)[scales->size() == 1 ? 0 : i / k];
    double zero = zeros ? (*zeros)[i / k] : 0;
    codes.push_back(int8_t(std::nearbyint(values[i] / scale + zero)));
  }
  return codes;
}

Error Taking::takeProduct(const manifest::Step &step, uint32_t index,
                          Operation *product, int64_t row) {
  const manifest::Data &data = *about->data()->Get(index);
  auto otherSize = [&] {
    return unexpected("found weights '" + data.name()->str() +
                      "' of another size");
  };
  const void *weights = quern_module_constant(module, index);
  bool isFloat = data.element() == manifest::Element::F32;
  if (isFloat) {
    std::optional<std::vector<float>> values = readFloatWeights(
        product, row,
        {static_cast<const float *>(weights), size_t(data.bytes() / 4)});
    if (!values)
      return otherSize();
    if (nextLayer == layers.size())
      return unexpected("found more linear layers");
    tq::LinearOp layer = layers[nextLayer++];
    auto found = codesOfValues(layer, *values);
    return found ? takeLayer(layer, *found) : Error::success();
  }
  std::optional<std::vector<int8_t>> codes =
      readWeights(product, data.bits(), step.gemm_n(), row,
                  {static_cast<const int8_t *>(weights), size_t(data.bytes())});
  if (!codes)
    return otherSize();
  int64_t rows = outputsOf(product);
  size_t at = 0;
  while (rows > 0) {
    if (nextLayer == layers.size())
      return unexpected("found more linear layers");
    tq::LinearOp layer = layers[nextLayer++];
    size_t size = layer.getW().getType().getNumElements();
    rows -= outputsOf(layer);
    if (at + size > codes->size())
      return otherSize();
    if (Error error = takeLayer(layer, ArrayRef(*codes).slice(at, size)))
      return error;
    at += size;
  }
  return Error::success();
}

Error Taking::takeLayer(tq::LinearOp layer, ArrayRef<int8_t> codes) {
  auto weight = layer.getW().getDefiningOp<tq::DequantizeWeightOp>();
  auto nearest =
      weight ? tq::getConstantData<int8_t>(weight.getCodes()) : std::nullopt;
  if (!nearest)
    return unexpected("found codes of weights that have none");
  std::string tensor = tq::getConstantName(weight.getCodes()).str();
  for (size_t i = 0; i < codes.size(); ++i)
    if (std::abs(int(codes[i]) - int((*nearest)[i])) > 1)
      return Error::make(name, ": found code ", int(codes[i]), " for weight ",
                         i, " of ", tensor, ", expected ", int((*nearest)[i]),
                         " or one beside it: the module was not made from this "
                         "model");
  OpBuilder builder(weight);
  auto type = cast<RankedTensorType>(weight.getCodes().getType());
  weight.getCodesMutable().assign(tq::createConstant<int8_t>(
      builder, weight.getLoc(), type, tensor + ".learned", codes.vec()));
  return Error::success();
}

Error takeCodesOf(const quern_module *module, const std::string &name,
                  ModuleOp simulation, ModuleOp integer) {
  return Taking(module, name, simulation, integer).run();
}

} // namespace quern
