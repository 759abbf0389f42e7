//===- ProveReparameterization.cpp - Channel scales moved exactly ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A new constant is c~ = f32(r) of a rational number r that double computed
// with a few roundings. Multiplied by the denominator of r everything is sums
// of products of f32 numbers, so errors and their bounds are compared without
// rounding.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Proofs.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Support/ExactSum.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {

/// A few roundings in double.
constexpr int doubles = -51;

bool allFinite(ArrayRef<float> values) {
  return llvm::all_of(values, [](float value) { return std::isfinite(value); });
}

double scaled(double value, int exponent) {
  return std::ldexp(std::fabs(value), exponent);
}

/// Half a unit of the last place of an f32 number.
double halfPlace(float value) {
  return std::ldexp(1.0, std::max(std::ilogb(value), -126) - 24);
}

class Reparameterization {
public:
  Reparameterization(tq::ObserveOp before, tq::ObserveOp after,
                     ArrayRef<float> scale, ArrayRef<float> shift)
      : before(before), after(after), scale(scale), shift(shift) {}

  LogicalResult run();

private:
  LogicalResult norm();
  LogicalResult linear(tq::LinearOp old, tq::LinearOp now);
  LogicalResult weights(tq::LinearOp now, ArrayRef<float> old,
                        ArrayRef<float> changed);
  LogicalResult biases(tq::LinearOp now, ArrayRef<float> weights,
                       ArrayRef<float> old, ArrayRef<float> changed);
  LogicalResult restored(tq::ScaleShiftOp op);
  LogicalResult differs(Operation *op, const char *what, size_t i,
                        double expected, double found);

  tq::ObserveOp before, after;
  ArrayRef<float> scale, shift;
};

} // namespace

LogicalResult Reparameterization::differs(Operation *op, const char *what,
                                          size_t i, double expected,
                                          double found) {
  std::string values;
  llvm::raw_string_ostream(values)
      << llvm::format("%.17g expected, %.17g found", expected, found);
  return op->emitOpError("is not what it was before tq-reparameterize (in "
                         "exact arithmetic): site '")
         << after.getSite() << "', " << what << ", element " << i << ": "
         << values;
}

/// gamma~ s = gamma and beta~ s + t = beta.
LogicalResult Reparameterization::norm() {
  auto reorder = after.getX().getDefiningOp<tq::ReorderOp>();
  auto now = (reorder ? reorder.getX() : after.getX())
                 .getDefiningOp<tq::LayerNormOp>();
  auto oldReorder = before.getX().getDefiningOp<tq::ReorderOp>();
  auto old = (oldReorder ? oldReorder.getX() : before.getX())
                 .getDefiningOp<tq::LayerNormOp>();
  if (!now || !old || bool(reorder) != bool(oldReorder) ||
      (reorder && reorder.getOrder() != oldReorder.getOrder()) ||
      old.getEps() != now.getEps())
    return after.emitOpError("has another LayerNorm before it after "
                             "tq-reparameterize");
  auto gamma = tq::getConstantData<float>(old.getGamma());
  auto beta = tq::getConstantData<float>(old.getBeta());
  auto newGamma = tq::getConstantData<float>(now.getGamma());
  auto newBeta = tq::getConstantData<float>(now.getBeta());
  if (!gamma || !beta || !newGamma || !newBeta ||
      gamma->size() != scale.size() || newGamma->size() != scale.size() ||
      !allFinite(newGamma->array()) || !allFinite(newBeta->array()) ||
      !allFinite(gamma->array()) || !allFinite(beta->array()))
    return now.emitOpError("expects finite constants to be proved");
  for (size_t i = 0; i < scale.size(); ++i) {
    size_t j = reorder ? size_t(reorder.getOrder()[i]) : i;
    double s = scale[i], t = shift[i];
    double g = (*gamma)[j], b = (*beta)[j];
    double gNow = (*newGamma)[j], bNow = (*newBeta)[j];
    ExactSum error = ExactSum(gNow * s).subtract(g);
    ExactSum bound(s * halfPlace((*newGamma)[j]));
    bound.add(scaled(g, doubles));
    if (bound < error.magnitude())
      return differs(now, "gain times scale", j, g, gNow * s);
    error = ExactSum(bNow * s).add(t).subtract(b);
    bound = ExactSum(s * halfPlace((*newBeta)[j]));
    bound.add(scaled(b, doubles)).add(scaled(t, doubles));
    if (bound < error.magnitude())
      return differs(now, "shift times scale plus channel shift", j, b,
                     bNow * s + t);
  }
  return success();
}

LogicalResult Reparameterization::weights(tq::LinearOp now, ArrayRef<float> old,
                                          ArrayRef<float> changed) {
  for (size_t i = 0; i < old.size(); ++i) {
    // Exact in double: 24 by 24 bits, and a difference of numbers that are
    // next to each other; where they are not, it only has to be large.
    double product = double(old[i]) * double(scale[i % scale.size()]);
    double error = std::fabs(double(changed[i]) - product);
    if (!std::isfinite(changed[i]) || !(error <= halfPlace(changed[i])))
      return differs(now, "weight", i, product, changed[i]);
  }
  return success();
}

LogicalResult Reparameterization::biases(tq::LinearOp now,
                                         ArrayRef<float> weights,
                                         ArrayRef<float> old,
                                         ArrayRef<float> changed) {
  size_t columns = scale.size();
  for (size_t n = 0; n < old.size(); ++n) {
    ExactSum sum{double(old[n])}, terms(scaled(old[n], 0));
    for (size_t k = 0; k < columns; ++k) {
      double product = double(weights[n * columns + k]) * double(shift[k]);
      sum.add(product);
      terms.add(std::fabs(product));
    }
    // Each addition in double rounds by at most 2^-53 of the terms so far; the
    // sum of their magnitudes is read with a place to spare.
    double rounding =
        terms.toDouble() * std::ldexp(1.0, -52) * double(columns + 1);
    ExactSum bound(halfPlace(changed[n]));
    bound.add(double(std::nextafter(float(rounding), INFINITY)));
    ExactSum error = sum;
    error.subtract(changed[n]);
    if (bound < error.magnitude())
      return differs(now, "bias", n, sum.toDouble(), changed[n]);
  }
  return success();
}

LogicalResult Reparameterization::linear(tq::LinearOp old, tq::LinearOp now) {
  auto w = tq::getConstantData<float>(old.getW());
  auto b = tq::getConstantData<float>(old.getB());
  auto newW = tq::getConstantData<float>(now.getW());
  auto newB = tq::getConstantData<float>(now.getB());
  if (!w || !b || !newW || !newB || w->size() != newW->size() ||
      b->size() != newB->size() || w->size() != b->size() * scale.size() ||
      !allFinite(w->array()) || !allFinite(b->array()) ||
      !allFinite(newB->array()))
    return now.emitOpError("expects finite constants to be proved");
  return failure(failed(weights(now, w->array(), newW->array())) ||
                 failed(biases(now, w->array(), b->array(), newB->array())));
}

/// What the sum reads has the scales and shifts themselves.
LogicalResult Reparameterization::restored(tq::ScaleShiftOp op) {
  auto check = [&](Value constant, ArrayRef<float> expected, const char *what) {
    auto found = tq::getConstantData<float>(constant);
    if (!found || found->size() != expected.size())
      return LogicalResult(op.emitOpError("expects constants to be proved"));
    for (size_t i = 0; i < expected.size(); ++i)
      if (llvm::bit_cast<uint32_t>((*found)[i]) !=
          llvm::bit_cast<uint32_t>(expected[i]))
        return differs(op, what, i, expected[i], (*found)[i]);
    return success();
  };
  return failure(failed(check(op.getScale(), scale, "channel scale")) ||
                 failed(check(op.getShift(), shift, "channel shift")));
}

/// The linears that read a value, in the order of the function.
static SmallVector<tq::LinearOp> linearsOf(Value value) {
  SmallVector<tq::LinearOp> linears;
  for (Operation *user : value.getUsers())
    if (auto linear = dyn_cast<tq::LinearOp>(user))
      linears.push_back(linear);
  llvm::sort(linears, [](tq::LinearOp a, tq::LinearOp b) {
    return a->isBeforeInBlock(b);
  });
  return linears;
}

LogicalResult Reparameterization::run() {
  if (failed(norm()))
    return failure();
  for (Operation *user : after->getUsers()) {
    auto restore = dyn_cast<tq::ScaleShiftOp>(user);
    if (restore && failed(restored(restore)))
      return failure();
    if (!restore && !isa<tq::LinearOp>(user))
      return user->emitOpError("reads site '")
             << after.getSite()
             << "' after tq-reparameterize as if its channels had no scales";
  }
  SmallVector<tq::LinearOp> old = linearsOf(before.getResult());
  SmallVector<tq::LinearOp> now = linearsOf(after.getResult());
  if (old.size() != now.size())
    return after.emitOpError("has ")
           << now.size() << " linears behind it after tq-reparameterize, had "
           << old.size();
  for (auto [a, b] : llvm::zip(old, now))
    if (failed(linear(a, b)))
      return failure();
  return success();
}

LogicalResult proveReparameterization(func::FuncOp before, func::FuncOp after,
                                      unsigned &proved) {
  llvm::StringMap<tq::ObserveOp> sites;
  before.walk([&](tq::ObserveOp op) { sites[op.getSite()] = op; });
  WalkResult result = after.walk([&](tq::ObserveOp op) {
    auto scale = op->getAttrOfType<DenseF32ArrayAttr>(channelScaleName);
    auto shift = op->getAttrOfType<DenseF32ArrayAttr>(channelShiftName);
    auto old = sites.find(op.getSite());
    if (!scale || !shift || old == sites.end() ||
        old->second->hasAttr(channelScaleName))
      return WalkResult::advance();
    ++proved;
    Reparameterization proof(old->second, op, scale.asArrayRef(),
                             shift.asArrayRef());
    return succeeded(proof.run()) ? WalkResult::advance()
                                  : WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

} // namespace quern
