//===- IntegerNorm.cpp - L2: quantized sums and LayerNorm over codes ------===//
//
// Part of Quern. tq.qadd_norm and tq.qembed by the formulas of
// TQIntegerOps.td. The statistics of a row are integers, so they have no
// order.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/FixedPoint.h"
#include "lib/Interpret/Evaluation.h"
#include "quern/quant_math.h"

#include <cmath>

using namespace mlir;
using namespace quern;

static StringRef siteName(ArrayAttr sites, unsigned i) {
  return sites.empty() ? StringRef() : cast<StringAttr>(sites[i]).getValue();
}

/// (u - mean) * rs of each code of a row.
using RowNorm = function_ref<void(ArrayRef<int32_t>, MutableArrayRef<float>)>;

/// Statistics over codes of one scale.
static void normalizeRow(ArrayRef<int32_t> row, float sumScale, double eps,
                         MutableArrayRef<float> out) {
  int64_t width = row.size();
  double d = double(width);
  double perSquare = (double(sumScale) * double(sumScale)) / (d * d);
  int64_t sum = 0, squares = 0;
  for (int64_t code : row) {
    sum += code;
    squares += code * code;
  }
  int64_t n = width * squares - sum * sum;
  double var = double(n) * perSquare + eps;
  float rs = float(double(sumScale) / std::sqrt(var));
  float mean = float(double(sum) / d);
  for (int64_t j = 0; j < width; ++j) {
    float centred = float(row[j]) - mean;
    out[j] = centred * rs;
  }
}

/// Statistics over codes of groups: exact within a group, f64 across.
static void normalizeGroups(ArrayRef<int32_t> row, tq::GroupType type,
                            double eps, MutableArrayRef<float> out) {
  int64_t groups = type.getParams().size();
  std::vector<int64_t> sum(groups), squares(groups), count(groups);
  for (auto [code, g] : llvm::zip(row, type.getMap())) {
    sum[g] += code;
    squares[g] += int64_t(code) * code;
    ++count[g];
  }
  double a = 0, b = 0, d = double(row.size());
  for (int64_t g = 0; g < groups; ++g) {
    double s = type.getParams()[g].scale;
    int64_t z = type.getParams()[g].zero;
    double first = s * double(sum[g] - count[g] * z);
    double perSquare = s * s;
    double second =
        perSquare * double(squares[g] - 2 * z * sum[g] + count[g] * z * z);
    a = a + first;
    b = b + second;
  }
  double mean = a / d;
  double meanSquare = mean * mean;
  double spread = b / d - meanSquare;
  double var = (spread > 0 ? spread : 0) + eps;
  float rs = float(1 / std::sqrt(var)), middle = float(mean);
  for (auto [j, code] : llvm::enumerate(row)) {
    tq::UniformParams params = type.getParams()[type.getMap()[j]];
    float centred = float(code) - float(params.zero);
    float value = centred * float(params.scale);
    out[j] = (value - middle) * rs;
  }
}

/// The rest of a LayerNorm, to `type`; column i holds channel order[i].
static FailureOr<Tensor>
normalizeCodes(Operation *op, Evaluation &run, const Tensor &u, RowNorm norm,
               ArrayRef<float> gamma, ArrayRef<float> beta, Type type,
               StringRef site, ArrayRef<int64_t> order = {}) {
  int64_t tokens = u.rows(), width = u.width();
  std::optional<tq::CodeStorage> storage = tq::getCodeStorage(type);
  std::vector<float> values(storage ? 0 : u.size());
  std::vector<int32_t> codes(storage ? u.size() : 0);
  std::vector<float> centred(width);
  for (int64_t t = 0; t < tokens; ++t) {
    norm(u.get<int32_t>().slice(t * width, width), centred);
    for (int64_t i = 0; i < width; ++i) {
      int64_t j = order.empty() ? i : order[i];
      float y = centred[j] * gamma[j];
      y = y + beta[j];
      if (storage)
        codes[t * width + i] =
            qm_round_code(y, float(storage->min), float(storage->max));
      else
        values[t * width + i] = y;
    }
  }
  if (storage)
    return run.site(op, site, makeTensor(std::move(codes), tokens, width),
                    type);
  return run.site(op, site, makeTensor(std::move(values), tokens, width), {});
}

/// The type of an inner sum, for the hooks: unsigned, as wide as its bounds.
static Type sumType(Operation *op, int64_t hi, float scale, int64_t zero) {
  return tq::getUniformType(op->getContext(), llvm::bit_width(uint64_t(hi)),
                            false, scale, zero);
}

/// The LayerNorm that ends a fixed op, in integers, to codes of `type`.
static FailureOr<Tensor> fixedNormOf(Operation *op, Evaluation &run,
                                     const Tensor &u, ArrayRef<float> gamma,
                                     ArrayRef<float> beta, int64_t sumHi,
                                     Type sumType, Type type, StringRef site) {
  auto norm = tq::fixedNorm(op, gamma, beta, sumHi, sumType);
  if (failed(norm))
    return failure();
  tq::CodeStorage storage = *tq::getCodeStorage(type);
  int64_t width = u.width();
  std::vector<int32_t> numbers = u.toVector<int32_t>(), codes(u.size());
  for (int32_t &number : numbers)
    number -= norm->zero;
  for (int64_t t = 0; t < u.rows(); ++t)
    qi_layer_norm(numbers.data() + t * width, norm->factors.data(), width,
                  norm->channels.data(), norm->shift, storage.min, storage.max,
                  codes.data() + t * width);
  return run.site(op, site, makeTensor(std::move(codes), u.rows(), width),
                  type);
}

/// Codes of the residual sum of an op, from lo to hi.
template <typename Op>
static FailureOr<std::vector<int32_t>> sumCodes(Op op, Evaluation &run,
                                                int64_t lo, int64_t hi) {
  const Tensor &a = run.get(op.getA()), &b = run.get(op.getB());
  auto ma = run.get(op.getMa()).template toVector<float>();
  auto mb = run.get(op.getMb()).template toVector<float>();
  auto mo = run.get(op.getMo()).template toVector<float>();
  int64_t width = a.width();
  std::vector<int32_t> sum(a.size());
  if (op.getFixed()) {
    auto constants = tq::fixedSum(op, ma, mb, mo, width);
    if (failed(constants))
      return failure();
    ArrayRef<int32_t> left = a.get<int32_t>(), right = b.get<int32_t>();
    for (size_t i = 0; i < sum.size(); ++i)
      sum[i] = int32_t(qi_clamp(qi_at(left[i], &constants->a[i % width]) +
                                    qi_at(right[i], &constants->b[i % width]),
                                lo, hi));
    return sum;
  }
  std::vector<float> left = a.toVector<float>(), right = b.toVector<float>();
  auto pick = [&](const std::vector<float> &v, int64_t i) {
    return v[v.size() == 1 ? 0 : i % width];
  };
  for (int64_t i = 0, end = a.size(); i < end; ++i) {
    float first = left[i] * pick(ma, i);
    float second = right[i] * pick(mb, i);
    float both = first + second;
    sum[i] = qm_round_code(both + pick(mo, i), float(lo), float(hi));
  }
  return sum;
}

FailureOr<Tensor> quern::evaluate(tq::QAddOp op, Evaluation &run) {
  const Tensor &a = run.get(op.getA());
  Type type = op.getResult().getType().getElementType();
  auto sum = sumCodes(op, run, 0, tq::getCodeStorage(type)->max);
  if (failed(sum))
    return failure();
  return run.site(op, op.getSite().value_or(StringRef()),
                  makeTensor(std::move(*sum), a.rows(), a.width()), type);
}

FailureOr<Tensor> quern::evaluate(tq::QAddNormOp op, Evaluation &run) {
  const Tensor &a = run.get(op.getA());
  float scale = op.getSumScale().convertToFloat();
  int64_t width = a.width();
  auto sum = sumCodes(op, run, op.getSumLo(), op.getSumHi());
  if (failed(sum))
    return failure();
  FailureOr<Tensor> u = run.sumSite(
      op, 0, siteName(op.getSites(), 0),
      makeTensor(std::move(*sum), a.rows(), width),
      op.getSumType() ? *op.getSumType()
                      : sumType(op, op.getSumHi(), scale, op.getSumZero()));
  if (failed(u))
    return failure();
  auto gamma = run.get(op.getGamma()).toVector<float>();
  auto beta = run.get(op.getBeta()).toVector<float>();
  if (op.getFixed())
    return fixedNormOf(op, run, *u, gamma, beta, op.getSumHi(),
                       op.getSumType().value_or(Type()),
                       op.getResult().getType().getElementType(),
                       siteName(op.getSites(), 1));
  double eps = op.getEps().convertToDouble();
  auto norm = [&](ArrayRef<int32_t> row, MutableArrayRef<float> out) {
    if (op.getSumType())
      return normalizeGroups(row, cast<tq::GroupType>(*op.getSumType()), eps,
                             out);
    normalizeRow(row, scale, eps, out);
  };
  return normalizeCodes(
      op, run, *u, norm, gamma, beta, op.getResult().getType().getElementType(),
      siteName(op.getSites(), 1), op.getOrder().value_or(ArrayRef<int64_t>()));
}

/// Rows of a table of codes, gathered, and their scales.
struct GatheredRows {
  std::vector<int32_t> codes;
  std::vector<float> scales;
};

static GatheredRows gatherRows(const Tensor &table, const Tensor &scales,
                               const Tensor &index) {
  GatheredRows rows;
  auto all = scales.toVector<float>();
  rows.codes.resize(index.size() * table.width());
  for (auto [t, row] : llvm::enumerate(index.get<int32_t>())) {
    table.readRow(row, rows.codes.data() + t * table.width());
    rows.scales.push_back(all[all.size() == 1 ? 0 : row]);
  }
  return rows;
}

/// An error where ids, types and positions are not rows of their tables, or not
/// as many as each other.
static LogicalResult checkTokens(tq::QEmbedOp op, Evaluation &run) {
  const Tensor &ids = run.get(op.getIds()), &types = run.get(op.getTypes());
  const Tensor &positions = run.get(op.getPositions());
  if (failed(checkIndices(op, "ids", ids, run.get(op.getWord()).rows())) ||
      failed(checkIndices(op, "types", types, run.get(op.getType()).rows())) ||
      failed(checkIndices(op, "positions", positions,
                          run.get(op.getPosition()).rows())))
    return failure();
  if (types.size() == ids.size() && positions.size() == ids.size())
    return success();
  return op.emitOpError("expects as many types and positions as ids ")
         << ids.size() << ", got " << types.size() << " and "
         << positions.size();
}

FailureOr<Tensor> quern::evaluate(tq::QEmbedOp op, Evaluation &run) {
  if (failed(checkTokens(op, run)))
    return failure();
  const Tensor &ids = run.get(op.getIds()), &types = run.get(op.getTypes());
  const Tensor &positions = run.get(op.getPositions());
  const Tensor &wordTable = run.get(op.getWord());
  const Tensor &typeTable = run.get(op.getType());
  const Tensor &positionTable = run.get(op.getPosition());
  GatheredRows w = gatherRows(wordTable, run.get(op.getWordScales()), ids);
  GatheredRows ty = gatherRows(typeTable, run.get(op.getTypeScales()), types);
  GatheredRows p =
      gatherRows(positionTable, run.get(op.getPositionScales()), positions);

  // One number for each token, as the scales are.
  std::optional<tq::FixedEmbedding> fixed;
  if (op.getFixed()) {
    auto constants = tq::fixedEmbedding(op, w.scales, ty.scales, p.scales);
    if (failed(constants))
      return failure();
    fixed = std::move(*constants);
  }
  int64_t width = wordTable.width(), count = ids.size() * width;
  std::vector<int32_t> powers = tq::embeddingPowers(op);
  powers.resize(width, 1);
  float multiplier = op.getE1Multiplier().convertToFloat();
  float scale1 = op.getE1Scale().convertToFloat();
  float zero1 = float(op.getE1Zero());
  std::vector<int32_t> first(count);
  for (int64_t i = 0; i < count; ++i) {
    if (fixed) {
      first[i] = int32_t(qi_clamp(
          qi_at(w.codes[i], &fixed->word[i / width]) +
              qi_at(ty.codes[i], &fixed->type[i / width]) + op.getE1Zero(),
          op.getE1Lo(), op.getE1Hi()));
      continue;
    }
    float a = float(w.codes[i]) * w.scales[i / width];
    float b = float(ty.codes[i]) * ty.scales[i / width];
    float v = (a + b) * multiplier;
    first[i] =
        qm_round_code(v + zero1, float(op.getE1Lo()), float(op.getE1Hi()));
  }
  FailureOr<Tensor> e1 =
      run.sumSite(op, 0, siteName(op.getSites(), 0),
                  makeTensor(std::move(first), ids.size(), width),
                  sumType(op, op.getE1Hi(), scale1, op.getE1Zero()));
  if (failed(e1))
    return failure();

  multiplier = op.getE2Multiplier().convertToFloat();
  float scale2 = op.getE2Scale().convertToFloat();
  float zero2 = float(op.getE2Zero());
  std::vector<int32_t> second(count);
  for (int64_t i = 0; i < count; ++i) {
    if (fixed) {
      int32_t above = int32_t(e1->get<int32_t>()[i] - op.getE1Zero());
      int32_t power = powers[i % width];
      second[i] = int32_t(
          qi_clamp(qi_at(above * power, &fixed->first) +
                       qi_at(p.codes[i] * power, &fixed->position[i / width]) +
                       op.getE2Zero(),
                   op.getE2Lo(), op.getE2Hi()));
      continue;
    }
    float a = (float(e1->get<int32_t>()[i]) - zero1) * scale1;
    float b = float(p.codes[i]) * p.scales[i / width];
    float v = (a + b) * float(powers[i % width]) * multiplier;
    second[i] =
        qm_round_code(v + zero2, float(op.getE2Lo()), float(op.getE2Hi()));
  }
  FailureOr<Tensor> e2 =
      run.sumSite(op, 1, siteName(op.getSites(), 1),
                  makeTensor(std::move(second), ids.size(), width),
                  op.getE2Type().value_or(
                      sumType(op, op.getE2Hi(), scale2, op.getE2Zero())));
  if (failed(e2))
    return failure();
  auto gamma = run.get(op.getGamma()).toVector<float>();
  auto beta = run.get(op.getBeta()).toVector<float>();
  if (op.getFixed())
    return fixedNormOf(op, run, *e2, gamma, beta, op.getE2Hi(),
                       op.getE2Type().value_or(Type()),
                       op.getResult().getType().getElementType(),
                       siteName(op.getSites(), 2));
  double eps = op.getEps().convertToDouble();
  auto norm = [&](ArrayRef<int32_t> row, MutableArrayRef<float> out) {
    if (op.getE2Type())
      return normalizeGroups(row, cast<tq::GroupType>(*op.getE2Type()), eps,
                             out);
    normalizeRow(row, scale2, eps, out);
  };
  return normalizeCodes(op, run, *e2, norm, gamma, beta,
                        op.getResult().getType().getElementType(),
                        siteName(op.getSites(), 2));
}
