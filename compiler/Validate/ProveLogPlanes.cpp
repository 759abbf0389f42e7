//===- ProveLogPlanes.cpp - Logarithmic codes as planes of shifts ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Code q of a probability stands for s 2^-q, or s sqrt(2)^-q = s 2^-(q>>1) and,
// for odd q, sqrt(1/2) of that; the last code for 0 (quantization.md 8.4). The
// integer attention sums planes of powers of two. That both are one number is
// checked for every code, in Q(sqrt(2)): the rational factor of 1 and that of
// sqrt(1/2), without rounding.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Proofs.h"

#include "dialects/TQ/TQOps.h"
#include "dialects/TQ/TQTypes.h"
#include "lib/Support/ExactSum.h"
#include "runtime/include/quern/log_math.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {
class LogPlanes {
public:
  LogPlanes(tq::QuantizeOp probs, tq::QAttentionOp after)
      : probs(probs), after(after),
        type(cast<tq::LogType>(elementOf(probs.getResult()))),
        codes{int32_t(type.getBits()),
              type.getBase() == tq::LogBase::Two ? 1 : 2} {}

  LogicalResult run();

private:
  static Type elementOf(Value value) {
    return cast<RankedTensorType>(value.getType()).getElementType();
  }
  LogicalResult weights();
  LogicalResult multiplier();
  LogicalResult differs(const std::string &what, double before, double now);

  tq::QuantizeOp probs;
  tq::QAttentionOp after;
  tq::LogType type;
  qm_log_codes codes;
};
} // namespace

LogicalResult LogPlanes::differs(const std::string &what, double before,
                                 double now) {
  std::string values;
  llvm::raw_string_ostream(values)
      << llvm::format("%.17g before, %.17g after", before, now);
  return after.emitOpError("is not what it was before tq-fuse-attention (in "
                           "exact arithmetic): site '")
         << probs.getSite().value_or("") << "', " << what << ": " << values;
}

/// The planes of a code, joined, are its power of two.
LogicalResult LogPlanes::weights() {
  int32_t octaves = qm_log_octaves(codes), planes = qm_log_planes(codes);
  int32_t zero = int32_t(type.getParams().zero);
  for (int32_t code = 0; code <= int32_t(1) << type.getBits(); ++code) {
    ExactSum joined;
    for (int32_t k = 0; k < planes; ++k)
      joined.add(std::ldexp(double(qm_log_weight(code, k, codes)),
                            1 - octaves - octaves * k));
    ExactSum expected;
    if (code != zero)
      expected.add(std::ldexp(1.0, -(code / codes.per_octave)));
    // The factor of sqrt(1/2) is that of the plane of odd codes.
    if (!(joined == expected))
      return differs("code " + std::to_string(code), expected.toDouble(),
                     joined.toDouble());
  }
  return success();
}

/// f32(s s_v 2^(1 - n) / s_c), within half a unit of its last place.
LogicalResult LogPlanes::multiplier() {
  tq::ContextOp context;
  for (Operation *reader : probs.getResult().getUsers())
    for (Operation *user : reader->getUsers())
      if (auto op = dyn_cast<tq::ContextOp>(user))
        context = op;
  auto v = context ? context.getV().getDefiningOp<tq::DequantizeOp>()
                   : tq::DequantizeOp();
  auto vParams = v ? tq::getPerTensorParams(elementOf(v.getX())) : std::nullopt;
  if (!vParams)
    return after.emitOpError("has no values of one scale to prove the planes "
                             "of its logarithms with");
  double output = 1;
  for (Operation *user : context->getUsers())
    if (auto quantize = dyn_cast<tq::QuantizeOp>(user))
      if (auto params = tq::getPerTensorParams(elementOf(quantize.getResult())))
        output = params->scale;
  double given = after.getContextMultiplier().convertToDouble();
  // Scales are numbers that f32 holds: both products are exact in double.
  double unit = std::ldexp(type.getParams().scale * vParams->scale,
                           1 - qm_log_octaves(codes));
  ExactSum error = ExactSum(given * output).subtract(unit);
  double half = std::ldexp(1.0, std::max(std::ilogb(given), -126) - 24);
  ExactSum bound(half * output);
  bound.add(std::ldexp(unit, -51));
  if (!std::isfinite(given) || bound < error.magnitude())
    return differs("context multiplier", unit / output, given);
  return success();
}

LogicalResult LogPlanes::run() {
  if (after.getProbType() != Type(type))
    return after.emitOpError("has other logarithmic codes than before "
                             "tq-fuse-attention: ")
           << *after.getProbType() << ", not " << type;
  return failure(failed(weights()) || failed(multiplier()));
}

LogicalResult proveLogPlanes(func::FuncOp before, func::FuncOp after,
                             unsigned &proved) {
  llvm::StringMap<tq::QuantizeOp> sites;
  before.walk([&](tq::QuantizeOp op) {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    if (op.getSite() && isa<tq::LogType>(type.getElementType()))
      sites[*op.getSite()] = op;
  });
  WalkResult result = after.walk([&](tq::QAttentionOp op) {
    if (!op.getProbType() || op.getSites().size() < 2)
      return WalkResult::advance();
    auto site = sites.find(cast<StringAttr>(op.getSites()[1]).getValue());
    if (site == sites.end())
      return WalkResult::advance();
    ++proved;
    return succeeded(LogPlanes(site->second, op).run())
               ? WalkResult::advance()
               : WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

} // namespace quern
