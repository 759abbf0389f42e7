//===- SpreadChains.cpp - Lay work between dot products -------------------===//
//
// See SpreadChains.h. Operations are ordered by how many follow them in their
// chain, so that loads come just before their use and chains run in step.
//
// LLVM's scheduler would lay them together again, and then spill sums. Empty
// pieces of assembly, which seem to change two values, keep one before the
// other; they cost no instruction.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/X86/SpreadChains.h"

#include "lib/Target/X86/Intrinsics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace mlir;

namespace quern {

/// Fewer dot products hide nothing, fewer other operations need no hiding.
static constexpr size_t kLeastDots = 32, kLeastOthers = 8;
/// Values that are used more dot products later than this wait: in registers
/// while there are some beside sums, weights, a broadcast and the values that
/// do not wait, else in memory. A store of 64 bytes takes as long as a dot
/// product on Zen 4.
static constexpr size_t kNear = 10;
static constexpr size_t kRegisters = 32, kPassing = 4;
static constexpr int64_t kSlotBytes = 64;

static bool isDot(Operation &op) {
  auto call = dyn_cast<LLVM::CallIntrinsicOp>(op);
  return call && call.getIntrin() == x86::kDot4;
}

static bool isVector(Operation *op) {
  return llvm::any_of(op->getResultTypes(), llvm::IsaPred<VectorType>);
}

/// True if the result fills a register and is no operand in memory.
static bool isRegister(Operation *op) {
  if (op->getNumResults() != 1 || op->use_empty() ||
      isa<vector::LoadOp, vector::BroadcastOp>(op))
    return false;
  auto type = dyn_cast<VectorType>(op->getResult(0).getType());
  return type && type.getNumElements() * type.getElementTypeBitWidth() == 512;
}

/// True for what an instruction computes. A minimum before a truncation is
/// part of that.
static bool isLink(Operation *op) {
  return isRegister(op) &&
         !isa<vector::BitCastOp, arith::BitcastOp, arith::MinUIOp>(op);
}

/// Seems to change all values, at the builder's place: what uses the results
/// comes after what makes the operands. The first may be a number or an
/// address, the others are vectors.
static SmallVector<Value> tie(OpBuilder &b, ArrayRef<Value> values) {
  Location loc = values[0].getLoc();
  SmallVector<Type> types(ValueRange(values).getTypes());
  std::string outputs, inputs;
  for (auto [i, type] : llvm::enumerate(types)) {
    outputs += isa<VectorType>(type) ? "=v," : "=r,";
    inputs += std::to_string(i) + ",";
  }
  inputs.pop_back();
  auto piece = LLVM::InlineAsmOp::create(
      b, loc, LLVM::LLVMStructType::getLiteral(b.getContext(), types), values,
      /*asm_string=*/"", outputs + inputs, /*has_side_effects=*/false,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  SmallVector<Value> results;
  for (size_t i = 0; i < types.size(); ++i)
    results.push_back(
        LLVM::ExtractValueOp::create(b, loc, piece.getResult(0), i));
  return results;
}

namespace {

/// Memory of a function for values that wait; made when it is needed.
class Slots {
public:
  explicit Slots(func::FuncOp function) : function(function) {}

  /// Its address, of which LLVM does not know that it is the stack.
  Value base() {
    if (!hidden) {
      OpBuilder b(function.getBody());
      Location loc = function.getLoc();
      Type pointer = LLVM::LLVMPointerType::get(b.getContext());
      count = LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
      Value memory = LLVM::AllocaOp::create(b, loc, pointer, b.getI8Type(),
                                            count, kSlotBytes);
      hidden = LLVM::InlineAsmOp::create(
                   b, loc, pointer, memory, "", "=r,0", false, false,
                   LLVM::TailCallKind::None,
                   LLVM::AsmDialectAttr::get(b.getContext(),
                                             LLVM::AsmDialect::AD_ATT),
                   ArrayAttr())
                   .getResult(0);
    }
    return hidden;
  }
  /// Makes room for `slots` slots.
  void reserve(int64_t slots) {
    most = std::max(most, slots);
    if (count)
      count.setValueAttr(
          Builder(count.getContext()).getI64IntegerAttr(most * kSlotBytes));
  }

private:
  func::FuncOp function;
  LLVM::ConstantOp count;
  Value hidden;
  int64_t most = 0;
};

/// The operations of one block.
class Spreader {
public:
  Spreader(Block &block, Slots &slots) : block(block), slots(slots) {}

  void run() {
    collect();
    if (dots.size() < kLeastDots || vectors < kLeastOthers ||
        vectors >= dots.size() || !mayMove())
      return;
    size_t free = freeRegisters();
    pinWeights();
    order();
    chooseParked(free);
    for (Operation *op : others) {
      takeOperands(op);
      settle(op);
    }
    slots.reserve(parked);
  }

private:
  /// Finds the dot products, what they need, and the others.
  void collect() {
    llvm::DenseSet<Operation *> needed;
    for (Operation &op : llvm::reverse(block)) {
      if (isDot(op))
        dots.push_back(&op);
      if (isDot(op) || needed.contains(&op)) {
        needed.insert(&op);
        for (Value operand : op.getOperands())
          if (Operation *from = operand.getDefiningOp())
            needed.insert(from);
        continue;
      }
      // What has no operands is a constant, and may stay.
      if (op.hasTrait<OpTrait::IsTerminator>() || !op.getNumOperands())
        continue;
      // Parts in front of a loop or a branch end there.
      if (op.getNumRegions())
        break;
      unsigned above = 0;
      for (Operation *user : op.getUsers())
        above = std::max(above, height.lookup(user) + 1);
      height[&op] = above;
      others.push_back(&op);
      vectors += isVector(&op);
    }
    std::reverse(dots.begin(), dots.end());
    std::reverse(others.begin(), others.end());
  }

  /// Registers for values that wait.
  size_t freeRegisters() const {
    llvm::DenseSet<Operation *> own(dots.begin(), dots.end());
    size_t sums = llvm::count_if(dots, [&](Operation *dot) {
      return !own.contains(dot->getOperand(0).getDefiningOp());
    });
    llvm::DenseSet<Value> weights;
    for (Operation *dot : dots)
      if (dot->getOperand(1) == dots[0]->getOperand(1))
        weights.insert(dot->getOperand(2));
    size_t taken = sums + weights.size() + /*broadcast=*/1 + kPassing;
    return taken < kRegisters ? kRegisters - taken : 0;
  }

  /// True if nothing that moves uses a dot product or what is defined among
  /// them, and no store could change what a load reads.
  bool mayMove() {
    llvm::DenseSet<Operation *> moving(others.begin(), others.end());
    llvm::DenseSet<Value> loaded, stored;
    for (Operation *op : others) {
      for (Value operand : op->getOperands()) {
        Operation *from = operand.getDefiningOp();
        if (from && from->getBlock() == &block && !moving.contains(from) &&
            !from->isBeforeInBlock(dots.front()))
          return false;
      }
      // Intrinsics of arithmetic have no effects, but do not say so.
      if (isMemoryEffectFree(op) || isa<LLVM::CallIntrinsicOp>(op))
        continue;
      auto effects = dyn_cast<MemoryEffectOpInterface>(op);
      if (!effects)
        return false;
      SmallVector<MemoryEffects::EffectInstance> all;
      effects.getEffects(all);
      for (const MemoryEffects::EffectInstance &one : all) {
        if (!one.getValue())
          return false;
        bool reads = isa<MemoryEffects::Read>(one.getEffect());
        (reads ? loaded : stored).insert(one.getValue());
      }
    }
    return llvm::none_of(stored, [&](Value v) { return loaded.contains(v); });
  }

  /// Keeps LLVM from loading the weights of many dot products in advance: each
  /// comes after the dot product before its first use.
  void pinWeights() {
    for (size_t i = 1; i < dots.size(); ++i) {
      auto load = dots[i]->getOperand(2).getDefiningOp<vector::LoadOp>();
      if (load && load->getBlock() == &block &&
          dots[i - 1]->isBeforeInBlock(load) && load.getIndices().size() == 1)
        replaceSum(i - 1, pin(load, sumOf(i - 1)));
    }
  }

  /// Holds `load` behind `sum`; returns what the sum becomes.
  static Value pin(vector::LoadOp load, Value sum) {
    OpBuilder b(load);
    Location loc = load.getLoc();
    Value number = arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                              load.getIndices()[0]);
    SmallVector<Value> tied = tie(b, {number, sum});
    load.getIndicesMutable().assign(ValueRange{
        arith::IndexCastOp::create(b, loc, b.getIndexType(), tied[0])});
    return tied[1];
  }

  /// The sum of a dot product, behind what it has been tied to.
  Value sumOf(size_t dot) {
    Value &sum = latest[dot];
    return sum ? sum : sum = dots[dot]->getResult(0);
  }
  void replaceSum(size_t dot, Value after) {
    Value sum = sumOf(dot);
    sum.replaceAllUsesExcept(after, pieceOf(after));
    latest[dot] = after;
  }

  /// The piece of assembly of which `part` is a result.
  static Operation *pieceOf(Value part) {
    return part.getDefiningOp()->getOperand(0).getDefiningOp();
  }

  void order() {
    std::sort(others.begin(), others.end(), [&](Operation *a, Operation *b) {
      return height[a] != height[b] ? height[a] > height[b]
                                    : a->isBeforeInBlock(b);
    });
    size_t seen = 0;
    for (Operation *op : others) {
      place[op] = seen * dots.size() / (vectors + 1);
      op->moveBefore(dots[place[op]]);
      seen += isVector(op);
    }
  }

  /// The place of the last of the others that uses the result of `op`.
  size_t lastUse(Operation *op) const {
    size_t last = place.lookup(op);
    for (Operation *user : op->getUsers())
      last = std::max(last, place.lookup(user));
    return last;
  }

  /// Finds the values that wait in memory: where more wait than there are
  /// registers, those that do so longest.
  void chooseParked(size_t free) {
    SmallVector<Operation *> held;
    for (Operation *op : others) {
      if (!isRegister(op) || lastUse(op) <= place[op] + kNear)
        continue;
      llvm::erase_if(held,
                     [&](Operation *o) { return lastUse(o) < place[op]; });
      held.push_back(op);
      if (held.size() <= free)
        continue;
      auto longest = std::max_element(
          held.begin(), held.end(),
          [&](Operation *a, Operation *b) { return lastUse(a) < lastUse(b); });
      inMemory.insert(*longest);
      held.erase(longest);
    }
  }

  /// Loads the operands of `op` that wait and are no longer near.
  void takeOperands(Operation *op) {
    Operation *dot = dots[place[op]];
    // Two chains that read the same do so each from memory.
    auto load = dyn_cast<vector::LoadOp>(op);
    if (load && load.getIndices().size() == 1)
      dot->setOperand(0, pin(load, dot->getOperand(0)));
    for (OpOperand &operand : op->getOpOperands()) {
      auto found = waiting.find(operand.get());
      if (found == waiting.end() || place[op] <= found->second.from + kNear)
        continue;
      OpBuilder b(op);
      SmallVector<Value> tied = tie(b, {slots.base(), dot->getOperand(0)});
      dot->setOperand(0, tied[1]);
      operand.set(LLVM::LoadOp::create(b, op->getLoc(), operand.get().getType(),
                                       slotAt(b, tied[0], found->second.slot),
                                       kSlotBytes));
    }
  }

  /// Holds `op` before its dot product, and stores what is used far away.
  void settle(Operation *op) {
    if (!isRegister(op))
      return;
    Operation *dot = dots[place[op]];
    OpBuilder b(dot);
    Value value = op->getResult(0);
    if (isLink(op)) {
      SmallVector<Value> tied = tie(b, {value, dot->getOperand(0)});
      dot->setOperand(0, tied[1]);
      value.replaceAllUsesExcept(tied[0], pieceOf(tied[0]));
      value = tied[0];
    } else {
      b.setInsertionPointAfter(op);
    }
    if (!inMemory.contains(op))
      return;
    waiting[value] = {place[op], parked};
    LLVM::StoreOp::create(b, op->getLoc(), value,
                          slotAt(b, slots.base(), parked++), kSlotBytes);
  }

  static Value slotAt(OpBuilder &b, Value base, int64_t slot) {
    return LLVM::GEPOp::create(b, base.getLoc(), base.getType(), b.getI8Type(),
                               base, LLVM::GEPArg(int32_t(slot * kSlotBytes)));
  }

  Block &block;
  Slots &slots;
  SmallVector<Operation *> dots, others;
  /// Of the others: operations that follow in the longest chain of users, and
  /// the dot product before which they come.
  llvm::DenseMap<Operation *, unsigned> height;
  llvm::DenseMap<Operation *, size_t> place;
  /// Those of which the results wait in memory.
  llvm::DenseSet<Operation *> inMemory;
  size_t vectors = 0;
  /// Sums of dot products behind what they have been tied to.
  llvm::DenseMap<size_t, Value> latest;
  /// Values in memory: where they were made, and their slots.
  struct Waiting {
    size_t from;
    int64_t slot;
  };
  llvm::DenseMap<Value, Waiting> waiting;
  int64_t parked = 0;
};

} // namespace

void spreadChains(Operation *root) {
  root->walk([](func::FuncOp function) {
    SmallVector<Block *> blocks;
    function.walk([&](Block *block) { blocks.push_back(block); });
    Slots slots(function);
    for (Block *block : blocks)
      Spreader(*block, slots).run();
  });
}

} // namespace quern
