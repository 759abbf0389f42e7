//===- IntegerAttention.cpp - L2: attention over codes --------------------===//
//
// Part of Quern. tq.qattention by the formula of TQIntegerOps.td, in three
// steps over whole tensors so that each site can be seen and forced.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/FixedPoint.h"
#include "lib/Interpret/Evaluation.h"
#include "quern/log_math.h"

#include <algorithm>

using namespace mlir;
using namespace quern;

namespace {

/// Shapes and operands of one attention.
struct Attention {
  tq::QAttentionOp op;
  std::vector<Sequence> sequences;
  /// Codes of q, k and v less their zero points, [rows, heads * dim] each.
  std::vector<int16_t> q, k, v;
  int64_t heads, dim, perHead;
  /// Of a fixed op.
  std::optional<tq::FixedAttention> fixed;

  /// Start of the row of scores of head h, query i of sequence s.
  int64_t row(int64_t h, const Sequence &s, int64_t i) const {
    return h * perHead + s.scores + i * s.length;
  }
  /// Start of the values of head h of a token or query.
  int64_t at(int64_t row, int64_t h) const { return (row * heads + h) * dim; }

  std::vector<int32_t> scores();
  FailureOr<std::vector<int32_t>>
  softmax(ArrayRef<int32_t> scores, ArrayRef<float> high, ArrayRef<float> low);
  /// Codes, or values where the result is in f32.
  template <typename T> std::vector<T> context(ArrayRef<int32_t> probs);

private:
  /// The codes of logarithmic probabilities; none for uniform ones.
  std::optional<qm_log_codes> log();
  /// Sum over the tokens of s of weight(code) * v, exact, for each channel.
  template <typename Weight>
  std::vector<int32_t> sums(ArrayRef<int32_t> codes, int64_t h,
                            const Sequence &s, Weight weight);
  /// The same by planes, joined in f32.
  std::vector<float> planes(ArrayRef<int32_t> codes, int64_t h,
                            const Sequence &s, qm_log_codes log);
};

} // namespace

std::vector<int32_t> Attention::scores() {
  float offset = op.getScoreOffset().convertToFloat();
  float hi = float(op.getScoreHi());
  std::vector<int32_t> codes(heads * perHead);
  for (int64_t h = 0; h < heads; ++h) {
    float multiplier = op.constantsOf(h).score;
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i)
        for (int64_t j = 0; j < s.length; ++j) {
          const int16_t *a = q.data() + at(s.firstQuery + i, h);
          const int16_t *b = k.data() + at(s.begin + j, h);
          int32_t acc = 0;
          for (int64_t d = 0; d < dim; ++d)
            acc += a[d] * b[d];
          codes[row(h, s, i) + j] =
              fixed ? qi_code(acc, &fixed->score, 0, int32_t(op.getScoreHi()))
                    : qm_requant(acc, multiplier, offset, 0, hi);
        }
  }
  return codes;
}

std::optional<qm_log_codes> Attention::log() {
  if (!op.getProbType())
    return std::nullopt;
  auto type = cast<tq::LogType>(*op.getProbType());
  return qm_log_codes{int32_t(type.getBits()),
                      type.getBase() == tq::LogBase::Two ? 1 : 2};
}

FailureOr<std::vector<int32_t>> Attention::softmax(ArrayRef<int32_t> scores,
                                                   ArrayRef<float> high,
                                                   ArrayRef<float> low) {
  std::vector<int32_t> probs(scores.size());
  std::vector<int32_t> e;
  for (int64_t h = 0; h < heads; ++h) {
    float multiplier = op.constantsOf(h).prob, hi = op.constantsOf(h).probHi;
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i) {
        ArrayRef<int32_t> codes = scores.slice(row(h, s, i), s.length);
        if (fixed) {
          int32_t *out = probs.data() + row(h, s, i);
          if (fixed->log)
            qi_log_probs_of(codes.data(), s.length, &*fixed->log, out);
          else
            qi_probs_of(codes.data(), s.length, &fixed->probs, out);
          continue;
        }
        int32_t top = *std::max_element(codes.begin(), codes.end());
        e.resize(s.length);
        uint64_t sum = 0;
        for (int64_t j = 0; j < s.length; ++j) {
          int32_t d = top - codes[j];
          e[j] = qm_rne(high[d >> 4] * low[d & 15]);
          sum += uint64_t(e[j]);
        }
        if (sum == 0 || sum > UINT32_MAX) {
          op.emitOpError(
              "expects sums of exponentials in [1, 4294967295], got ")
              << sum << " over " << s.length << " tokens";
          return failure();
        }
        if (std::optional<qm_log_codes> kind = log()) {
          float step = op.getProbStep()->convertToFloat();
          float base = qm_log_base(uint32_t(sum), multiplier, *kind);
          for (int64_t j = 0; j < s.length; ++j)
            probs[row(h, s, i) + j] =
                qm_log_code(top - codes[j], step, base, *kind);
          continue;
        }
        float r = multiplier / float(uint32_t(sum));
        for (int64_t j = 0; j < s.length; ++j)
          probs[row(h, s, i) + j] = qm_round_code(float(e[j]) * r, 0, hi);
      }
  }
  return probs;
}

template <typename Weight>
std::vector<int32_t> Attention::sums(ArrayRef<int32_t> codes, int64_t h,
                                     const Sequence &s, Weight weight) {
  // Forced codes of base 2 may overflow 32 bits, and wrap as in the kernels.
  std::vector<uint32_t> acc(dim);
  for (int64_t j = 0; j < s.length; ++j)
    for (int64_t d = 0; d < dim; ++d)
      acc[d] +=
          uint32_t(weight(codes[j])) * uint32_t(v[at(s.begin + j, h) + d]);
  return std::vector<int32_t>(acc.begin(), acc.end());
}

std::vector<float> Attention::planes(ArrayRef<int32_t> codes, int64_t h,
                                     const Sequence &s, qm_log_codes log) {
  std::vector<float> parts[2];
  for (int parity = 0; parity < log.per_octave; ++parity) {
    parts[parity].resize(dim);
    for (int32_t k = qm_log_planes(log) - 1; k >= 0; --k) {
      std::vector<int32_t> acc = sums(codes, h, s, [&](int32_t code) {
        bool isMine = code % log.per_octave == parity;
        return isMine ? qm_log_weight(code, k, log) : 0;
      });
      for (auto [value, sum] : llvm::zip(parts[parity], acc))
        value = qm_log_add_plane(value, sum, log);
    }
  }
  if (log.per_octave == 2)
    for (auto [even, odd] : llvm::zip(parts[0], parts[1]))
      even = qm_log_join(even, odd);
  return parts[0];
}

template <typename T>
std::vector<T> Attention::context(ArrayRef<int32_t> probs) {
  float offset = op.getContextOffset().convertToFloat();
  std::optional<tq::CodeStorage> storage =
      tq::getCodeStorage(op.getResult().getType().getElementType());
  std::vector<T> codes(countQueries(sequences) * heads * dim);
  for (int64_t h = 0; h < heads; ++h) {
    tq::QAttentionOp::HeadConstants own = op.constantsOf(h);
    for (const Sequence &s : sequences)
      for (int64_t i = 0; i < s.queries; ++i) {
        ArrayRef<int32_t> p = probs.slice(row(h, s, i), s.length);
        std::vector<int32_t> exact;
        std::vector<float> values;
        std::optional<qm_log_codes> kind = log();
        if (kind && fixed) {
          int32_t last = qm_log_zero(*kind) - 1;
          exact = sums(p, h, s, [&](int32_t code) {
            return code > last ? 0 : int32_t(1) << (last - code);
          });
        } else if (kind) {
          values = planes(p, h, s, *kind);
        } else {
          exact = sums(p, h, s, [](int32_t code) { return code; });
          values.assign(exact.begin(), exact.end());
        }
        for (int64_t d = 0; d < dim; ++d) {
          if (fixed) {
            // Sums that fit 32 bits, as they are.
            codes[at(s.firstQuery + i, h) + d] = T(
                qi_code(exact[d], &fixed->context, storage->min, storage->max));
            continue;
          }
          float value = values[d] * own.context;
          value = value + offset;
          codes[at(s.firstQuery + i, h) + d] =
              storage ? qm_round_code(value, own.contextLo, own.contextHi)
                      : T(value);
        }
      }
  }
  return codes;
}

/// Columns [start, start + width) of `codes`, less the zero point.
static std::vector<int16_t> takeColumns(const Tensor &codes, int64_t start,
                                        int64_t width, int64_t zero) {
  std::vector<int16_t> columns;
  columns.reserve(codes.rows() * width);
  ArrayRef<int32_t> all = codes.get<int32_t>();
  for (int64_t t = 0; t < codes.rows(); ++t)
    for (int32_t code : all.slice(t * codes.width() + start, width))
      columns.push_back(code - zero);
  return columns;
}

FailureOr<Tensor> quern::evaluate(tq::QAttentionOp op, Evaluation &run) {
  const Tensor &qkv = run.get(op.getQkv());
  auto sequences =
      readQueries(op, run.get(op.getOffsets()), qkv.rows(), bool(op.getQ()));
  if (failed(sequences))
    return failure();
  const Tensor &queries = op.getQ() ? run.get(op.getQ()) : qkv;
  int64_t rows = countQueries(*sequences);
  if (queries.rows() != rows)
    return op->emitOpError("expects ")
           << rows << " rows of q, got " << queries.rows();
  int64_t heads = op.getHeads(), dim = op.getHeadDim(), width = heads * dim;
  int64_t perHead = countScores(*sequences);
  int64_t keys = op.getQ() ? 0 : width;
  Attention attention{op,
                      std::move(*sequences),
                      takeColumns(queries, 0, width, op.getZq()),
                      takeColumns(qkv, keys, width, op.getZk()),
                      takeColumns(qkv, keys + width, width, op.getZv()),
                      heads,
                      dim,
                      perHead,
                      std::nullopt};
  if (op.getFixed()) {
    auto constants = tq::fixedAttention(op, run.get(op.getExpHi()).get<float>(),
                                        run.get(op.getExpLo()).get<float>());
    if (failed(constants))
      return failure();
    attention.fixed = *constants;
  }
  auto name = [&](unsigned i) -> StringRef {
    return op.getSites().empty()
               ? StringRef()
               : cast<StringAttr>(op.getSites()[i]).getValue();
  };
  FailureOr<Tensor> s =
      run.site(op, name(0), makeTensor(attention.scores(), heads, perHead), {});
  if (failed(s))
    return failure();
  auto probs =
      attention.softmax(s->get<int32_t>(), run.get(op.getExpHi()).get<float>(),
                        run.get(op.getExpLo()).get<float>());
  if (failed(probs))
    return failure();
  FailureOr<Tensor> p =
      run.site(op, name(1), makeTensor(std::move(*probs), heads, perHead),
               op.getProbType().value_or(Type()));
  if (failed(p))
    return failure();
  Type type = op.getResult().getType().getElementType();
  ArrayRef<int32_t> codes = p->get<int32_t>();
  if (type.isF32())
    return run.site(op, name(2),
                    makeTensor(attention.context<float>(codes), rows, width),
                    {});
  return run.site(op, name(2),
                  makeTensor(attention.context<int32_t>(codes), rows, width),
                  type);
}
