//===- Interpreter.cpp - The reference for tq functions -------------------===//
//
// Part of Quern. Walks the function's one block, evaluates op after op and
// forgets each value after its last use.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Interpreter.h"
#include "lib/Interpret/Constants.h"
#include "lib/Interpret/Evaluation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern;

FailureOr<Tensor> Evaluation::site(Operation *op, StringRef name, Tensor value,
                                   Type scheme, const Tensor *real) {
  if (name.empty())
    return value;
  SiteValue site{name, value, scheme, op, real};
  if (hooks.observe)
    hooks.observe(site);
  if (!hooks.force)
    return value;
  std::optional<Tensor> forced = hooks.force(site);
  if (!forced)
    return value;
  if (forced->getShape() != value.getShape() ||
      forced->getKind() != value.getKind()) {
    op->emitOpError("was given a value of another shape or kind for site '")
        << name << "'";
    return failure();
  }
  if (std::optional<tq::CodeStorage> storage = tq::getCodeStorage(
          scheme ? scheme : Type(NoneType::get(op->getContext()))))
    for (int32_t code : forced->get<int32_t>())
      if (code < storage->min || code > storage->max) {
        op->emitOpError("was given code ")
            << code << " for site '" << name << "', which holds ["
            << storage->min << ", " << storage->max << "]";
        return failure();
      }
  return *forced;
}

FailureOr<Tensor> Evaluation::sumSite(Operation *op, unsigned index,
                                      StringRef name, Tensor value,
                                      Type scheme) {
  Value a = op->getOperand(0), b = op->getOperand(1);
  if (name.empty()) {
    for (const ForcedSum &sum : sums)
      if (sum.a == a && sum.b == b && sum.index == index &&
          sum.computed.get<int32_t>() == value.get<int32_t>())
        return sum.forced;
    return value;
  }
  FailureOr<Tensor> shown = site(op, name, value, scheme);
  if (succeeded(shown) && hooks.force)
    sums.push_back({a, b, index, value, *shown});
  return shown;
}

FailureOr<std::vector<Sequence>>
quern::readSequences(Operation *op, const Tensor &offsets, int64_t tokens) {
  ArrayRef<int32_t> ends = offsets.get<int32_t>();
  if (ends.empty() || ends.front() != 0) {
    op->emitOpError("expects offsets to start with 0");
    return failure();
  }
  std::vector<Sequence> sequences;
  int64_t scores = 0;
  for (size_t i = 1; i < ends.size(); ++i) {
    int64_t length = int64_t(ends[i]) - ends[i - 1];
    if (length < 0) {
      op->emitOpError("expects ascending offsets, got ")
          << ends[i - 1] << " before " << ends[i];
      return failure();
    }
    sequences.push_back({ends[i - 1], length, scores, ends[i - 1], length});
    scores += length * length;
  }
  if (tokens >= 0 && ends.back() != tokens) {
    op->emitOpError("expects the last offset to be the number of tokens ")
        << tokens << ", got " << ends.back();
    return failure();
  }
  return sequences;
}

FailureOr<std::vector<Sequence>>
quern::readFirstQueries(Operation *op, const Tensor &offsets, int64_t tokens) {
  auto sequences = readSequences(op, offsets, tokens);
  if (failed(sequences))
    return failure();
  for (auto [i, s] : llvm::enumerate(*sequences)) {
    if (s.length == 0) {
      op->emitOpError(
          "expects a token in every sequence, got none in sequence ")
          << i;
      return failure();
    }
    s.scores = s.begin;
    s.firstQuery = int64_t(i);
    s.queries = 1;
  }
  return sequences;
}

int64_t quern::countScores(const std::vector<Sequence> &sequences) {
  if (sequences.empty())
    return 0;
  const Sequence &last = sequences.back();
  return last.scores + last.queries * last.length;
}

int64_t quern::countQueries(const std::vector<Sequence> &sequences) {
  if (sequences.empty())
    return 0;
  const Sequence &last = sequences.back();
  return last.firstQuery + last.queries;
}

LogicalResult quern::checkIndices(Operation *op, StringRef name,
                                  const Tensor &index, int64_t rows) {
  for (int32_t i : index.get<int32_t>())
    if (i < 0 || i >= rows)
      return op->emitOpError("expects ")
             << name << " in [0, " << rows << "), got " << i;
  return success();
}

static bool isIntegerOp(Operation *op) {
  return isa<tq::QLinearOp, tq::QGroupLinearOp, tq::QAttentionOp, tq::QAddOp,
             tq::QAddNormOp, tq::QEmbedOp, tq::QPoolOp, tq::QShiftGeluOp,
             tq::QLimitOp, tq::RequantizeOp>(op);
}

static FailureOr<Tensor> evaluateOp(Operation *op, Evaluation &run) {
  using namespace tq;
  return TypeSwitch<Operation *, FailureOr<Tensor>>(op)
      .Case([&](arith::ConstantOp constant) -> FailureOr<Tensor> {
        if (auto value = dyn_cast<ElementsAttr>(constant.getValue()))
          return readConstant(op, value, /*isSigned=*/true);
        op->emitOpError("cannot be interpreted: expects a tensor, got ")
            << constant.getType();
        return failure();
      })
      .Case<EmbeddingOp, AddOp, ScaleShiftOp, ReorderOp, LayerNormOp, LinearOp,
            GeluOp, ReluOp, TanhOp, PoolOp, NormalizeOp, ObserveOp, ScoresOp,
            SoftmaxOp, ContextOp, ConstantOp, QuantizeOp, DequantizeOp,
            RequantizeOp, DequantizeWeightOp, QLinearOp, QGroupLinearOp,
            QPoolOp, QAttentionOp, QAddOp, QAddNormOp, QEmbedOp, QShiftGeluOp,
            QLimitOp>([&](auto typed) { return evaluate(typed, run); })
      .Default([&](Operation *) -> FailureOr<Tensor> {
        op->emitOpError("cannot be interpreted");
        return failure();
      });
}

/// The inputs must be what the signature says: kind and static sizes.
static LogicalResult checkInputs(func::FuncOp func, ArrayRef<Tensor> inputs) {
  if (inputs.size() != func.getNumArguments())
    return func.emitOpError("expects ")
           << func.getNumArguments() << " inputs, got " << inputs.size();
  for (auto [i, input] : llvm::enumerate(inputs)) {
    auto type = dyn_cast<RankedTensorType>(func.getArgumentTypes()[i]);
    bool fits = type && type.getRank() == input.getRank();
    for (unsigned dim = 0; fits && dim < type.getRank(); ++dim)
      fits = type.isDynamicDim(dim) ||
             type.getDimSize(dim) == input.getShape()[dim];
    bool isFloat = type && type.getElementType().isF32();
    Tensor::Kind kind = input.getKind();
    fits &= isFloat ? kind == Tensor::Kind::F32 || kind == Tensor::Kind::F64
                    : kind == Tensor::Kind::I32 || kind == Tensor::Kind::I8;
    if (!fits)
      return func.emitOpError("expects input ")
             << i << " to be a " << func.getArgumentTypes()[i];
  }
  return success();
}

FailureOr<Tensor> Interpreter::run(ArrayRef<Tensor> inputs,
                                   const SiteHooks &hooks,
                                   Arithmetic arithmetic, StringRef function) {
  auto func = module.lookupSymbol<func::FuncOp>(function);
  if (!func || func.isExternal() || !func.getBody().hasOneBlock()) {
    module.emitError("expects a function '")
        << function << "' with one block to run";
    return failure();
  }
  if (failed(checkInputs(func, inputs)))
    return failure();

  Block &block = func.getBody().front();
  bool machine =
      arithmetic == Arithmetic::Machine ||
      (arithmetic == Arithmetic::Auto &&
       llvm::any_of(block, [](Operation &op) { return isIntegerOp(&op); }));
  Evaluation run(hooks, machine);
  llvm::DenseMap<Value, unsigned> uses;
  auto count = [&](Value value) {
    uses[value] = std::distance(value.use_begin(), value.use_end());
  };
  for (auto [argument, input] : llvm::zip(func.getArguments(), inputs)) {
    count(argument);
    run.set(argument, input);
  }
  for (Operation &op : block.without_terminator()) {
    FailureOr<Tensor> result = evaluateOp(&op, run);
    if (failed(result))
      return failure();
    count(op.getResult(0));
    run.set(op.getResult(0), std::move(*result));
    for (Value operand : op.getOperands())
      if (--uses[operand] == 0)
        run.drop(operand);
  }
  Operation *terminator = block.getTerminator();
  if (terminator->getNumOperands() != 1) {
    terminator->emitOpError("expects one result, got ")
        << terminator->getNumOperands();
    return failure();
  }
  return run.get(terminator->getOperand(0));
}
