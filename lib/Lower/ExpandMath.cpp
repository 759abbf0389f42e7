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
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace quern {
#define GEN_PASS_DEF_EXPANDMATH
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {

/// Arithmetic on 16 lanes, with the spelling of quant_math.h.
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
  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value max(Value a, Value b) { return tk::MaxOp::create(builder, loc, a, b); }
  Value min(Value a, Value b) { return tk::MinOp::create(builder, loc, a, b); }
  Value bits(Value v) {
    return arith::BitcastOp::create(builder, loc, ints, v);
  }
  Value real(Value v) {
    return arith::BitcastOp::create(builder, loc, floats, v);
  }
  Value mask(Value integers, uint32_t bits) {
    return arith::AndIOp::create(builder, loc, integers, splat(bits));
  }
  Value abs(Value v) { return real(mask(bits(v), 0x7fffffffu)); }

  /// qm_segments
  template <int Rows>
  Value segments(Value t, float scale, const float (&table)[Rows][16]) {
    Value s = min(mul(t, splat(scale)), splat(QM_SEGMENT_LIMIT));
    Value r = add(s, splat(QM_ROUND_MAGIC));
    Value u = sub(s, sub(r, splat(QM_ROUND_MAGIC)));
    Value index = bits(r);
    auto look = [&](int p) -> Value {
      return tk::Lut16Op::create(builder, loc, index, this->table(table[p]));
    };
    Value y = look(Rows - 1);
    for (int p = Rows - 2; p >= 0; --p)
      y = add(mul(y, u), look(p));
    return y;
  }

  Value relu(Value x) { return max(x, splat(0.0f)); }

  Value gelu(Value x) {
    return sub(relu(x), segments(abs(x), QM_GELU_SCALE, qm_gelu_table));
  }

  Value geluTanh(Value x) {
    return sub(relu(x), segments(abs(x), QM_GELU_SCALE, qm_gelu_tanh_table));
  }

  Value tanh(Value x) {
    Value y = segments(abs(x), QM_TANH_SCALE, qm_tanh_table);
    Value sign = mask(bits(x), 0x80000000u);
    Value size = mask(bits(y), 0x7fffffffu);
    return real(arith::OrIOp::create(builder, loc, size, sign));
  }

  Value exp(Value x) {
    x = min(splat(QM_EXP_HIGH), max(splat(QM_EXP_LOW), x));
    Value m = add(mul(x, splat(QM_EXP_LOG2E)), splat(QM_EXP_MAGIC));
    Value n = sub(m, splat(QM_EXP_MAGIC));
    Value r = sub(x, mul(n, splat(QM_EXP_LN2_HI)));
    r = sub(r, mul(n, splat(QM_EXP_LN2_LO)));
    Value y = splat(qm_exp_table[QM_EXP_DEGREE]);
    for (int p = QM_EXP_DEGREE - 1; p >= 0; --p)
      y = add(mul(y, r), splat(qm_exp_table[p]));
    y = add(add(mul(y, mul(r, r)), r), splat(1.0f));
    Value biased = arith::AddIOp::create(builder, loc, bits(m), splat(127u));
    Value scale =
        arith::ShLIOp::create(builder, loc, biased, splat(uint32_t(23)));
    return mul(y, real(scale));
  }
};

template <typename Op> struct ExpandFloat : OpRewritePattern<Op> {
  using Function = Value (Lanes::*)(Value);
  ExpandFloat(MLIRContext *context, Function function)
      : OpRewritePattern<Op>(context), function(function) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Lanes lanes(rewriter, op.getLoc());
    rewriter.replaceOp(op, (lanes.*function)(op.getValue()));
    return success();
  }
  Function function;
};

struct ExpandRequant : OpRewritePattern<tk::RequantOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::RequantOp op,
                                PatternRewriter &rewriter) const override {
    Lanes lanes(rewriter, op.getLoc());
    Value v = arith::SIToFPOp::create(rewriter, op.getLoc(), lanes.floats,
                                      op.getAcc());
    v = lanes.add(lanes.mul(v, op.getMultiplier()), op.getOffset());
    rewriter.replaceOpWithNewOp<tk::RoundOp>(op, lanes.ints, v, op.getLoAttr(),
                                             op.getHiAttr());
    return success();
  }
};

struct ExpandMath : quern::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandRequant>(&getContext());
    patterns.add<ExpandFloat<tk::GeluOp>>(&getContext(), &Lanes::gelu);
    patterns.add<ExpandFloat<tk::GeluTanhOp>>(&getContext(), &Lanes::geluTanh);
    patterns.add<ExpandFloat<tk::TanhOp>>(&getContext(), &Lanes::tanh);
    patterns.add<ExpandFloat<tk::ExpOp>>(&getContext(), &Lanes::exp);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
