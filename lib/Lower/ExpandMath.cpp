//===- ExpandMath.cpp - The sequences of quant_math.h as IR ---------------===//
//
// Each function below mirrors the one of the same name in quant_math.h line by
// line; the tables are the same arrays.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"
#include "quern/quant_math.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace quern {
#define GEN_PASS_DEF_EXPANDMATH
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

/// Neighbouring ops of one kind that are expanded in step: the sequences are
/// long chains, and the schedulers of a core see only a few of them at once.
static constexpr size_t kInStep = 4;

namespace {

/// The same value of several chains.
using Group = SmallVector<Value, kInStep>;

/// Arithmetic on groups of 16 lanes, with the spelling of quant_math.h.
struct Lanes {
  OpBuilder &builder;
  Location loc;
  VectorType floats, ints;

  Lanes(OpBuilder &builder, Location loc)
      : builder(builder), loc(loc),
        floats(VectorType::get({16}, builder.getF32Type())),
        ints(VectorType::get({16}, builder.getI32Type())) {}

  Value splat(float v) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(floats, ArrayRef<float>(v)));
  }
  Value splat(uint32_t v) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(ints, ArrayRef<uint32_t>(v)));
  }
  Value table(const float (&v)[16]) {
    return arith::ConstantOp::create(
        builder, loc, DenseElementsAttr::get(floats, ArrayRef<float>(v)));
  }

  template <typename Op> Group apply(const Group &a, const Group &b) {
    Group result;
    for (auto [x, y] : llvm::zip_equal(a, b))
      result.push_back(Op::create(builder, loc, x, y));
    return result;
  }
  template <typename Op> Group apply(const Group &a, Value b) {
    return apply<Op>(a, Group(a.size(), b));
  }
  template <typename B> Group add(const Group &a, const B &b) {
    return apply<arith::AddFOp>(a, b);
  }
  template <typename B> Group sub(const Group &a, const B &b) {
    return apply<arith::SubFOp>(a, b);
  }
  template <typename B> Group mul(const Group &a, const B &b) {
    return apply<arith::MulFOp>(a, b);
  }
  Group min(const Group &a, float b) { return apply<tk::MinOp>(a, splat(b)); }
  Group max(const Group &a, float b) { return apply<tk::MaxOp>(a, splat(b)); }
  /// qm_clamp
  Group clamp(const Group &a, float lo, float hi) {
    Group low(a.size(), splat(lo)), high(a.size(), splat(hi));
    return apply<tk::MinOp>(high, apply<tk::MaxOp>(low, a));
  }
  Group cast(const Group &a, Type type) {
    Group result;
    for (Value v : a)
      result.push_back(arith::BitcastOp::create(builder, loc, type, v));
    return result;
  }
  Group bits(const Group &a) { return cast(a, ints); }
  Group real(const Group &a) { return cast(a, floats); }
  Group mask(const Group &integers, uint32_t bits) {
    return apply<arith::AndIOp>(integers, splat(bits));
  }
  Group abs(const Group &a) { return real(mask(bits(a), 0x7fffffffu)); }

  /// qm_segments
  template <int Rows>
  Group segments(const Group &t, float scale, const float (&table)[Rows][16]) {
    Group s = min(mul(t, splat(scale)), QM_SEGMENT_LIMIT);
    Value magic = splat(QM_ROUND_MAGIC);
    Group r = add(s, magic);
    Group u = sub(s, sub(r, magic));
    Group index = bits(r);
    auto look = [&](int p) {
      Value row = this->table(table[p]);
      Group result;
      for (Value i : index)
        result.push_back(tk::Lut16Op::create(builder, loc, i, row));
      return result;
    };
    Group y = look(Rows - 1);
    for (int p = Rows - 2; p >= 0; --p)
      y = add(mul(y, u), look(p));
    return y;
  }

  Group gelu(const Group &x) {
    return sub(max(x, 0.0f), segments(abs(x), QM_GELU_SCALE, qm_gelu_table));
  }

  Group geluTanh(const Group &x) {
    return sub(max(x, 0.0f),
               segments(abs(x), QM_GELU_SCALE, qm_gelu_tanh_table));
  }

  Group tanh(const Group &x) {
    Group y = segments(abs(x), QM_TANH_SCALE, qm_tanh_table);
    Group sign = mask(bits(x), 0x80000000u);
    return real(apply<arith::OrIOp>(mask(bits(y), 0x7fffffffu), sign));
  }

  Group exp(const Group &v) {
    Group x = clamp(v, QM_EXP_LOW, QM_EXP_HIGH);
    Value magic = splat(QM_EXP_MAGIC);
    Group m = add(mul(x, splat(QM_EXP_LOG2E)), magic);
    Group n = sub(m, magic);
    Group r = sub(x, mul(n, splat(QM_EXP_LN2_HI)));
    r = sub(r, mul(n, splat(QM_EXP_LN2_LO)));
    Group y(x.size(), splat(qm_exp_table[QM_EXP_DEGREE]));
    for (int p = QM_EXP_DEGREE - 1; p >= 0; --p)
      y = add(mul(y, r), splat(qm_exp_table[p]));
    y = add(add(mul(y, mul(r, r)), r), splat(1.0f));
    Group biased = apply<arith::AddIOp>(bits(m), splat(127u));
    return mul(y, real(apply<arith::ShLIOp>(biased, splat(uint32_t(23)))));
  }
};

struct ExpandMath : quern::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    getOperation()->walk([&](Block *block) { blocks.push_back(block); });
    for (Block *block : blocks) {
      expandRuns<tk::GeluOp>(*block, &Lanes::gelu);
      expandRuns<tk::GeluTanhOp>(*block, &Lanes::geluTanh);
      expandRuns<tk::TanhOp>(*block, &Lanes::tanh);
      expandRuns<tk::ExpOp>(*block, &Lanes::exp);
      for (auto op : llvm::make_early_inc_range(block->getOps<tk::RequantOp>()))
        expandRequant(op);
    }
  }

  /// Expands each run of up to kInStep neighbouring ops of one kind.
  template <typename Op>
  void expandRuns(Block &block, Group (Lanes::*function)(const Group &)) {
    SmallVector<Op> ops(block.getOps<Op>());
    for (size_t i = 0; i < ops.size();) {
      SmallVector<Op, kInStep> run;
      do
        run.push_back(ops[i++]);
      while (i < ops.size() && run.size() < kInStep &&
             run.back()->getNextNode() == ops[i].getOperation());
      Group values;
      for (Op op : run)
        values.push_back(op.getValue());
      // An op that takes the result of another of the run ends it.
      bool chained = llvm::any_of(values, [&](Value v) {
        return llvm::is_contained(run, v.getDefiningOp<Op>());
      });
      if (chained) {
        i -= run.size() - 1;
        run.resize(1);
        values.resize(1);
      }
      OpBuilder builder(run.front());
      Lanes lanes(builder, run.front().getLoc());
      Group results = (lanes.*function)(values);
      for (auto [op, result] : llvm::zip_equal(run, results)) {
        op.replaceAllUsesWith(result);
        op.erase();
      }
    }
  }

  void expandRequant(tk::RequantOp op) {
    OpBuilder builder(op);
    Lanes lanes(builder, op.getLoc());
    Value real = arith::SIToFPOp::create(builder, op.getLoc(), lanes.floats,
                                         op.getAcc());
    Group v = lanes.mul({real}, op.getMultiplier());
    v = lanes.add(v, op.getOffset());
    op.replaceAllUsesWith(tk::RoundOp::create(builder, op.getLoc(), lanes.ints,
                                              v.front(), op.getLoAttr(),
                                              op.getHiAttr())
                              .getResult());
    op.erase();
  }
};

} // namespace
