//===- IntegerNorm.cpp - L2: quantized sums and LayerNorm over codes ------===//
//
// Part of Quern. tq.qadd_norm and tq.qembed by the formulas of
// TQIntegerOps.td. The statistics of a row are integers, so they have no
// order.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Evaluation.h"
#include "quern/quant_math.h"

#include <cmath>

using namespace mlir;
using namespace quern;

static StringRef siteName(ArrayAttr sites, unsigned i) {
  return sites.empty() ? StringRef() : cast<StringAttr>(sites[i]).getValue();
}

/// LayerNorm over codes of the scale `sumScale`, to `result`'s element type.
static FailureOr<Tensor> normalizeCodes(Operation *op, Evaluation &run,
                                        const Tensor &u, float sumScale,
                                        double eps, ArrayRef<float> gamma,
                                        ArrayRef<float> beta, Type type,
                                        StringRef site) {
  int64_t tokens = u.rows(), width = u.width();
  std::optional<tq::CodeStorage> storage = tq::getCodeStorage(type);
  std::vector<float> values(storage ? 0 : u.size());
  std::vector<int32_t> codes(storage ? u.size() : 0);
  double d = double(width);
  double perSquare = (double(sumScale) * double(sumScale)) / (d * d);
  for (int64_t t = 0; t < tokens; ++t) {
    ArrayRef<int32_t> row = u.get<int32_t>().slice(t * width, width);
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
      float y = (centred * rs) * gamma[j];
      y = y + beta[j];
      if (storage)
        codes[t * width + j] =
            qm_round_code(y, float(storage->min), float(storage->max));
      else
        values[t * width + j] = y;
    }
  }
  if (storage)
    return run.site(op, site, makeTensor(std::move(codes), tokens, width),
                    type);
  return run.site(op, site, makeTensor(std::move(values), tokens, width), {});
}

/// The type of an inner sum, for the hooks: unsigned, as wide as its bounds.
static Type sumType(Operation *op, int64_t hi, float scale, int64_t zero) {
  return tq::getUniformType(op->getContext(), hi > 255 ? 16 : 8, false, scale,
                            zero);
}

FailureOr<Tensor> quern::evaluate(tq::QAddNormOp op, Evaluation &run) {
  const Tensor &a = run.get(op.getA()), &b = run.get(op.getB());
  auto ma = run.get(op.getMa()).toVector<float>();
  auto mb = run.get(op.getMb()).toVector<float>();
  auto mo = run.get(op.getMo()).toVector<float>();
  ArrayRef<int32_t> left = a.get<int32_t>(), right = b.get<int32_t>();
  float lo = float(op.getSumLo()), hi = float(op.getSumHi());
  float scale = op.getSumScale().convertToFloat();
  int64_t width = a.width();
  auto pick = [&](const std::vector<float> &v, int64_t i) {
    return v[v.size() == 1 ? 0 : i % width];
  };
  std::vector<int32_t> sum(a.size());
  for (int64_t i = 0, end = a.size(); i < end; ++i) {
    float first = float(left[i]) * pick(ma, i);
    float second = float(right[i]) * pick(mb, i);
    float both = first + second;
    sum[i] = qm_round_code(both + pick(mo, i), lo, hi);
  }
  FailureOr<Tensor> u =
      run.site(op, siteName(op.getSites(), 0),
               makeTensor(std::move(sum), a.rows(), width),
               sumType(op, op.getSumHi(), scale, op.getSumZero()));
  if (failed(u))
    return failure();
  auto gamma = run.get(op.getGamma()).toVector<float>();
  auto beta = run.get(op.getBeta()).toVector<float>();
  return normalizeCodes(op, run, *u, scale, op.getEps().convertToDouble(),
                        gamma, beta, op.getResult().getType().getElementType(),
                        siteName(op.getSites(), 1));
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

FailureOr<Tensor> quern::evaluate(tq::QEmbedOp op, Evaluation &run) {
  const Tensor &ids = run.get(op.getIds()), &types = run.get(op.getTypes());
  const Tensor &positions = run.get(op.getPositions());
  const Tensor &wordTable = run.get(op.getWord());
  const Tensor &typeTable = run.get(op.getType());
  const Tensor &positionTable = run.get(op.getPosition());
  if (failed(checkIndices(op, "ids", ids, wordTable.rows())) ||
      failed(checkIndices(op, "types", types, typeTable.rows())) ||
      failed(checkIndices(op, "positions", positions, positionTable.rows())))
    return failure();
  if (types.size() != ids.size() || positions.size() != ids.size()) {
    op.emitOpError("expects as many types and positions as ids ")
        << ids.size() << ", got " << types.size() << " and "
        << positions.size();
    return failure();
  }
  GatheredRows w = gatherRows(wordTable, run.get(op.getWordScales()), ids);
  GatheredRows ty = gatherRows(typeTable, run.get(op.getTypeScales()), types);
  GatheredRows p =
      gatherRows(positionTable, run.get(op.getPositionScales()), positions);

  int64_t width = wordTable.width(), count = ids.size() * width;
  float multiplier = op.getE1Multiplier().convertToFloat();
  float scale1 = op.getE1Scale().convertToFloat();
  float zero1 = float(op.getE1Zero());
  std::vector<int32_t> first(count);
  for (int64_t i = 0; i < count; ++i) {
    float a = float(w.codes[i]) * w.scales[i / width];
    float b = float(ty.codes[i]) * ty.scales[i / width];
    float v = (a + b) * multiplier;
    first[i] =
        qm_round_code(v + zero1, float(op.getE1Lo()), float(op.getE1Hi()));
  }
  FailureOr<Tensor> e1 =
      run.site(op, siteName(op.getSites(), 0),
               makeTensor(std::move(first), ids.size(), width),
               sumType(op, op.getE1Hi(), scale1, op.getE1Zero()));
  if (failed(e1))
    return failure();

  multiplier = op.getE2Multiplier().convertToFloat();
  float scale2 = op.getE2Scale().convertToFloat();
  float zero2 = float(op.getE2Zero());
  std::vector<int32_t> second(count);
  for (int64_t i = 0; i < count; ++i) {
    float a = (float(e1->get<int32_t>()[i]) - zero1) * scale1;
    float b = float(p.codes[i]) * p.scales[i / width];
    float v = (a + b) * multiplier;
    second[i] =
        qm_round_code(v + zero2, float(op.getE2Lo()), float(op.getE2Hi()));
  }
  FailureOr<Tensor> e2 =
      run.site(op, siteName(op.getSites(), 1),
               makeTensor(std::move(second), ids.size(), width),
               sumType(op, op.getE2Hi(), scale2, op.getE2Zero()));
  if (failed(e2))
    return failure();
  auto gamma = run.get(op.getGamma()).toVector<float>();
  auto beta = run.get(op.getBeta()).toVector<float>();
  return normalizeCodes(op, run, *e2, scale2, op.getEps().convertToDouble(),
                        gamma, beta, op.getResult().getType().getElementType(),
                        siteName(op.getSites(), 2));
}
