//===- IntegerOps.cpp - L2: products and pooling over codes ---------------===//
//
// Part of Quern. tq.qlinear, tq.qshift_gelu and tq.qpool by the formulas of
// TQIntegerOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/FixedPoint.h"
#include "lib/Interpret/Activation.h"
#include "lib/Interpret/Evaluation.h"
#include "quern/integer_activation.h"
#include "quern/quant_math.h"

#include <numeric>

using namespace mlir;
using namespace quern;

/// Element types of an activation whose products are defined: per-tensor
/// codes, codes of tokens, and groups only where they differ by output column.
static LogicalResult checkInput(tq::QLinearOp op) {
  Type type = op.getX().getType().getElementType();
  // A real offset is in the constants of the product.
  if (tq::getPerTensorParams(type) || tq::getTokenType(type) ||
      isa<tq::OffsetType>(type))
    return success();
  return op.emitOpError("has no lowering for inputs of type ") << type;
}

/// acc[t, n] = sum_k x[t, k] * w[n, k], exact. Eight-bit codes as i16 are what
/// compilers turn into multiply-add instructions.
static std::vector<int64_t> multiply(const Tensor &x, const Tensor &w,
                                     unsigned bits) {
  int64_t tokens = x.rows(), width = x.width(), outputs = w.rows();
  std::vector<int64_t> acc(tokens * outputs);
  // 65793 products of 255 and 128 fill an i32.
  bool isSmall = bits <= 8 && width < 65793;
  std::vector<int32_t> wide = x.toVector<int32_t>();
  std::vector<int16_t> narrow(isSmall ? wide.size() : 0);
  std::copy_n(wide.begin(), narrow.size(), narrow.begin());
  std::vector<int16_t> row(width);
  for (int64_t n = 0; n < outputs; ++n) {
    w.readRow(n, row.data());
    for (int64_t t = 0; t < tokens; ++t) {
      if (isSmall) {
        int32_t sum = 0;
        for (int64_t k = 0; k < width; ++k)
          sum += narrow[t * width + k] * row[k];
        acc[t * outputs + n] = sum;
        continue;
      }
      int64_t sum = 0;
      for (int64_t k = 0; k < width; ++k)
        sum += int64_t(wide[t * width + k]) * row[k];
      acc[t * outputs + n] = sum;
    }
  }
  return acc;
}

/// The type of some columns of a tensor of groups.
static Type typeOfColumns(tq::GroupType type, int64_t first, int64_t count) {
  ArrayRef<int64_t> columns = type.getMap().slice(first, count);
  SmallVector<int64_t> map;
  SmallVector<tq::UniformParams> params;
  SmallVector<tq::CodeLimits> limits;
  llvm::SmallDenseMap<int64_t, int64_t> groups;
  for (int64_t group : columns) {
    auto [it, isNew] = groups.try_emplace(group, int64_t(params.size()));
    map.push_back(it->second);
    if (!isNew)
      continue;
    params.push_back(type.getParams()[group]);
    if (!type.getLimits().empty())
      limits.push_back(type.limitsOf(group));
  }
  if (params.size() == 1 && limits.empty())
    return tq::getUniformType(type.getContext(), type.getStorageBits(),
                              type.getIsSigned(), params[0].scale,
                              params[0].zero);
  return tq::GroupType::get(type.getContext(), type.getStorageBits(),
                            type.getIsSigned(), type.getAxis(), map, params,
                            limits);
}

LogicalResult quern::showSites(Operation *op, ArrayAttr sites, Evaluation &run,
                               std::vector<int32_t> &codes, int64_t tokens,
                               int64_t outputs) {
  if (sites.empty())
    return success();
  if (outputs % int64_t(sites.size()))
    return op->emitOpError("expects columns for ")
           << sites.size() << " sites, got " << outputs;
  Type type =
      cast<RankedTensorType>(op->getResult(0).getType()).getElementType();
  int64_t width = outputs / sites.size();
  for (auto [n, site] : llvm::enumerate(sites.getAsRange<StringAttr>())) {
    std::vector<int32_t> part(tokens * width);
    for (int64_t t = 0; t < tokens; ++t)
      std::copy_n(codes.begin() + t * outputs + n * width, width,
                  part.begin() + t * width);
    // The parameters of the n-th columns, as a type of their own.
    Type scheme = type;
    if (auto group = dyn_cast<tq::GroupType>(type); group && sites.size() > 1)
      scheme = typeOfColumns(group, n * width, width);
    FailureOr<Tensor> shown = run.site(
        op, site, Tensor::of(std::move(part), {tokens, width}), scheme);
    if (failed(shown))
      return failure();
    ArrayRef<int32_t> forced = shown->get<int32_t>();
    for (int64_t t = 0; t < tokens; ++t)
      std::copy_n(forced.begin() + t * width, width,
                  codes.begin() + t * outputs + n * width);
  }
  return success();
}

/// Codes of a fixed product: sums and their corrections, by output.
static FailureOr<std::vector<int32_t>> fixedCodes(tq::QLinearOp op,
                                                  ArrayRef<int64_t> acc,
                                                  ArrayRef<int32_t> correction,
                                                  ArrayRef<float> multiplier,
                                                  ArrayRef<float> offset) {
  auto constants = tq::fixedProduct(op, multiplier, offset);
  if (failed(constants))
    return failure();
  int32_t lo = op.getLo(), hi = op.getHi();
  size_t outputs = correction.size();
  std::vector<int32_t> codes(acc.size());
  for (size_t i = 0; i < acc.size(); ++i) {
    int32_t sum = int32_t(acc[i] + correction[i % outputs]);
    const qi_affine &output = constants->outputs[i % outputs];
    if (op.getActivation() == tq::Activation::None) {
      codes[i] = qi_code(sum, &output, lo, hi);
      continue;
    }
    int32_t t =
        qi_code(sum, &output, -QI_ACTIVATION_LIMIT, QI_ACTIVATION_LIMIT);
    codes[i] = qi_code(tq::applyFixed(op.getActivation(), t), &constants->post,
                       lo, hi);
  }
  return codes;
}

/// acc[t, n] -= zeros[n] * sum_k x[t, k]
static void takeZeros(const Tensor &x, ArrayRef<int32_t> zeros,
                      MutableArrayRef<int64_t> acc) {
  std::vector<int32_t> codes = x.toVector<int32_t>();
  for (int64_t t = 0; t < x.rows(); ++t) {
    auto row = ArrayRef(codes).slice(t * x.width(), x.width());
    int64_t sum = std::accumulate(row.begin(), row.end(), int64_t(0));
    for (size_t n = 0; n < zeros.size(); ++n)
      acc[t * zeros.size() + n] -= zeros[n] * sum;
  }
}

FailureOr<Tensor> quern::evaluate(tq::QLinearOp op, Evaluation &run) {
  if (failed(checkInput(op)))
    return failure();
  const Tensor &x = run.get(op.getX()), &w = run.get(op.getW());
  unsigned bits =
      tq::getCodeStorage(op.getX().getType().getElementType())->bits;
  int64_t tokens = x.rows(), outputs = w.rows();
  auto correction = run.get(op.getCorrection()).toVector<int32_t>();
  auto multiplier = run.get(op.getMultiplier()).toVector<float>();
  auto offset = run.get(op.getOffset()).toVector<float>();
  float lo = float(op.getLo()), hi = float(op.getHi());
  float postMultiplier = op.getPostMultiplier().convertToFloat();
  float postOffset = op.getPostOffset().convertToFloat();
  bool isFloat = op.getResult().getType().getElementType().isF32();

  std::vector<int64_t> acc = multiply(x, w, bits);
  if (op.getWZeros())
    takeZeros(x, run.get(op.getWZeros()).toVector<int32_t>(), acc);
  if (op.getFixed()) {
    auto codes = fixedCodes(op, acc, correction, multiplier, offset);
    if (failed(codes) ||
        failed(showSites(op, op.getSites(), run, *codes, tokens, outputs)))
      return failure();
    return makeTensor(std::move(*codes), tokens, outputs);
  }
  // Codes of 16 bits have corrections in a high and a low part.
  auto correctionOf = [&](int64_t n) {
    return bits <= 8 ? int64_t(correction[n])
                     : int64_t(correction[n]) * 256 + correction[outputs + n];
  };
  bool perToken = bool(tq::getTokenType(op.getX().getType().getElementType()));
  if (perToken && int64_t(x.ranges.size()) != tokens)
    return op.emitOpError("expects a range for each of ")
           << tokens << " rows, got " << x.ranges.size();
  std::vector<float> values(isFloat ? acc.size() : 0);
  std::vector<int32_t> codes(isFloat ? 0 : acc.size());
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t n = 0; n < outputs; ++n) {
      int64_t i = t * outputs + n, first = correctionOf(n);
      float factor = multiplier[n];
      if (perToken) {
        first = x.ranges[t].zero * first;
        factor = float(x.ranges[t].scale) * factor;
      }
      float v = float(acc[i] + first) * factor;
      v = v + offset[n];
      if (op.getActivation() != tq::Activation::None) {
        v = applyActivation(op.getActivation(), v);
        if (!isFloat) {
          v = v * postMultiplier;
          v = v + postOffset;
        }
      }
      if (isFloat)
        values[i] = v;
      else
        codes[i] = qm_round_code(v, lo, hi);
    }
  if (isFloat) {
    Tensor result = makeTensor(std::move(values), tokens, outputs);
    if (op.getSites().size() != 1)
      return result;
    return run.site(op, cast<StringAttr>(op.getSites()[0]), result, {});
  }
  if (failed(showSites(op, op.getSites(), run, codes, tokens, outputs)))
    return failure();
  return makeTensor(std::move(codes), tokens, outputs);
}

FailureOr<Tensor> quern::evaluate(tq::QShiftGeluOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  auto post = tq::makeAffine(op, "post_multiplier and post_offset",
                             op.getPostMultiplier().convertToFloat(),
                             op.getPostOffset().convertToFloat());
  if (failed(post))
    return failure();
  int64_t rows = x.rows(), width = x.width();
  std::vector<int32_t> codes = x.toVector<int32_t>();
  for (int32_t &code : codes)
    code -= int32_t(op.getZero());
  for (int64_t t = 0; t < rows && width; ++t) {
    int32_t *row = codes.data() + t * width;
    std::vector<int32_t> inputs(row, row + width);
    qi_shift_gelu(inputs.data(), width, int32_t(op.getUnit()), row);
    for (int64_t j = 0; j < width; ++j)
      row[j] =
          qi_code(row[j], &*post, int32_t(op.getLo()), int32_t(op.getHi()));
  }
  StringRef site = op.getSites().empty()
                       ? StringRef()
                       : cast<StringAttr>(op.getSites()[0]).getValue();
  return run.site(op, site, makeTensor(std::move(codes), rows, width),
                  op.getResult().getType().getElementType());
}

FailureOr<Tensor> quern::evaluate(tq::QLimitOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  int64_t rows = x.rows(), width = x.width();
  std::vector<int32_t> codes = x.toVector<int32_t>();
  int64_t part = width / int64_t(op.getHi().size());
  std::optional<ArrayRef<int64_t>> lo = op.getLo();
  for (int64_t i = 0; i < rows * width; ++i) {
    int64_t at = i % width / part;
    codes[i] = std::min(codes[i], int32_t(op.getHi()[at]));
    codes[i] = std::max(codes[i], lo ? int32_t((*lo)[at]) : 0);
  }
  if (failed(showSites(op, op.getSites(), run, codes, rows, width)))
    return failure();
  return makeTensor(std::move(codes), rows, width);
}

FailureOr<Tensor> quern::evaluate(tq::QPoolOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  auto sequences = readSequences(op, run.get(op.getOffsets()), x.rows());
  if (failed(sequences))
    return failure();
  int64_t width = x.width(), count = sequences->size();
  ArrayRef<int32_t> codes = x.get<int32_t>();
  auto params = tq::getPerTensorParams(op.getX().getType().getElementType());
  int64_t zero = params ? params->zero : 0;
  auto offset = dyn_cast<tq::OffsetType>(op.getX().getType().getElementType());

  if (op.getKind() == tq::PoolKind::Cls) {
    std::vector<int32_t> y(count * width, zero);
    for (auto [i, s] : llvm::enumerate(*sequences))
      if (s.length)
        std::copy_n(codes.begin() + s.begin * width, width,
                    y.begin() + i * width);
    Tensor rows = makeTensor(std::move(y), count, width);
    // The ranges of tokens go with their rows.
    if (!x.ranges.empty())
      for (const Sequence &s : *sequences)
        rows.ranges.push_back(s.length ? x.ranges[s.begin]
                                       : tq::UniformParams{0, 0});
    return rows;
  }
  std::vector<float> y(count * width);
  for (auto [i, s] : llvm::enumerate(*sequences)) {
    if (!s.length)
      continue;
    double step = offset ? offset.getParams().scale : params->scale;
    float scale = float(step) / float(s.length);
    for (int64_t j = 0; j < width; ++j) {
      int64_t sum = 0;
      for (int64_t t = 0; t < s.length; ++t)
        sum += codes[(s.begin + t) * width + j] - zero;
      y[i * width + j] = float(sum) * scale;
      if (offset)
        y[i * width + j] += float(offset.getParams().offset);
    }
  }
  return makeTensor(std::move(y), count, width);
}
