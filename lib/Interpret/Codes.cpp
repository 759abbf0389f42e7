//===- Codes.cpp - Quantizers in real arithmetic --------------------------===//
//
// Part of Quern. See Codes.h. The uniform family (per tensor, per axis,
// groups, run-time ranges) is reduced to one pair of parameters per channel.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Codes.h"
#include "lib/Support/LogCodes.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "quern/quant_math.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::tq;

double quern::roundReal(double x, Rounding rounding) {
  switch (rounding) {
  case Rounding::HalfEven: {
    // Independent of the processor's rounding mode.
    double low = std::floor(x), rest = x - low;
    if (rest != 0.5)
      return rest < 0.5 ? low : low + 1;
    return std::fmod(low, 2) == 0 ? low : low + 1;
  }
  case Rounding::HalfUp: {
    double low = std::floor(x);
    return x - low < 0.5 ? low : low + 1;
  }
  case Rounding::HalfAway:
    return std::round(x);
  case Rounding::Floor:
    return std::floor(x);
  case Rounding::Trunc:
    return std::trunc(x);
  }
  llvm_unreachable("all modes are handled");
}

int32_t quern::quantizeUniform(double x, UniformParams params, int64_t min,
                               int64_t max, Rounding rounding) {
  double q = roundReal(x / params.scale, rounding) + double(params.zero);
  // Written so that a NaN fails the first test.
  if (!(q >= double(min)))
    return min;
  return q > double(max) ? max : int32_t(q);
}

//===----------------------------------------------------------------------===//
// Uniform types
//===----------------------------------------------------------------------===//

namespace {

/// Parameters of a uniform type, one pair per index of `axis`, or one.
struct UniformCodes {
  int64_t axis = -1;
  SmallVector<UniformParams> params;
  /// The codes that each pair may have; empty for all of the storage.
  SmallVector<CodeLimits> limits = {};
};

} // namespace

/// The parameters of a static uniform type; none for another type.
static std::optional<UniformCodes> getUniform(Type type) {
  UniformCodes codes;
  if (auto t = dyn_cast<quant::UniformQuantizedType>(type)) {
    codes.params.push_back({t.getScale(), t.getZeroPoint()});
    return codes;
  }
  if (auto t = dyn_cast<quant::UniformQuantizedPerAxisType>(type)) {
    codes.axis = t.getQuantizedDimension();
    for (auto [scale, zero] : llvm::zip(t.getScales(), t.getZeroPoints()))
      codes.params.push_back({scale, zero});
    return codes;
  }
  if (auto t = dyn_cast<GroupType>(type)) {
    codes.axis = t.getAxis();
    for (int64_t group : t.getMap()) {
      codes.params.push_back(t.getParams()[group]);
      codes.limits.push_back(t.limitsOf(group));
    }
    return codes;
  }
  return std::nullopt;
}

/// Scale and zero point of the asymmetric (or symmetric) quantizer of the
/// values' range, which is widened to hold 0. In real arithmetic what
/// qm_range_scale and qm_range_zero are in f32.
static UniformParams findRange(ArrayRef<double> values, DynamicType type,
                               const CodeStorage &storage) {
  double low = 0, high = 0, least = QM_LEAST_SCALE;
  for (double value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double most = std::max(-low, high);
  if (type.getSymmetric() && storage.isSigned)
    return {std::max(most / double(storage.max), least), 0};
  if (type.getSymmetric() && low < 0) {
    int64_t middle = (storage.max + 1) / 2;
    return {std::max(most / double(middle - 1), least), middle};
  }
  double scale =
      std::max((high - low) / double(storage.max - storage.min), least);
  double zero = roundReal(-low / scale, Rounding::HalfEven) + storage.min;
  return {scale,
          int64_t(std::clamp(zero, double(storage.min), double(storage.max)))};
}

/// Run-time parameters: one pair, or one per row.
static FailureOr<UniformCodes> findRanges(Operation *op, const Tensor &x,
                                          DynamicType type) {
  std::vector<double> values = x.toVector<double>();
  CodeStorage storage = *getCodeStorage(type);
  UniformCodes codes;
  if (type.getRangeOf() == RangeOf::Tensor) {
    codes.params.push_back(findRange(values, type, storage));
    return codes;
  }
  if (type.getRangeOf() != RangeOf::Token || x.getRank() != 2) {
    op->emitOpError("has no interpretation of the type ") << type;
    return failure();
  }
  codes.axis = 0;
  for (int64_t row = 0; row < x.rows(); ++row)
    codes.params.push_back(
        findRange(ArrayRef<double>(values).slice(row * x.width(), x.width()),
                  type, storage));
  return codes;
}

/// Calls visit(element, index of its parameters) for every element.
template <typename Visit>
static void forEach(const Tensor &x, const UniformCodes &codes, Visit visit) {
  int64_t inner = 1, channels = 1;
  if (codes.axis >= 0) {
    channels = x.getShape()[codes.axis];
    for (int64_t dim :
         ArrayRef<int64_t>(x.getShape()).drop_front(codes.axis + 1))
      inner *= dim;
  }
  for (int64_t i = 0, end = x.size(); i < end; ++i)
    visit(i, codes.axis < 0 ? 0 : i / inner % channels);
}

//===----------------------------------------------------------------------===//
// Logarithmic and binary types
//===----------------------------------------------------------------------===//

static LogCodes logCodes(LogType type) {
  UniformParams params = type.getParams();
  return {params.scale, type.getBase() == LogBase::Two ? 1 : 2, params.zero};
}

static UniformCodes getBinary(BinaryType type) {
  return {type.getAxis(), SmallVector<UniformParams>(type.getParams())};
}

//===----------------------------------------------------------------------===//
// Any type
//===----------------------------------------------------------------------===//

FailureOr<Tensor> quern::quantizeTensor(Operation *op, const Tensor &x,
                                        Type type, Rounding rounding) {
  std::vector<double> values = x.toVector<double>();
  std::vector<int32_t> codes(values.size());
  std::optional<CodeStorage> storage = getCodeStorage(type);
  std::optional<UniformCodes> uniform = getUniform(type);
  std::vector<UniformParams> ranges;
  if (auto t = dyn_cast<DynamicType>(type)) {
    FailureOr<UniformCodes> found = findRanges(op, x, t);
    if (failed(found))
      return failure();
    ranges.assign(found->params.begin(), found->params.end());
    uniform = std::move(*found);
  }
  if (uniform) {
    forEach(x, *uniform, [&](int64_t i, int64_t at) {
      CodeLimits limits = uniform->limits.empty()
                              ? CodeLimits{storage->min, storage->max}
                              : uniform->limits[at];
      codes[i] = quantizeUniform(values[i], uniform->params[at], limits.lo,
                                 limits.hi, rounding);
    });
  } else if (auto t = dyn_cast<OffsetType>(type)) {
    for (auto [code, value] : llvm::zip(codes, values))
      code = quantizeUniform(value - t.getParams().offset,
                             {t.getParams().scale, 0}, storage->min,
                             storage->max, rounding);
  } else if (auto t = dyn_cast<LogType>(type)) {
    LogCodes log = logCodes(t);
    for (auto [code, value] : llvm::zip(codes, values))
      code = log.limit(roundReal(log.position(value), rounding));
  } else if (auto t = dyn_cast<BinaryType>(type)) {
    bool isSign = t.getKind() == BinaryKind::Sign;
    UniformCodes binary = getBinary(t);
    forEach(x, binary, [&](int64_t i, int64_t at) {
      UniformParams params = binary.params[at];
      codes[i] = isSign ? values[i] >= 0
                        : quantizeUniform(values[i], params, 0, 1, rounding);
    });
  } else {
    op->emitOpError("has no interpretation of the type ") << type;
    return failure();
  }
  Tensor result = Tensor::of(std::move(codes), x.getShape());
  result.ranges = std::move(ranges);
  return result;
}

FailureOr<Tensor> quern::dequantizeTensor(Operation *op, const Tensor &codes,
                                          Type type) {
  std::vector<int32_t> q = codes.toVector<int32_t>();
  std::vector<double> values(q.size());
  std::optional<UniformCodes> uniform = getUniform(type);
  if (auto t = dyn_cast<DynamicType>(type); t && !codes.ranges.empty()) {
    uniform.emplace();
    uniform->axis = t.getRangeOf() == RangeOf::Tensor ? -1 : 0;
    uniform->params.assign(codes.ranges.begin(), codes.ranges.end());
  }
  if (uniform) {
    forEach(codes, *uniform, [&](int64_t i, int64_t at) {
      UniformParams params = uniform->params[at];
      values[i] = params.scale * double(q[i] - params.zero);
    });
  } else if (auto t = dyn_cast<OffsetType>(type)) {
    for (auto [value, code] : llvm::zip(values, q))
      value = t.getParams().scale * code + t.getParams().offset;
  } else if (auto t = dyn_cast<LogType>(type)) {
    LogCodes log = logCodes(t);
    for (auto [value, code] : llvm::zip(values, q))
      value = log.value(code);
  } else if (auto t = dyn_cast<BinaryType>(type)) {
    double zero = t.getKind() == BinaryKind::Sign ? -1 : 0;
    UniformCodes binary = getBinary(t);
    forEach(codes, binary, [&](int64_t i, int64_t at) {
      values[i] = binary.params[at].scale * (q[i] ? 1 : zero);
    });
  } else {
    op->emitOpError("has no interpretation of the type ") << type;
    return failure();
  }
  return Tensor::of(std::move(values), codes.getShape());
}
