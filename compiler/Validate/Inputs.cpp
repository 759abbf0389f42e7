//===- Inputs.cpp - What functions are interpreted on ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Inputs.h"

#include "dialects/TQ/TQOps.h"
#include "dialects/TQ/TQTypes.h"

#include <random>

using namespace mlir;

namespace quern {

static Tensor vectorOf(std::vector<int32_t> values) {
  Tensor::Shape shape = {int64_t(values.size())};
  return Tensor::of(std::move(values), shape);
}

std::vector<Tensor> packedInputs(const std::vector<TokenSequence> &sequences,
                                 size_t maxSequences, size_t maxTokens) {
  std::vector<int32_t> ids, types, positions, offsets = {0};
  for (const TokenSequence &sequence : sequences) {
    if (offsets.size() > maxSequences)
      break;
    size_t count = std::min(maxTokens, sequence.ids.size());
    for (size_t i = 0; i < count; ++i) {
      ids.push_back(sequence.ids[i]);
      types.push_back(sequence.types[i]);
      positions.push_back(int32_t(i));
    }
    offsets.push_back(int32_t(ids.size()));
  }
  return {vectorOf(ids), vectorOf(types), vectorOf(positions),
          vectorOf(offsets)};
}

namespace {

/// Rows where the types leave their number open, and the sequences in them.
constexpr int64_t openRows = 10;
constexpr int64_t openSequences = 3;

class Generator {
public:
  Generator(func::FuncOp function, InputKind kind)
      : function(function), kind(kind), random(unsigned(kind) * 77 + 5) {}

  std::optional<std::vector<Tensor>> run();

private:
  std::optional<Tensor> make(BlockArgument argument);
  Tensor offsets(int64_t count) const;
  Tensor codes(Tensor::Shape shape, tq::CodeStorage storage);
  Tensor reals(Tensor::Shape shape);
  std::vector<double> tiesOfQuantizers() const;
  /// In [-1, 1).
  double uniform() { return double(random() % 4096) / 2048 - 1; }

  func::FuncOp function;
  InputKind kind;
  std::mt19937 random;
  int64_t rows = openRows;
};

} // namespace

bool holdsOffsets(BlockArgument argument) {
  return llvm::any_of(argument.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto op = dyn_cast<tq::ScoresOp>(user))
      return &op.getOffsetsMutable() == &use;
    if (auto op = dyn_cast<tq::SoftmaxOp>(user))
      return &op.getOffsetsMutable() == &use;
    if (auto op = dyn_cast<tq::ContextOp>(user))
      return &op.getOffsetsMutable() == &use;
    if (auto op = dyn_cast<tq::PoolOp>(user))
      return &op.getOffsetsMutable() == &use;
    if (auto op = dyn_cast<tq::QPoolOp>(user))
      return &op.getOffsetsMutable() == &use;
    if (auto op = dyn_cast<tq::QAttentionOp>(user))
      return &op.getOffsetsMutable() == &use;
    return false;
  });
}

/// Sequences of unequal length, one of them of a single row.
Tensor Generator::offsets(int64_t count) const {
  std::vector<int32_t> values = {0};
  for (int64_t i = 1; i < count; ++i)
    values.push_back(
        int32_t(i + 1 == count ? rows : std::min(rows, rows / 2 + (i - 1))));
  return vectorOf(std::move(values));
}

/// (k + 1/2) scale - zero scale of every quantizer of one scale.
std::vector<double> Generator::tiesOfQuantizers() const {
  std::vector<double> values = {0};
  function->walk([&](tq::QuantizeOp op) {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    if (auto params = tq::getPerTensorParams(type.getElementType()))
      for (int k : {-129, -2, -1, 0, 1, 128})
        values.push_back(params->scale * (k + 0.5));
  });
  return values;
}

Tensor Generator::reals(Tensor::Shape shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  std::vector<double> ties = tiesOfQuantizers(), values;
  for (int64_t i = 0; i < count; ++i) {
    double value = 2 * uniform();
    if (kind == InputKind::Ties)
      value = ties[random() % ties.size()];
    else if (kind == InputKind::Outliers && i % 5 == 0)
      value *= 50;
    else if (kind == InputKind::Extremes)
      value = i % 3 == 0 ? 0 : i % 2 ? 1e4 : -1e4;
    // Values that f32 has: machine arithmetic starts from the same.
    values.push_back(float(value));
  }
  return Tensor::of(std::move(values), shape);
}

Tensor Generator::codes(Tensor::Shape shape, tq::CodeStorage storage) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  std::vector<int32_t> values;
  for (int64_t i = 0; i < count; ++i) {
    int64_t code = storage.min +
                   int64_t(random() % uint64_t(storage.max - storage.min + 1));
    if (kind == InputKind::Extremes || (kind == InputKind::Outliers && i % 5))
      code = i % 2 ? storage.max : storage.min;
    values.push_back(int32_t(code));
  }
  return Tensor::of(std::move(values), shape);
}

std::optional<Tensor> Generator::make(BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type)
    return std::nullopt;
  Tensor::Shape shape;
  for (int64_t i = 0; i < type.getRank(); ++i)
    shape.push_back(type.isDynamicDim(i) ? rows : type.getDimSize(i));
  Type element = type.getElementType();
  if (element.isF32())
    return reals(shape);
  // Run-time ranges belong to the codes; nothing here has them.
  if (isa<tq::DynamicType>(element))
    return std::nullopt;
  if (auto storage = tq::getCodeStorage(element))
    return codes(shape, *storage);
  if (!element.isInteger(32) || type.getRank() != 1)
    return std::nullopt;
  int64_t limit = 1;
  if (holdsOffsets(argument))
    return offsets(type.isDynamicDim(0) ? openSequences + 1
                                        : type.getDimSize(0));
  for (OpOperand &use : argument.getUses()) {
    Operation *user = use.getOwner();
    Value table;
    if (auto op = dyn_cast<tq::EmbeddingOp>(user))
      table = op.getTable();
    if (auto op = dyn_cast<tq::QEmbedOp>(user))
      table = use.getOperandNumber() < 3
                  ? op->getOperand(use.getOperandNumber() + 3)
                  : Value();
    if (table)
      limit = cast<RankedTensorType>(table.getType()).getDimSize(0);
  }
  std::vector<int32_t> values;
  for (int64_t i = 0; i < shape[0]; ++i)
    values.push_back(int32_t(random() % uint64_t(limit)));
  return vectorOf(std::move(values));
}

std::optional<std::vector<Tensor>> Generator::run() {
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (type && type.getRank() > 0 && !type.isDynamicDim(0) &&
        !holdsOffsets(argument))
      rows = type.getDimSize(0);
  }
  std::vector<Tensor> inputs;
  for (BlockArgument argument : function.getArguments()) {
    std::optional<Tensor> input = make(argument);
    if (!input)
      return std::nullopt;
    inputs.push_back(std::move(*input));
  }
  return inputs;
}

std::optional<std::vector<Tensor>> generatedInputs(func::FuncOp function,
                                                   InputKind kind) {
  return Generator(function, kind).run();
}

} // namespace quern
