//===- FloatOps.cpp - L0: rows, products, elementwise functions -----------===//
//
// Part of Quern. Each op is one template over the type it computes in; the
// formula is that of TQFloatOps.td.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Evaluation.h"
#include "lib/Interpret/Real.h"

using namespace mlir;
using namespace quern;

/// Calls body(R()) with the type the run computes in.
template <typename Body>
static FailureOr<Tensor> inArithmetic(const Evaluation &run, Body body) {
  return run.isMachine() ? body(float()) : body(double());
}

/// y = f(x), element by element.
template <typename Function>
static FailureOr<Tensor> mapElements(const Evaluation &run, const Tensor &x,
                                     Function f) {
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    auto values = x.toVector<decltype(zero)>();
    for (auto &value : values)
      value = f(value);
    return Tensor::of(std::move(values), x.getShape());
  });
}

FailureOr<Tensor> quern::evaluate(tq::EmbeddingOp op, Evaluation &run) {
  const Tensor &table = run.get(op.getTable());
  const Tensor &index = run.get(op.getIndex());
  if (failed(checkIndices(op, "the index", index, table.rows())))
    return failure();
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    std::vector<decltype(zero)> y(index.size() * table.width());
    for (auto [t, row] : llvm::enumerate(index.get<int32_t>()))
      table.readRow(row, y.data() + t * table.width());
    return makeTensor(std::move(y), index.size(), table.width());
  });
}

FailureOr<Tensor> quern::evaluate(tq::AddOp op, Evaluation &run) {
  const Tensor &a = run.get(op.getA()), &b = run.get(op.getB());
  if (a.getShape() != b.getShape()) {
    op.emitOpError("expects operands of one shape, got ")
        << a.size() << " and " << b.size() << " elements";
    return failure();
  }
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    auto y = a.toVector<decltype(zero)>();
    auto more = b.toVector<decltype(zero)>();
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = y[i] + more[i];
    return Tensor::of(std::move(y), a.getShape());
  });
}

FailureOr<Tensor> quern::evaluate(tq::ScaleShiftOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    using R = decltype(zero);
    auto scale = run.get(op.getScale()).toVector<R>();
    auto shift = run.get(op.getShift()).toVector<R>();
    auto y = x.toVector<R>();
    for (size_t i = 0; i < y.size(); ++i) {
      R product = y[i] * scale[i % scale.size()];
      y[i] = product + shift[i % scale.size()];
    }
    return Tensor::of(std::move(y), x.getShape());
  });
}

FailureOr<Tensor> quern::evaluate(tq::LayerNormOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    using R = decltype(zero);
    auto gamma = run.get(op.getGamma()).toVector<R>();
    auto beta = run.get(op.getBeta()).toVector<R>();
    auto y = x.toVector<R>();
    int64_t width = x.width();
    R eps = R(op.getEps().convertToDouble());
    for (R *row = y.data(), *end = row + y.size(); row != end; row += width) {
      R mean = real::sum(row, width) / R(width);
      R var = real::sumSquares(row, mean, width) / R(width);
      R rs = R(1) / std::sqrt(var + eps);
      for (int64_t j = 0; j < width; ++j) {
        R centred = row[j] - mean;
        R scaled = (centred * rs) * gamma[j];
        row[j] = scaled + beta[j];
      }
    }
    return Tensor::of(std::move(y), x.getShape());
  });
}

FailureOr<Tensor> quern::evaluate(tq::LinearOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX()), &w = run.get(op.getW());
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    using R = decltype(zero);
    auto b = run.get(op.getB()).toVector<R>();
    int64_t outputs = w.rows();
    std::vector<R> y(x.rows() * outputs);
    real::product(
        x.toVector<R>(), x.rows(), w,
        [&](int64_t t, int64_t n, R acc) { y[t * outputs + n] = acc + b[n]; });
    return makeTensor(std::move(y), x.rows(), outputs);
  });
}

FailureOr<Tensor> quern::evaluate(tq::GeluOp op, Evaluation &run) {
  bool isTanh = op.getApproximate() == tq::Approximate::Tanh;
  return mapElements(run, run.get(op.getX()), [&](auto x) {
    return isTanh ? real::geluTanh(x) : real::gelu(x);
  });
}

FailureOr<Tensor> quern::evaluate(tq::ReluOp op, Evaluation &run) {
  return mapElements(run, run.get(op.getX()),
                     [](auto x) { return real::relu(x); });
}

FailureOr<Tensor> quern::evaluate(tq::TanhOp op, Evaluation &run) {
  return mapElements(run, run.get(op.getX()),
                     [](auto x) { return real::tanh(x); });
}

FailureOr<Tensor> quern::evaluate(tq::PoolOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  auto sequences = readSequences(op, run.get(op.getOffsets()), x.rows());
  if (failed(sequences))
    return failure();
  bool isMean = op.getKind() == tq::PoolKind::Mean;
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    using R = decltype(zero);
    int64_t width = x.width();
    std::vector<R> y(sequences->size() * width), row(width);
    R *out = y.data();
    for (const Sequence &s : *sequences) {
      for (int64_t t = 0;
           t < (isMean ? s.length : std::min<int64_t>(s.length, 1)); ++t) {
        x.readRow(s.begin + t, row.data());
        for (int64_t j = 0; j < width; ++j)
          out[j] = t ? out[j] + row[j] : row[j];
      }
      if (isMean && s.length)
        for (int64_t j = 0; j < width; ++j)
          out[j] = out[j] / R(s.length);
      out += width;
    }
    return makeTensor(std::move(y), sequences->size(), width);
  });
}

FailureOr<Tensor> quern::evaluate(tq::NormalizeOp op, Evaluation &run) {
  const Tensor &x = run.get(op.getX());
  return inArithmetic(run, [&](auto zero) -> FailureOr<Tensor> {
    using R = decltype(zero);
    auto y = x.toVector<R>();
    int64_t width = x.width();
    R eps = R(op.getEps().convertToDouble());
    for (R *row = y.data(), *end = row + y.size(); row != end; row += width) {
      R norm = std::sqrt(real::sumSquares(row, R(0), width));
      norm = std::max(norm, eps);
      for (int64_t j = 0; j < width; ++j)
        row[j] = row[j] / norm;
    }
    return Tensor::of(std::move(y), x.getShape());
  });
}

FailureOr<Tensor> quern::evaluate(tq::ObserveOp op, Evaluation &run) {
  return run.site(op, op.getSite(), run.get(op.getX()), {});
}
