//===- SliceRows.cpp - Only the rows that the head reads ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The pass tq-slice-rows: what of the last layer goes by rows of tokens is
// found first, then it is made to go by rows of sequences where it stands. The
// number of rows is open in every type, so that no type changes.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/SchemeAttr.h"

#include "dialects/TQ/TQOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace quern {
#define GEN_PASS_DEF_SLICEROWS
#include "lib/Quantize/Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// What an op has to do with rows of tokens.
struct RowOperands {
  /// Operands with a row for each row of the result.
  SmallVector<OpOperand *, 2> rows;
  /// Whether these may come from all tokens, and be pooled before this op. A
  /// LayerNorm or a quantizer has to go with what made its operand: the
  /// rewrites to integers look for them together.
  bool mayPool = false;
};

/// Finds the ops of a function of which only the first rows are read.
class Slice {
public:
  explicit Slice(func::FuncOp function) : function(function) {}

  /// False where the head reads all rows, or nothing comes of it.
  bool find();
  /// Rewrites what was found.
  void apply();

  unsigned sliced() const { return ops.size(); }
  unsigned pooled() const { return pools.size(); }

private:
  std::optional<RowOperands> rowsOf(Operation *op) const;
  bool readsOneRow(OpOperand &use) const;
  bool stays(Operation *op) const;
  bool isSliced(Value value) const {
    Operation *op = value.getDefiningOp();
    return op && ops.contains(op);
  }

  func::FuncOp function;
  Value offsets;
  SetVector<Operation *> ops;
  llvm::MapVector<Value, Value> pools;
};

} // namespace

/// Codes or numbers of a row that depend on no other row.
static bool isByRows(Type type) {
  Type element = cast<RankedTensorType>(type).getElementType();
  if (isa<tq::DynamicType>(element))
    return bool(tq::getTokenType(element));
  auto axis = dyn_cast<quant::UniformQuantizedPerAxisType>(element);
  return !axis || axis.getQuantizedDimension() != 0;
}

std::optional<RowOperands> Slice::rowsOf(Operation *op) const {
  using Rows = std::optional<RowOperands>;
  auto here = [&](Value given) { return given == offsets; };
  Rows found =
      TypeSwitch<Operation *, Rows>(op)
          .Case([](tq::LinearOp op) {
            return RowOperands{{&op.getXMutable()}, true};
          })
          .Case([](tq::ScaleShiftOp op) {
            return RowOperands{{&op.getXMutable()}, true};
          })
          .Case([](tq::AddOp op) {
            return RowOperands{{&op.getAMutable(), &op.getBMutable()}, true};
          })
          .Case([](tq::LayerNormOp op) {
            return RowOperands{{&op.getXMutable()}};
          })
          .Case<tq::GeluOp, tq::ReluOp, tq::TanhOp, tq::ReorderOp,
                tq::NormalizeOp, tq::ObserveOp, tq::QuantizeOp,
                tq::DequantizeOp>(
              [](auto op) { return RowOperands{{&op.getXMutable()}}; })
          .Case([&](tq::ScoresOp op) -> Rows {
            if (!here(op.getOffsets()) || op.getFirstQuery())
              return std::nullopt;
            return RowOperands{{&op.getQMutable()}, true};
          })
          .Case([&](tq::SoftmaxOp op) -> Rows {
            if (!here(op.getOffsets()))
              return std::nullopt;
            return RowOperands{{&op.getSMutable()}};
          })
          .Case([&](tq::ContextOp op) -> Rows {
            if (!here(op.getOffsets()))
              return std::nullopt;
            return RowOperands{{&op.getPMutable()}};
          })
          .Default([](Operation *) { return std::nullopt; });
  if (!found || op->getNumResults() != 1)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  bool isOpen = type && type.getRank() == 2 &&
                (type.isDynamicDim(0) || type.isDynamicDim(1));
  if (!isOpen || !isByRows(type))
    return std::nullopt;
  return found;
}

/// Whether the reader takes the first row of each sequence and no other.
bool Slice::readsOneRow(OpOperand &use) const {
  Operation *user = use.getOwner();
  if (auto pool = dyn_cast<tq::PoolOp>(user))
    return &pool.getXMutable() == &use && pool.getOffsets() == offsets &&
           pool.getKind() == tq::PoolKind::Cls;
  return ops.contains(user) && llvm::is_contained(rowsOf(user)->rows, &use);
}

/// Whether an op may be sliced, if all that is in `ops` is.
bool Slice::stays(Operation *op) const {
  if (op->use_empty() || !llvm::all_of(op->getUses(), [&](OpOperand &use) {
        return readsOneRow(use);
      }))
    return false;
  RowOperands operands = *rowsOf(op);
  return operands.mayPool || llvm::all_of(operands.rows, [&](OpOperand *row) {
           return isSliced(row->get());
         });
}

bool Slice::find() {
  function.walk([&](tq::PoolOp pool) {
    if (pool.getKind() == tq::PoolKind::Cls && !offsets)
      offsets = pool.getOffsets();
  });
  if (!offsets || !function.getBody().hasOneBlock())
    return false;
  for (Operation &op : function.front())
    if (rowsOf(&op))
      ops.insert(&op);
  // Ops that cannot be sliced take others with them, both ways.
  while (true) {
    SmallVector<Operation *> leaving;
    for (Operation *op : ops)
      if (!stays(op))
        leaving.push_back(op);
    if (leaving.empty())
      break;
    ops.remove_if(
        [&](Operation *op) { return llvm::is_contained(leaving, op); });
  }
  // Without attention there is nothing below the pool that is worth a copy.
  return llvm::any_of(ops,
                      [](Operation *op) { return isa<tq::ContextOp>(op); });
}

void Slice::apply() {
  OpBuilder builder(function.getContext());
  auto pooled = [&](Value value) {
    Value &pool = pools[value];
    if (!pool) {
      builder.setInsertionPointAfterValue(value);
      pool = tq::PoolOp::create(builder, value.getLoc(), value.getType(), value,
                                offsets, tq::PoolKind::Cls);
    }
    return pool;
  };
  SmallVector<tq::PoolOp> heads;
  function.walk([&](tq::PoolOp pool) {
    if (isSliced(pool.getX()))
      heads.push_back(pool);
  });
  for (Operation *op : ops) {
    for (OpOperand *row : rowsOf(op)->rows)
      if (!isSliced(row->get()))
        row->set(pooled(row->get()));
  }
  for (Operation *op : ops)
    TypeSwitch<Operation *>(op)
        .Case<tq::ScoresOp, tq::SoftmaxOp, tq::ContextOp>(
            [](auto op) { op.setFirstQuery(true); });
  for (tq::PoolOp pool : heads) {
    pool.replaceAllUsesWith(pool.getX());
    pool.erase();
  }
}

namespace {
struct SliceRowsPass : quern::impl::SliceRowsBase<SliceRowsPass> {
  using SliceRowsBase::SliceRowsBase;

  void runOnOperation() override {
    auto scheme =
        getOperation()->getAttrOfType<DictionaryAttr>(SchemeAttr::name);
    if (Attribute rows = scheme ? scheme.get(SchemeAttr::rows) : Attribute()) {
      auto word = dyn_cast<StringAttr>(rows);
      if (!word || word != "all") {
        getOperation().emitError("tq.scheme: rows: expected \"all\", got ")
            << rows;
        return signalPassFailure();
      }
      return markAllAnalysesPreserved();
    }
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      Slice slice(function);
      if (function.isExternal() || !slice.find())
        continue;
      slice.apply();
      sliced += slice.sliced();
      pools += slice.pooled();
    }
  }
};
} // namespace
