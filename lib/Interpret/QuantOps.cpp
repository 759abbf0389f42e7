//===- QuantOps.cpp - Quantize, dequantize, constants of codes ------------===//
//
// Part of Quern. In real arithmetic the formulas of Codes.h; in machine
// arithmetic the f32 sequences that TQQuantOps.td states.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Codes.h"
#include "lib/Interpret/Constants.h"
#include "lib/Interpret/Evaluation.h"
#include "quern/quant_math.h"

using namespace mlir;
using namespace quern;

static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

/// Parameters of a per-tensor type; reports on `op` if it is another one.
static FailureOr<tq::UniformParams> requirePerTensor(Operation *op, Type type) {
  if (auto params = tq::getPerTensorParams(type))
    return *params;
  op->emitOpError("is defined in f32 for per-tensor types and ranges of tokens "
                  "only, got ")
      << type;
  return failure();
}

FailureOr<Tensor> quern::evaluate(tq::ConstantOp op, Evaluation &run) {
  tq::CodeStorage storage = *tq::getCodeStorage(elementOf(op.getResult()));
  return readConstant(op, op.getValue(), storage.isSigned);
}

/// Codes of rows, each with the scale and zero point of its own range.
static Tensor quantizeTokens(const Tensor &x, tq::DynamicType type) {
  int bits = type.getStorageBits(), centred = type.getSymmetric();
  float top = float((1 << bits) - 1);
  std::vector<float> values = x.toVector<float>();
  std::vector<int32_t> codes;
  codes.reserve(values.size());
  std::vector<tq::UniformParams> ranges;
  for (int64_t t = 0; t < x.rows(); ++t) {
    const float *row = values.data() + t * x.width();
    float lo, hi;
    qm_row_range(row, x.width(), &lo, &hi);
    float scale = qm_range_scale(lo, hi, bits, centred);
    int32_t zero = qm_range_zero(lo, scale, bits, centred);
    float inverse = 1.0f / scale;
    for (int64_t j = 0; j < x.width(); ++j)
      codes.push_back(qm_round_code(row[j] * inverse, 0.0f - float(zero),
                                    top - float(zero)) +
                      zero);
    ranges.push_back({scale, zero});
  }
  Tensor result = Tensor::of(std::move(codes), x.getShape());
  result.ranges = std::move(ranges);
  return result;
}

FailureOr<Tensor> quern::evaluate(tq::QuantizeOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  Type type = elementOf(op.getResult());
  FailureOr<Tensor> codes = failure();
  if (run.isMachine() && op.getRounding() != tq::Rounding::HalfEven) {
    op.emitOpError("is defined in f32 for half_even only, got ")
        << tq::stringifyRounding(op.getRounding());
    return failure();
  }
  if (!run.isMachine()) {
    codes = quantizeTensor(op, x, type, op.getRounding());
  } else if (tq::DynamicType token = tq::getTokenType(type)) {
    codes = quantizeTokens(x, token);
  } else {
    auto params = requirePerTensor(op, type);
    if (failed(params))
      return failure();
    tq::CodeStorage storage = *tq::getCodeStorage(type);
    float inverse = float(1.0 / params->scale);
    float lo = float(storage.min - params->zero);
    float hi = float(storage.max - params->zero);
    std::vector<int32_t> q;
    q.reserve(x.size());
    for (float value : x.toVector<float>())
      q.push_back(qm_round_code(value * inverse, lo, hi) +
                  int32_t(params->zero));
    codes = Tensor::of(std::move(q), x.getShape());
  }
  if (failed(codes))
    return failure();
  return run.site(op, op.getSite().value_or(""), *codes, type,
                  run.isMachine() ? nullptr : &x);
}

FailureOr<Tensor> quern::evaluate(tq::DequantizeOp op, Evaluation &run) {
  const Tensor &codes = run.get(op.getX());
  Type type = elementOf(op.getX());
  if (!run.isMachine())
    return dequantizeTensor(op, codes, type);
  std::vector<float> values;
  values.reserve(codes.size());
  if (tq::getTokenType(type)) {
    if (int64_t(codes.ranges.size()) != codes.rows()) {
      op.emitOpError("expects a range for each of ")
          << codes.rows() << " rows, got " << codes.ranges.size();
      return failure();
    }
    std::vector<int32_t> all = codes.toVector<int32_t>();
    for (int64_t i = 0; i < codes.size(); ++i) {
      tq::UniformParams range = codes.ranges[i / codes.width()];
      values.push_back(float(all[i] - range.zero) * float(range.scale));
    }
    return Tensor::of(std::move(values), codes.getShape());
  }
  if (auto groups = dyn_cast<tq::GroupType>(type);
      groups && groups.getAxis() == 1) {
    std::vector<int32_t> all = codes.toVector<int32_t>();
    for (int64_t i = 0; i < codes.size(); ++i) {
      tq::UniformParams own =
          groups.getParams()[groups.getMap()[i % codes.width()]];
      values.push_back(float(all[i] - own.zero) * float(own.scale));
    }
    return Tensor::of(std::move(values), codes.getShape());
  }
  auto params = requirePerTensor(op, type);
  if (failed(params))
    return failure();
  for (int32_t code : codes.toVector<int32_t>())
    values.push_back(float(code - params->zero) * float(params->scale));
  return Tensor::of(std::move(values), codes.getShape());
}

FailureOr<Tensor> quern::evaluate(tq::RequantizeOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  Type type = elementOf(op.getResult());
  tq::CodeStorage storage = *tq::getCodeStorage(type);
  std::vector<int32_t> codes = x.toVector<int32_t>();
  for (int32_t &code : codes)
    code = qm_requant(code, op.getMultiplier().convertToFloat(),
                      op.getOffset().convertToFloat(), float(storage.min),
                      float(storage.max));
  return run.site(op, op.getSite().value_or(""),
                  Tensor::of(std::move(codes), x.getShape()), type);
}

FailureOr<Tensor> quern::evaluate(tq::DequantizeWeightOp op, Evaluation &run) {
  const Tensor &codes = run.get(op.getCodes());
  const Tensor &scales = run.get(op.getScales());
  if (codes.getKind() != Tensor::Kind::I8 ||
      scales.getKind() != Tensor::Kind::F32) {
    op.emitOpError("expects constants of i8 codes and f32 scales");
    return failure();
  }
  auto values = codes.get<int8_t>();
  auto steps = scales.get<float>();
  if (std::optional<ArrayRef<int64_t>> blocks = op.getBlocks()) {
    std::vector<double> weights(values.size());
    for (int64_t row = 0, width = codes.width(); row < codes.rows(); ++row)
      for (int64_t k = 0, block = 0; k < width; ++k) {
        block += k == (*blocks)[block];
        weights[row * width + k] =
            double(steps[block]) * double(values[row * width + k]);
      }
    return Tensor::of(std::move(weights), codes.getShape());
  }
  if (!op.getZeros())
    return Tensor::scaled(codes, scales);
  auto zeros = run.get(op.getZeros()).toVector<int32_t>();
  std::vector<double> weights(values.size());
  for (int64_t i = 0; i < codes.size(); ++i) {
    int64_t row = i / codes.width();
    weights[i] = double(steps[steps.size() == 1 ? 0 : row]) *
                 (double(values[i]) - double(zeros[row]));
  }
  return Tensor::of(std::move(weights), codes.getShape());
}
