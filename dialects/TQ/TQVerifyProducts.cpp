//===- TQVerifyProducts.cpp - Verifiers of the integer products -----------===//
//
// Part of Quern. See TQVerify.cpp: tq.qlinear and tq.qgroup_linear differ in
// their input and in how many constants an output has.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQChecks.h"
#include "dialects/TQ/TQOps.h"

using namespace mlir;
using namespace quern::tq;

/// `count` times `outputs`, where that is known.
static int64_t times(int64_t count, int64_t outputs) {
  return ShapedType::isDynamic(outputs) ? outputs : count * outputs;
}

/// An output has `corrections` and `multipliers` constants.
template <typename Op>
static LogicalResult checkProduct(Op op, int64_t corrections,
                                  StringRef correctionsOf, int64_t multipliers,
                                  StringRef multipliersOf) {
  int64_t outputs = dimOf(op.getW(), 0);
  if (failed(checkActivation(op, "x", op.getX())) ||
      failed(checkBits(op, "weight_bits", op.getWeightBits())) ||
      failed(checkWeight(op, "w", op.getW())) ||
      failed(checkDim(op, "w", op.getW(), 1, dimOf(op.getX(), 1), "x")) ||
      failed(checkDim(op, "correction", op.getCorrection(), 0,
                      times(corrections, outputs), correctionsOf)) ||
      failed(checkDim(op, "multiplier", op.getMultiplier(), 0,
                      times(multipliers, outputs), multipliersOf)) ||
      failed(checkDim(op, "offset", op.getOffset(), 0, outputs, "w")) ||
      failed(checkDim(op, "the result", op.getResult(), 0, dimOf(op.getX(), 0),
                      "x")) ||
      failed(checkDim(op, "the result", op.getResult(), 1, outputs, "w")) ||
      failed(checkFinite(op, "post_multiplier", op.getPostMultiplier())) ||
      failed(checkFinite(op, "post_offset", op.getPostOffset())) ||
      failed(checkBounds(op, "code", op.getLo(), op.getHi())) ||
      failed(checkSites(op, op.getSites(), op.getSites().size())))
    return failure();
  float postMultiplier = op.getPostMultiplier().convertToFloat();
  float postOffset = op.getPostOffset().convertToFloat();
  if (op.getActivation() == Activation::None &&
      (postMultiplier != 1 || postOffset != 0))
    return op.emitOpError("expects post_multiplier 1 and post_offset 0 without "
                          "an activation, got ")
           << postMultiplier << " and " << postOffset;
  std::optional<CodeStorage> storage =
      getCodeStorage(elementOf(op.getResult()));
  if (storage && (int64_t(op.getLo()) < storage->min ||
                  int64_t(op.getHi()) > storage->max))
    return op.emitOpError("expects code bounds within [")
           << storage->min << ", " << storage->max << "], got " << op.getLo()
           << " and " << op.getHi();
  return checkResult(op, op.getResult());
}

LogicalResult QLinearOp::verify() {
  std::optional<CodeStorage> input = getCodeStorage(elementOf(getX()));
  bool isWide = input && input->bits > 8;
  if (isa<DynamicType>(elementOf(getX())) && !getTokenType(elementOf(getX())))
    return emitOpError("expects x with ranges at run time to have those of "
                       "tokens, in unsigned codes of 2 to 8 bits, got ")
           << elementOf(getX());
  if (isa<DynamicType>(elementOf(getResult())))
    return emitOpError("expects a result in f32 or of fixed ranges, got ")
           << elementOf(getResult());
  if (getActivation() == Activation::IGelu && !getFixed())
    return emitOpError("expects fixed with activation i_gelu, which has no "
                       "form in f32");
  if (getFixed() && (isWide || getTokenType(elementOf(getX()))))
    return emitOpError("expects x of at most 8 bits and of one scale with "
                       "fixed, got ")
           << elementOf(getX());
  if (failed(checkFixed(*this, getFixed(), getResult())))
    return failure();
  if (Value zeros = getWZeros()) {
    if (getFixed())
      return emitOpError("expects no w_zeros with fixed");
    if (isWide || isa<DynamicType>(elementOf(getX())))
      return emitOpError("expects x of one scale and of at most 8 bits beside "
                         "w_zeros, got ")
             << elementOf(getX());
    if (failed(checkDim(*this, "w_zeros", zeros, 0, dimOf(getW(), 0), "w")))
      return failure();
  }
  return checkProduct(*this, isWide ? 2 : 1,
                      isWide ? "twice w, for x of more than 8 bits" : "w", 1,
                      "w");
}

int64_t QGroupLinearOp::getGroupCount() {
  if (std::optional<ArrayRef<int64_t>> blocks = getBlocks())
    return int64_t(blocks->size());
  return int64_t(cast<GroupType>(elementOf(getX())).getParams().size());
}

SmallVector<int64_t> QGroupLinearOp::getGroupMap() {
  std::optional<ArrayRef<int64_t>> blocks = getBlocks();
  if (!blocks)
    return llvm::to_vector(cast<GroupType>(elementOf(getX())).getMap());
  SmallVector<int64_t> map;
  for (auto [g, end] : llvm::enumerate(*blocks))
    map.resize(end, int64_t(g));
  return map;
}

/// The columns of a block have one scale and zero point.
static LogicalResult
checkBlocksInGroups(QGroupLinearOp op, ArrayRef<int64_t> ends, GroupType type) {
  int64_t from = 0;
  for (int64_t end : ends) {
    for (int64_t k = from; k < std::min<int64_t>(end, type.getMap().size());
         ++k)
      if (type.getMap()[k] != type.getMap()[from])
        return op.emitOpError("expects each block within one group of x, got "
                              "columns ")
               << from << " and " << k << " of groups " << type.getMap()[from]
               << " and " << type.getMap()[k];
    from = end;
  }
  return success();
}

LogicalResult QGroupLinearOp::verify() {
  if (getActivation() == Activation::IGelu)
    return emitOpError("has no activation i_gelu, which is for fixed products");
  auto type = dyn_cast<GroupType>(elementOf(getX()));
  if (std::optional<ArrayRef<int64_t>> blocks = getBlocks()) {
    std::optional<CodeStorage> storage = getCodeStorage(elementOf(getX()));
    bool isFit = isa<OffsetType>(elementOf(getX())) ||
                 getPerTensorParams(elementOf(getX())) ||
                 (type && type.getAxis() == 1);
    if (!isFit || !storage || storage->bits > 8)
      return emitOpError(
                 "expects x to have codes of one scale, or of groups of "
                 "columns, in at most 8 bits beside blocks, got ")
             << elementOf(getX());
    if (failed(checkBlocks(*this, *blocks, dimOf(getW(), 1))) ||
        (type && failed(checkBlocksInGroups(*this, *blocks, type))))
      return failure();
  } else if (!type || type.getStorageBits() > 8 || type.getAxis() != 1) {
    return emitOpError("expects x to have codes of at most 8 bits in groups of "
                       "columns, got ")
           << elementOf(getX());
  }
  int64_t groups = getGroupCount();
  return checkProduct(*this, groups, "groups times outputs", groups,
                      "groups times outputs");
}
