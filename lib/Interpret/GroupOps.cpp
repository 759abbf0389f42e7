//===- GroupOps.cpp - Products of grouped codes, orders of channels -------===//
//
// Part of Quern. The ops of TQGroupOps.td by their formulas; a group's
// channels may lie anywhere.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Activation.h"
#include "lib/Interpret/Evaluation.h"
#include "quern/quant_math.h"

using namespace mlir;
using namespace quern;

FailureOr<Tensor> quern::evaluate(tq::ReorderOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  ArrayRef<int64_t> order = op.getOrder();
  int64_t width = x.width();
  auto gather = [&](auto values) {
    auto y = values;
    for (int64_t i = 0, end = x.size(); i < end; ++i)
      y[i] = values[i / width * width + order[i % width]];
    return Tensor::of(std::move(y), x.getShape());
  };
  if (run.isMachine())
    return gather(x.toVector<float>());
  return gather(x.toVector<double>());
}

FailureOr<Tensor> quern::evaluate(tq::QGroupLinearOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX()), &w = run.get(op.getW());
  SmallVector<int64_t> map = op.getGroupMap();
  int64_t groups = op.getGroupCount();
  int64_t tokens = x.rows(), width = x.width(), outputs = w.rows();
  auto correction = run.get(op.getCorrection()).toVector<int32_t>();
  auto multiplier = run.get(op.getMultiplier()).toVector<float>();
  auto offset = run.get(op.getOffset()).toVector<float>();
  float lo = float(op.getLo()), hi = float(op.getHi());
  float postMultiplier = op.getPostMultiplier().convertToFloat();
  float postOffset = op.getPostOffset().convertToFloat();
  bool isFloat = op.getResult().getType().getElementType().isF32();

  std::vector<float> values(isFloat ? tokens * outputs : 0);
  std::vector<int32_t> codes(isFloat ? 0 : tokens * outputs);
  // Channels group by group: products of neighbours are what compilers turn
  // into multiply-add instructions.
  std::vector<int64_t> channels, ends;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t k = 0; k < width; ++k)
      if (map[k] == g)
        channels.push_back(k);
    ends.push_back(channels.size());
  }
  std::vector<int16_t> rows(tokens * width), row(width), sorted(width);
  ArrayRef<int32_t> input = x.get<int32_t>();
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t k = 0; k < width; ++k)
      rows[t * width + k] = int16_t(input[t * width + channels[k]]);
  for (int64_t n = 0; n < outputs; ++n) {
    w.readRow(n, row.data());
    for (int64_t k = 0; k < width; ++k)
      sorted[k] = row[channels[k]];
    for (int64_t t = 0; t < tokens; ++t) {
      const int16_t *from = rows.data() + t * width;
      float v = 0;
      for (int64_t g = 0, k = 0; g < groups; ++g) {
        int32_t acc = correction[g * outputs + n];
        for (; k < ends[g]; ++k)
          acc += from[k] * sorted[k];
        float part = float(acc) * multiplier[g * outputs + n];
        v = g ? v + part : part;
      }
      v = v + offset[n];
      if (op.getActivation() != tq::Activation::None) {
        v = applyActivation(op.getActivation(), v);
        if (!isFloat) {
          v = v * postMultiplier;
          v = v + postOffset;
        }
      }
      if (isFloat)
        values[t * outputs + n] = v;
      else
        codes[t * outputs + n] = qm_round_code(v, lo, hi);
    }
  }
  StringRef site = op.getSites().size() == 1
                       ? cast<StringAttr>(op.getSites()[0]).getValue()
                       : StringRef();
  if (isFloat)
    return run.site(op, site, makeTensor(std::move(values), tokens, outputs),
                    {});
  if (failed(showSites(op, op.getSites(), run, codes, tokens, outputs)))
    return failure();
  return makeTensor(std::move(codes), tokens, outputs);
}
