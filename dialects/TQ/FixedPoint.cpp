//===- FixedPoint.cpp - Constants of fixed ops, made once -----------------===//
//
// Part of Quern. See FixedPoint.h. Products of constants are made in double.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/FixedPoint.h"

#include "quern/integer_activation.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::tq;

FailureOr<qi_affine> tq::makeAffine(Operation *op, StringRef name,
                                    double multiplier, double offset) {
  qi_affine affine;
  if (qi_make_affine(multiplier, offset, &affine) == 0)
    return affine;
  return op->emitOpError("expects ")
         << name
         << " that a fixed-point number holds, multipliers below 2^30 and "
            "offsets below 2^60, got "
         << multiplier << " and " << offset;
}

FailureOr<std::vector<qi_affine>> tq::makeAffines(Operation *op, StringRef name,
                                                  ArrayRef<float> multipliers,
                                                  ArrayRef<float> offsets,
                                                  double units) {
  std::vector<qi_affine> all;
  for (size_t i = 0; i < multipliers.size(); ++i) {
    double offset = offsets.empty() ? 0 : double(offsets[i]) * units;
    FailureOr<qi_affine> affine =
        makeAffine(op, name, double(multipliers[i]) * units, offset);
    if (failed(affine))
      return failure();
    all.push_back(*affine);
  }
  return all;
}

namespace {

/// Units to 1 of an activation's input and result.
struct ActivationUnits {
  double in, out;
};

} // namespace

static ActivationUnits unitsOf(Activation activation) {
  switch (activation) {
  case Activation::None:
    return {1, 1};
  case Activation::Gelu:
  case Activation::GeluTanh:
    return {QI_GELU_IN, QI_GELU_OUT};
  case Activation::Relu:
    return {QI_RELU_IN, QI_RELU_OUT};
  case Activation::Tanh:
    return {QI_TANH_IN, QI_TANH_OUT};
  case Activation::IGelu:
    return {QI_I_GELU_IN, qi_i_gelu_out()};
  }
  llvm_unreachable("all activations are handled");
}

int32_t tq::applyFixed(Activation activation, int32_t t) {
  static const qi_gelu gelu = qi_i_gelu_constants();
  switch (activation) {
  case Activation::None:
    break;
  case Activation::Gelu:
    return qi_gelu_segments(t, qm_gelu_table);
  case Activation::GeluTanh:
    return qi_gelu_segments(t, qm_gelu_tanh_table);
  case Activation::Relu:
    return t > 0 ? t : 0;
  case Activation::Tanh:
    return qi_tanh(t);
  case Activation::IGelu:
    return qi_i_gelu(t, &gelu);
  }
  llvm_unreachable("only activations have a function");
}

FailureOr<FixedProduct> tq::fixedProduct(QLinearOp op,
                                         ArrayRef<float> multiplier,
                                         ArrayRef<float> offset) {
  ActivationUnits units = unitsOf(op.getActivation());
  auto outputs =
      makeAffines(op, "multiplier and offset", multiplier, offset, units.in);
  auto post =
      makeAffine(op, "post_multiplier and post_offset",
                 double(op.getPostMultiplier().convertToFloat()) / units.out,
                 op.getPostOffset().convertToFloat());
  if (failed(outputs) || failed(post))
    return failure();
  return FixedProduct{std::move(*outputs), *post};
}

std::optional<std::vector<uint8_t>>
tq::powerOfTwoFactors(ArrayRef<UniformParams> groups) {
  if (groups.empty() || groups.size() > 4)
    return std::nullopt;
  UniformParams least = groups.front();
  for (const UniformParams &params : groups)
    if (params.scale < least.scale)
      least = params;
  std::vector<uint8_t> factors;
  for (const UniformParams &params : groups) {
    uint8_t factor = 0;
    while (factor < 4 && std::ldexp(least.scale, factor) != params.scale)
      ++factor;
    if (factor == 4 || params.zero != least.zero)
      return std::nullopt;
    factors.push_back(factor);
  }
  return factors;
}

std::optional<std::vector<uint8_t>> tq::powerOfTwoFactors(Type type) {
  auto groups = dyn_cast_if_present<GroupType>(type);
  return groups ? powerOfTwoFactors(groups.getParams()) : std::nullopt;
}

std::vector<int32_t> tq::embeddingPowers(QEmbedOp op) {
  std::vector<int32_t> powers;
  auto groups = cast_if_present<GroupType>(op.getE2Type().value_or(Type()));
  if (!groups)
    return powers;
  std::vector<uint8_t> factors = *powerOfTwoFactors(groups);
  int most = *llvm::max_element(factors);
  for (int64_t group : groups.getMap())
    powers.push_back(int32_t(1) << (most - factors[size_t(group)]));
  return powers;
}

FailureOr<FixedNorm> tq::fixedNorm(Operation *op, ArrayRef<float> gamma,
                                   ArrayRef<float> beta, int64_t sumHi,
                                   Type sumType) {
  FixedNorm norm;
  norm.zero = 0;
  norm.factors.resize(gamma.size());
  if (auto groups = cast_if_present<GroupType>(sumType)) {
    std::vector<uint8_t> factors = *powerOfTwoFactors(groups);
    norm.zero = int32_t(groups.getParams().front().zero);
    for (auto [factor, group] : llvm::zip_equal(norm.factors, groups.getMap()))
      factor = factors[size_t(group)];
  }
  int most = *llvm::max_element(norm.factors);
  for (uint8_t &factor : norm.factors)
    factor += uint8_t(qi_sum_shift(qi_bits(uint64_t(sumHi)), most));
  norm.channels.resize(gamma.size());
  norm.shift = gamma.size() > QI_MOST_COLUMNS
                   ? -1
                   : qi_make_channels(gamma.data(), beta.data(), gamma.size(),
                                      1, 0, norm.channels.data());
  if (norm.shift < 0)
    return op->emitOpError("expects gamma and beta that fixed-point numbers of "
                           "one shift hold, for at most ")
           << QI_MOST_COLUMNS << " columns, got " << gamma.size() << " columns";
  return norm;
}

/// A vector of one entry for all, or of one for each of `width`.
static std::vector<float> spread(ArrayRef<float> values, int64_t width) {
  return values.size() == 1 ? std::vector<float>(width, values[0])
                            : values.vec();
}

FailureOr<FixedSum> tq::fixedSum(Operation *op, ArrayRef<float> ma,
                                 ArrayRef<float> mb, ArrayRef<float> mo,
                                 int64_t width) {
  auto a = makeAffines(op, "ma and mo", spread(ma, width), spread(mo, width));
  auto b = makeAffines(op, "mb", spread(mb, width), {});
  if (failed(a) || failed(b))
    return failure();
  return FixedSum{std::move(*a), std::move(*b)};
}

FailureOr<FixedEmbedding> tq::fixedEmbedding(QEmbedOp op, ArrayRef<float> word,
                                             ArrayRef<float> type,
                                             ArrayRef<float> position) {
  double e1 = op.getE1Multiplier().convertToFloat();
  double e2 = op.getE2Multiplier().convertToFloat();
  auto words = makeAffines(op, "word_scales", word, {}, e1);
  auto types = makeAffines(op, "type_scales", type, {}, e1);
  auto positions = makeAffines(op, "position_scales", position, {}, e2);
  auto first = makeAffine(op, "e1_scale",
                          double(op.getE1Scale().convertToFloat()) * e2, 0);
  if (failed(words) || failed(types) || failed(positions) || failed(first))
    return failure();
  return FixedEmbedding{std::move(*words), std::move(*types),
                        std::move(*positions), *first};
}

FailureOr<FixedAttention> tq::fixedAttention(QAttentionOp op,
                                             ArrayRef<float> expHi,
                                             ArrayRef<float> expLo) {
  auto score = makeAffine(op, "score_multiplier and score_offset",
                          op.getScoreMultiplier().convertToFloat(),
                          op.getScoreOffset().convertToFloat());
  auto log = cast_if_present<LogType>(op.getProbType().value_or(Type()));
  // The sums of two planes have the unit of the last.
  double part = log && log.getBits() == 4 ? 0x1p-8 : 1;
  auto context = makeAffine(op, "context_multiplier and context_offset",
                            op.getContextMultiplier().convertToFloat() * part,
                            op.getContextOffset().convertToFloat());
  if (failed(score) || failed(context))
    return failure();
  FixedAttention constants{*score, *context, {}, std::nullopt};
  double unit = op.getScoreUnit().convertToFloat();
  int32_t top = op.getProbHi();
  auto refused = [&](const char *what, double got) {
    return op.emitOpError("expects ") << what << ", got " << got;
  };
  if (log) {
    constants.log.emplace();
    double scale = log.getParams().scale;
    if (op.getSoftmax() == SoftmaxForm::IExp) {
      if (qi_make_exp_log_probs(unit, log.getBits(), &*constants.log))
        return refused("a score_unit in [2^-13, 16] with softmax i_exp", unit);
    } else if (qi_make_table_log_probs(expHi.data(), expLo.data(), scale,
                                       log.getBits(), &*constants.log)) {
      return refused("a prob_type and tables that fixed-point numbers hold",
                     scale);
    }
    return constants;
  }
  switch (op.getSoftmax()) {
  case SoftmaxForm::Table:
    if (qi_make_table_probs(expHi.data(), expLo.data(),
                            op.getProbMultiplier().convertToFloat(), top,
                            &constants.probs))
      return refused("prob_multiplier and tables that fixed-point numbers hold",
                     op.getProbMultiplier().convertToFloat());
    break;
  case SoftmaxForm::IExp:
    if (qi_make_exp_probs(unit, top, &constants.probs))
      return refused("a score_unit in [2^-13, 16] with softmax i_exp", unit);
    break;
  case SoftmaxForm::Shiftmax:
    if (qi_make_shift_probs(unit, top, &constants.probs))
      return refused("a score_unit in [2^-15, 1] with softmax shiftmax", unit);
    break;
  }
  return constants;
}
