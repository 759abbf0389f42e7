//===- FloatAttention.cpp - L0: scores, softmax, context ------------------===//
//
// Part of Quern. Attention within each sequence of a token-packed tensor; the
// blocks of scores lie one after the other, head by head.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Evaluation.h"
#include "lib/Interpret/Real.h"

using namespace mlir;
using namespace quern;

template <typename R>
static Tensor scores(const Tensor &qs, const Tensor &ks, int64_t heads,
                     const std::vector<Sequence> &sequences) {
  auto q = qs.toVector<R>(), k = ks.toVector<R>();
  int64_t width = qs.width(), dim = width / heads;
  int64_t perHead = countScores(sequences);
  std::vector<R> y(heads * perHead);
  for (int64_t h = 0; h < heads; ++h)
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i)
        for (int64_t j = 0; j < s.length; ++j) {
          const R *a = q.data() + (s.firstQuery + i) * width + h * dim;
          const R *b = k.data() + (s.begin + j) * width + h * dim;
          R acc = 0;
          for (int64_t d = 0; d < dim; ++d)
            acc = acc + a[d] * b[d];
          y[h * perHead + s.scores + i * s.length + j] = acc;
        }
  return makeTensor(std::move(y), heads, perHead);
}

template <typename R>
static Tensor softmax(const Tensor &x, R scale,
                      const std::vector<Sequence> &sequences) {
  auto y = x.toVector<R>();
  int64_t perHead = countScores(sequences);
  for (int64_t h = 0, heads = x.rows(); h < heads; ++h)
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i) {
        R *row = y.data() + h * perHead + s.scores + i * s.length;
        R top = *std::max_element(row, row + s.length);
        for (int64_t j = 0; j < s.length; ++j)
          row[j] = real::exp((row[j] - top) * scale);
        R total = real::sum(row, s.length);
        for (int64_t j = 0; j < s.length; ++j)
          row[j] = row[j] / total;
      }
  return Tensor::of(std::move(y), x.getShape());
}

template <typename R>
static Tensor context(const Tensor &ps, const Tensor &vs, int64_t heads,
                      const std::vector<Sequence> &sequences) {
  auto p = ps.toVector<R>(), v = vs.toVector<R>();
  int64_t width = vs.width(), dim = width / heads;
  int64_t perHead = countScores(sequences), rows = countQueries(sequences);
  std::vector<R> y(rows * width);
  for (int64_t h = 0; h < heads; ++h)
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i) {
        const R *row = p.data() + h * perHead + s.scores + i * s.length;
        R *out = y.data() + (s.firstQuery + i) * width + h * dim;
        for (int64_t j = 0; j < s.length; ++j) {
          const R *value = v.data() + (s.begin + j) * width + h * dim;
          for (int64_t d = 0; d < dim; ++d)
            out[d] = out[d] + row[j] * value[d];
        }
      }
  return makeTensor(std::move(y), rows, width);
}

/// Fails unless a tensor of scores has as many as the sequences need.
static LogicalResult checkScores(Operation *op, const Tensor &x,
                                 const std::vector<Sequence> &sequences) {
  int64_t expected = countScores(sequences);
  if (x.width() == expected)
    return success();
  return op->emitOpError("expects ")
         << expected << " scores per head for these offsets, got " << x.width();
}

FailureOr<Tensor> quern::evaluate(tq::ScoresOp op, Evaluation &run) {
  const Tensor &q = run.get(op.getQ()), &k = run.get(op.getK());
  auto sequences =
      readQueries(op, run.get(op.getOffsets()), k.rows(), op.getFirstQuery());
  if (failed(sequences))
    return failure();
  if (q.rows() != countQueries(*sequences))
    return op->emitOpError("expects ")
           << countQueries(*sequences) << " rows of q, got " << q.rows();
  return run.isMachine() ? scores<float>(q, k, op.getHeads(), *sequences)
                         : scores<double>(q, k, op.getHeads(), *sequences);
}

FailureOr<Tensor> quern::evaluate(tq::SoftmaxOp op, Evaluation &run) {
  const Tensor &s = run.get(op.getS());
  auto sequences =
      readQueries(op, run.get(op.getOffsets()), -1, op.getFirstQuery());
  if (failed(sequences) || failed(checkScores(op, s, *sequences)))
    return failure();
  float scale = op.getScale().convertToFloat();
  return run.isMachine() ? softmax<float>(s, scale, *sequences)
                         : softmax<double>(s, scale, *sequences);
}

FailureOr<Tensor> quern::evaluate(tq::ContextOp op, Evaluation &run) {
  const Tensor &p = run.get(op.getP()), &v = run.get(op.getV());
  auto sequences =
      readQueries(op, run.get(op.getOffsets()), v.rows(), op.getFirstQuery());
  if (failed(sequences) || failed(checkScores(op, p, *sequences)))
    return failure();
  return run.isMachine() ? context<float>(p, v, op.getHeads(), *sequences)
                         : context<double>(p, v, op.getHeads(), *sequences);
}
