//===- TQVerifyInteger.cpp - Verifiers of the L2 ops ----------------------===//
//
// Part of Quern. See TQVerify.cpp. Types without a lowering (groups as inputs
// of products, logarithmic codes, ...) verify here; the pass that cannot
// lower one says so.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/FixedPoint.h"
#include "dialects/TQ/TQChecks.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern::tq;

/// Logarithmic probabilities: a type that planes exist for, and a step.
static LogicalResult checkProbs(QAttentionOp op) {
  std::optional<Type> type = op.getProbType();
  std::optional<APFloat> step = op.getProbStep();
  if (bool(type) != bool(step))
    return op.emitOpError("expects prob_type and prob_step together");
  if (!type)
    return success();
  auto log = dyn_cast<LogType>(*type);
  if (!log || log.getBits() < 3 ||
      log.getParams().zero != int64_t(1) << log.getBits())
    return op.emitOpError("expects prob_type to be a !tq.log of 3 to 8 bits "
                          "with the zero 2^bits, got ")
           << *type;
  if (op.getFixed() && (log.getBase() != LogBase::Two || log.getBits() > 4 ||
                        op.getSoftmax() == SoftmaxForm::Shiftmax))
    return op.emitOpError("expects with fixed a prob_type of base two and of 3 "
                          "or 4 bits, and softmax table or i_exp, got ")
           << *type << " and " << stringifySoftmaxForm(op.getSoftmax());
  if (op.getSoftmax() == SoftmaxForm::IExp && log.getParams().scale != 1)
    return op.emitOpError("expects a prob_type of scale 1 with softmax i_exp, "
                          "got ")
           << *type;
  return checkPositive(op, "prob_step", *step);
}

/// Queries of their own, a row for each of the result.
static LogicalResult checkQueries(QAttentionOp op, int64_t width) {
  Value q = op.getQ();
  if (failed(checkActivation(op, "q", q)) ||
      failed(checkDim(op, "q", q, 1, width, "heads * head_dim")) ||
      failed(checkDim(op, "the result", op.getResult(), 0, dimOf(q, 0), "q")))
    return failure();
  if (getCodeStorage(elementOf(q))->bits > 8)
    return op.emitOpError("expects q to have codes of at most 8 bits, got ")
           << elementOf(q);
  return success();
}

QAttentionOp::HeadConstants QAttentionOp::constantsOf(int64_t head) {
  if (std::optional<ArrayRef<float>> all = getPerHead()) {
    ArrayRef<float> own = all->slice(head * headConstants, headConstants);
    return {own[0], own[1], own[2], own[3], own[4], own[5]};
  }
  std::optional<CodeStorage> storage = getCodeStorage(elementOf(getResult()));
  return {getScoreMultiplier().convertToFloat(),
          getProbMultiplier().convertToFloat(),
          float(getProbHi()),
          getContextMultiplier().convertToFloat(),
          storage ? float(storage->min) : 0,
          storage ? float(storage->max) : 0};
}

/// Whether the constants of heads are what the kernels can take.
static LogicalResult checkPerHead(QAttentionOp op) {
  std::optional<ArrayRef<float>> all = op.getPerHead();
  if (!all)
    return success();
  if (op.getFixed() || op.getProbType())
    return op.emitOpError("expects no per_head with fixed or prob_type");
  if (int64_t(all->size()) != op.getHeads() * op.headConstants)
    return op.emitOpError("expects ")
           << op.headConstants << " constants for each of " << op.getHeads()
           << " heads, got " << all->size();
  std::optional<CodeStorage> storage =
      getCodeStorage(elementOf(op.getResult()));
  for (int64_t h = 0; h < op.getHeads(); ++h) {
    QAttentionOp::HeadConstants own = op.constantsOf(h);
    for (float factor : {own.score, own.prob, own.context})
      if (failed(checkPositive(op, "factors of per_head", APFloat(factor))))
        return failure();
    auto isCode = [](float code, float least, float most) {
      return code >= least && code <= most && code == std::floor(code);
    };
    if (!isCode(own.probHi, 1, float(op.getProbHi())))
      return op.emitOpError(
                 "expects the probabilities of a head to end in [1, ")
             << op.getProbHi() << "], got " << own.probHi;
    if (storage &&
        (!isCode(own.contextHi, float(storage->min), float(storage->max)) ||
         !isCode(own.contextLo, float(storage->min), own.contextHi)))
      return op.emitOpError("expects the codes of a head's context within [")
             << storage->min << ", " << storage->max << "], got "
             << own.contextLo << " to " << own.contextHi;
  }
  return success();
}

LogicalResult QAttentionOp::verify() {
  if (getHeads() < 1 || getHeadDim() < 1)
    return emitOpError("expects positive heads and head_dim, got ")
           << getHeads() << " and " << getHeadDim();
  int64_t width = getHeads() * getHeadDim();
  if (failed(checkActivation(*this, "qkv", getQkv())) ||
      failed(checkOffsets(*this, getOffsets())) ||
      failed(
          checkDim(*this, "qkv", getQkv(), 1, (getQ() ? 2 : 3) * width,
                   getQ() ? "2 * heads * head_dim" : "3 * heads * head_dim")) ||
      failed(getQ() ? checkQueries(*this, width)
                    : checkDim(*this, "the result", getResult(), 0,
                               dimOf(getQkv(), 0), "qkv")) ||
      failed(checkDim(*this, "the result", getResult(), 1, width,
                      "heads * head_dim")) ||
      failed(checkDim(*this, "exp_hi", getExpHi(), 0, 16, "d / 16")) ||
      failed(checkDim(*this, "exp_lo", getExpLo(), 0, 16, "d % 16")))
    return failure();
  CodeStorage storage = *getCodeStorage(elementOf(getQkv()));
  if (storage.bits > 8)
    return emitOpError("expects qkv to have codes of at most 8 bits, got ")
           << elementOf(getQkv());
  for (auto [name, zero] : {std::pair<StringRef, int64_t>{"zq", getZq()},
                            {"zk", getZk()},
                            {"zv", getZv()}})
    if (zero < 0 || zero > 255)
      return emitOpError("expects ") << name << " in [0, 255], got " << zero;
  for (auto [name, top] :
       {std::pair<StringRef, int64_t>{"score_hi", getScoreHi()},
        {"prob_hi", getProbHi()}})
    if (top < 1 || top > 255)
      return emitOpError("expects ") << name << " in [1, 255], got " << top;
  for (auto [name, value] :
       {std::pair<StringRef, APFloat>{"score_multiplier", getScoreMultiplier()},
        {"prob_multiplier", getProbMultiplier()},
        {"context_multiplier", getContextMultiplier()}})
    if (failed(checkPositive(*this, name, value)))
      return failure();
  if (getSoftmax() != SoftmaxForm::Table && !getFixed())
    return emitOpError("expects fixed with softmax ")
           << stringifySoftmaxForm(getSoftmax())
           << ", which has no form in f32";
  return failure(
      failed(checkProbs(*this)) || failed(checkPerHead(*this)) ||
      failed(checkFixed(*this, getFixed(), getResult())) ||
      failed(checkPositive(*this, "score_unit", getScoreUnit())) ||
      failed(checkFinite(*this, "score_offset", getScoreOffset())) ||
      failed(checkFinite(*this, "context_offset", getContextOffset())) ||
      failed(checkSites(*this, getSites(), 3)) ||
      failed(checkResult(*this, getResult())));
}

/// Summands are codes, or values in f32.
static LogicalResult checkSummand(Operation *op, StringRef name, Value value) {
  if (elementOf(value).isF32())
    return success();
  if (isa<DynamicType>(elementOf(value)))
    return op->emitOpError("expects ")
           << name << " in f32 or of fixed ranges, got " << elementOf(value);
  return checkActivation(op, name, value);
}

LogicalResult QAddOp::verify() {
  int64_t width = dimOf(getA(), 1);
  if (getFixed() && (elementOf(getA()).isF32() || elementOf(getB()).isF32()))
    return emitOpError("expects a and b in codes with fixed, got ")
           << elementOf(getA()) << " and " << elementOf(getB());
  Type result = elementOf(getResult());
  auto group = dyn_cast<GroupType>(result);
  if (!getPerTensorParams(result) && !(group && group.getAxis() == 1))
    return emitOpError("expects a result in codes of one scale, or of groups "
                       "of columns, got ")
           << result;
  return failure(
      failed(checkSummand(*this, "a", getA())) ||
      failed(checkSummand(*this, "b", getB())) ||
      failed(checkDim(*this, "b", getB(), 0, dimOf(getA(), 0), "a")) ||
      failed(checkDim(*this, "b", getB(), 1, width, "a")) ||
      failed(checkOneOrAll(*this, "ma", getMa(), width, "a")) ||
      failed(checkOneOrAll(*this, "mb", getMb(), width, "a")) ||
      failed(checkOneOrAll(*this, "mo", getMo(), width, "a")) ||
      failed(checkSameShape(*this, getA(), getResult())) ||
      failed(checkActivation(*this, "the result", getResult())));
}

LogicalResult QAddNormOp::verify() {
  int64_t width = dimOf(getA(), 1);
  if (getFixed() && (elementOf(getA()).isF32() || elementOf(getB()).isF32()))
    return emitOpError("expects a and b in codes with fixed, got ")
           << elementOf(getA()) << " and " << elementOf(getB());
  if (getFixed() && getOrder())
    return emitOpError("expects no order with fixed");
  if (getFixed() && getSumType() && !powerOfTwoFactors(*getSumType()))
    return emitOpError("expects with fixed a sum_type of one zero point and of "
                       "scales that are 1, 2, 4 or 8 times the least one, got ")
           << *getSumType();
  return failure(
      failed(checkFixed(*this, getFixed(), getResult())) ||
      failed(checkSummand(*this, "a", getA())) ||
      failed(checkSummand(*this, "b", getB())) ||
      failed(checkDim(*this, "b", getB(), 0, dimOf(getA(), 0), "a")) ||
      failed(checkDim(*this, "b", getB(), 1, width, "a")) ||
      failed(checkOneOrAll(*this, "ma", getMa(), width, "a")) ||
      failed(checkOneOrAll(*this, "mb", getMb(), width, "a")) ||
      failed(checkOneOrAll(*this, "mo", getMo(), width, "a")) ||
      failed(checkDim(*this, "gamma", getGamma(), 0, width, "a")) ||
      failed(checkDim(*this, "beta", getBeta(), 0, width, "a")) ||
      failed(checkSameShape(*this, getA(), getResult())) ||
      failed(checkBounds(*this, "sum", getSumLo(), getSumHi())) ||
      failed(checkPositive(*this, "sum_scale", getSumScale())) ||
      failed(checkEps(*this, getEps())) ||
      failed(
          checkSumType(*this, getSumType(), width, getSumLo(), getSumHi())) ||
      (getOrder() && failed(checkOrder(*this, *getOrder(), width))) ||
      failed(checkSites(*this, getSites(), 2)) ||
      failed(checkResult(*this, getResult())));
}

/// The factors of the second sum.
static LogicalResult checkE2Type(QEmbedOp op) {
  Type type = op.getE2Type().value_or(Type());
  if (!type)
    return success();
  auto groups = dyn_cast<GroupType>(type);
  if (!groups || !powerOfTwoFactors(type) || groups.getIsSigned() ||
      groups.getStorageBits() > 8 || groups.getAxis() != 1 ||
      groups.getParams().front().zero != op.getE2Zero())
    return op.emitOpError("expects an e2_type of at most 8 unsigned bits, of "
                          "the zero point ")
           << op.getE2Zero()
           << " and of scales that are 1, 2, 4 or 8 times the least one, got "
           << type;
  if (int64_t(groups.getMap().size()) != dimOf(op.getWord(), 1))
    return op.emitOpError("expects ")
           << dimOf(op.getWord(), 1) << " channels in e2_type, got "
           << groups.getMap().size();
  double most = 0;
  for (UniformParams params : groups.getParams())
    most = std::max(most, params.scale);
  if (float(most) != op.getE2Scale().convertToFloat())
    return op.emitOpError("expects e2_scale to be the greatest of e2_type, ")
           << most << ", got " << op.getE2Scale().convertToFloat();
  return success();
}

LogicalResult QEmbedOp::verify() {
  int64_t tokens = dimOf(getIds(), 0), width = dimOf(getWord(), 1);
  return failure(
      failed(checkFixed(*this, getFixed(), getResult())) ||
      failed(checkDim(*this, "types", getTypes(), 0, tokens, "ids")) ||
      failed(checkDim(*this, "positions", getPositions(), 0, tokens, "ids")) ||
      failed(checkWeight(*this, "word", getWord())) ||
      failed(checkWeight(*this, "type", getType())) ||
      failed(checkWeight(*this, "position", getPosition())) ||
      failed(checkDim(*this, "type", getType(), 1, width, "word")) ||
      failed(checkDim(*this, "position", getPosition(), 1, width, "word")) ||
      failed(checkOneOrAll(*this, "word_scales", getWordScales(),
                           dimOf(getWord(), 0), "word")) ||
      failed(checkOneOrAll(*this, "type_scales", getTypeScales(),
                           dimOf(getType(), 0), "type")) ||
      failed(checkOneOrAll(*this, "position_scales", getPositionScales(),
                           dimOf(getPosition(), 0), "position")) ||
      failed(checkDim(*this, "gamma", getGamma(), 0, width, "word")) ||
      failed(checkDim(*this, "beta", getBeta(), 0, width, "word")) ||
      failed(checkDim(*this, "the result", getResult(), 0, tokens, "ids")) ||
      failed(checkDim(*this, "the result", getResult(), 1, width, "word")) ||
      failed(checkPositive(*this, "e1_multiplier", getE1Multiplier())) ||
      failed(checkPositive(*this, "e1_scale", getE1Scale())) ||
      failed(checkPositive(*this, "e2_multiplier", getE2Multiplier())) ||
      failed(checkPositive(*this, "e2_scale", getE2Scale())) ||
      failed(checkBounds(*this, "e1", getE1Lo(), getE1Hi())) ||
      failed(checkBounds(*this, "e2", getE2Lo(), getE2Hi())) ||
      failed(checkE2Type(*this)) || failed(checkEps(*this, getEps())) ||
      failed(checkBits(*this, "word_bits", getWordBits())) ||
      failed(checkBits(*this, "type_bits", getTypeBits())) ||
      failed(checkBits(*this, "position_bits", getPositionBits())) ||
      failed(checkSites(*this, getSites(), 3)) ||
      failed(checkResult(*this, getResult())));
}

LogicalResult QShiftGeluOp::verify() {
  for (auto [name, value] : {std::pair<StringRef, Value>{"x", getX()},
                             {"the result", getResult()}}) {
    std::optional<CodeStorage> storage = getCodeStorage(elementOf(value));
    if (!storage || storage->isSigned || storage->bits > 8 ||
        !getPerTensorParams(elementOf(value)))
      return emitOpError("expects ")
             << name << " in unsigned codes of at most 8 bits of one scale, "
             << "got " << elementOf(value);
  }
  if (getZero() < 0 || getZero() > 255)
    return emitOpError("expects zero in [0, 255], got ") << getZero();
  // qi_shift_unit: scales of 2^-15 to 1.
  if (getUnit() < -(int64_t(1) << 15) || getUnit() > -1)
    return emitOpError("expects unit in [-32768, -1], got ") << getUnit();
  CodeStorage storage = *getCodeStorage(elementOf(getResult()));
  if (getLo() < storage.min || getHi() > storage.max)
    return emitOpError("expects code bounds within [")
           << storage.min << ", " << storage.max << "], got " << getLo()
           << " and " << getHi();
  return failure(
      failed(checkSameShape(*this, getX(), getResult())) ||
      failed(checkPositive(*this, "post_multiplier", getPostMultiplier())) ||
      failed(checkFinite(*this, "post_offset", getPostOffset())) ||
      failed(checkBounds(*this, "code", getLo(), getHi())) ||
      failed(checkSites(*this, getSites(), 1)));
}

LogicalResult QLimitOp::verify() {
  std::optional<CodeStorage> storage = getCodeStorage(elementOf(getX()));
  if (!storage || storage->isSigned || storage->bits > 8)
    return emitOpError("expects unsigned codes of at most 8 bits, got ")
           << elementOf(getX());
  int64_t parts = getHi().size(), columns = dimOf(getX(), 1);
  if (parts == 0 || columns % parts)
    return emitOpError("expects parts of equal width, got ")
           << columns << " columns and " << parts << " parts";
  for (int64_t hi : getHi())
    if (hi < 0 || hi > storage->max)
      return emitOpError("expects hi within [0, ")
             << storage->max << "], got " << hi;
  if (std::optional<ArrayRef<int64_t>> lo = getLo()) {
    if (int64_t(lo->size()) != parts)
      return emitOpError("expects a lo for each of ")
             << parts << " parts, got " << lo->size();
    for (auto [least, most] : llvm::zip_equal(*lo, getHi()))
      if (least < 0 || least > most)
        return emitOpError("expects lo within [0, ")
               << most << "], got " << least;
  }
  int64_t sites = getSites().size();
  if (sites && parts % sites)
    return emitOpError("expects each site to have as many parts, got ")
           << parts << " parts and " << sites << " sites";
  return checkSites(*this, getSites(), sites);
}

LogicalResult QPoolOp::verify() {
  if (failed(checkOffsets(*this, getOffsets())) ||
      failed(checkChannels(*this, getX())) ||
      failed(
          checkDim(*this, "the result", getResult(), 1, dimOf(getX(), 1), "x")))
    return failure();
  if (getKind() == PoolKind::Cls && elementOf(getResult()) != elementOf(getX()))
    return emitOpError("expects cls to keep the type ")
           << elementOf(getX()) << ", got " << elementOf(getResult());
  if (getKind() == PoolKind::Mean) {
    if (!elementOf(getResult()).isF32())
      return emitOpError("expects mean to give f32, got ")
             << elementOf(getResult());
    if (!getPerTensorParams(elementOf(getX())) &&
        !isa<OffsetType>(elementOf(getX())))
      return emitOpError("expects mean of a per-tensor !quant.uniform or "
                         "!tq.offset type, got ")
             << elementOf(getX());
  }
  return success();
}
