//===- LowerAvx512Vnni.cpp - Micro-ops to AVX-512, VNNI and VBMI ----------===//
//
// One pattern for each micro-op that has an instruction; and the same for CPUs
// without VNNI and VBMI.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Target/X86/Intrinsics.h"
#include "lib/Target/X86/PairPatterns.h"
#include "lib/Target/X86/SpreadChains.h"
#include "lib/Target/X86/X86Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace quern {
#define GEN_PASS_DEF_LOWERAVX512BW
#define GEN_PASS_DEF_LOWERAVX512VNNI
#include "lib/Target/X86/X86Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;
using x86::call;

static Value currentRounding(OpBuilder &b, Location loc) {
  return LLVM::ConstantOp::create(b, loc,
                                  b.getI32IntegerAttr(x86::kCurrentRounding));
}

static Value allLanes(OpBuilder &b, Location loc) {
  return LLVM::ConstantOp::create(b, loc, b.getI16IntegerAttr(-1));
}

static Value constant(OpBuilder &b, Location loc, VectorType type,
                      Attribute element) {
  return arith::ConstantOp::create(b, loc,
                                   SplatElementsAttr::get(type, element));
}

static Value convert(OpBuilder &b, Location loc, Value v, VectorType ints) {
  Value zero = constant(b, loc, ints, b.getI32IntegerAttr(0));
  return call(b, loc, x86::kRound, ints,
              {v, zero, allLanes(b, loc), currentRounding(b, loc)});
}

namespace {

struct LowerDot4 : OpRewritePattern<tk::Dot4Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Dot4Op op,
                                PatternRewriter &b) const override {
    b.replaceOp(op, call(b, op.getLoc(), x86::kDot4, op.getType(),
                         {op.getAcc(), op.getA(), op.getB()}));
    return success();
  }
};

struct LowerLut16 : OpRewritePattern<tk::Lut16Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Lut16Op op,
                                PatternRewriter &b) const override {
    // The instruction ignores all but four bits of an index.
    b.replaceOp(op, call(b, op.getLoc(), x86::kPermuteFloats, op.getType(),
                         {op.getTable(), op.getIndex()}));
    return success();
  }
};

struct LowerUnpack : OpRewritePattern<tk::UnpackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::UnpackOp op,
                                PatternRewriter &b) const override {
    // A look-up whose table repeats, so that bits beside the code need not be
    // cleared: one shift and one permutation.
    Location loc = op.getLoc();
    auto bytes = cast<VectorType>(op.getType());
    int64_t codes = int64_t(1) << op.getBits();
    SmallVector<int8_t> table;
    for (int64_t i = 0; i < 64; ++i) {
      int64_t code = i % codes;
      table.push_back(int8_t(code < codes / 2 ? code : code - codes));
    }
    Value tables = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(bytes, ArrayRef<int8_t>(table)));
    Value index = op.getPacked();
    if (op.getPart()) {
      auto words = VectorType::get({32}, b.getI16Type());
      Value shift =
          constant(b, loc, words,
                   b.getI16IntegerAttr(int16_t(op.getBits() * op.getPart())));
      Value v = vector::BitCastOp::create(b, loc, words, index);
      v = arith::ShRUIOp::create(b, loc, v, shift);
      index = vector::BitCastOp::create(b, loc, bytes, v);
    }
    b.replaceOp(op, call(b, loc, x86::kPermuteBytes, bytes, {tables, index}));
    return success();
  }
};

struct LowerLut256 : OpRewritePattern<tk::Lut256Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Lut256Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(op.getType());
    auto quarter = [&](int64_t i) -> Value {
      Value skip = arith::ConstantIndexOp::create(b, loc, 64 * i);
      Value at = arith::AddIOp::create(b, loc, op.getOffset(), skip);
      return vector::LoadOp::create(b, loc, type, op.getTable(), at);
    };
    Value low = call(b, loc, x86::kPermuteBytes2, type,
                     {quarter(0), op.getCodes(), quarter(1)});
    Value high = call(b, loc, x86::kPermuteBytes2, type,
                      {quarter(2), op.getCodes(), quarter(3)});
    Value zero = constant(b, loc, type, b.getI8IntegerAttr(0));
    Value top = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                      op.getCodes(), zero);
    b.replaceOpWithNewOp<arith::SelectOp>(op, top, high, low);
    return success();
  }
};

template <typename Op> struct LowerExtremum : OpRewritePattern<Op> {
  LowerExtremum(MLIRContext *context, llvm::StringLiteral name)
      : OpRewritePattern<Op>(context), name(name) {}
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    Value rounding = currentRounding(b, op.getLoc());
    b.replaceOp(op, call(b, op.getLoc(), name, op.getType(),
                         {op.getA(), op.getB(), rounding}));
    return success();
  }
  llvm::StringLiteral name;
};

struct LowerRound : OpRewritePattern<tk::RoundOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::RoundOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto floats = cast<VectorType>(op.getValue().getType());
    Value lo = constant(b, loc, floats, op.getLoAttr());
    Value hi = constant(b, loc, floats, op.getHiAttr());
    Value v = tk::MaxOp::create(b, loc, lo, op.getValue());
    v = tk::MinOp::create(b, loc, hi, v);
    b.replaceOp(op, convert(b, loc, v, cast<VectorType>(op.getType())));
    return success();
  }
};

/// See the description of the pass.
struct LowerRoundAndStore : OpRewritePattern<tk::StoreCodesOp> {
  LowerRoundAndStore(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/2) {}
  LogicalResult matchAndRewrite(tk::StoreCodesOp op,
                                PatternRewriter &b) const override {
    auto round = op.getValue().getDefiningOp<tk::RoundOp>();
    if (!round || !round->hasOneUse())
      return b.notifyMatchFailure(op, "value is no rounding of its own");
    Type element = cast<MemRefType>(op.getMemory().getType()).getElementType();
    if (!element.isInteger(8) || !round.getLo().isZero() ||
        round.getHi().convertToFloat() != 255.0f)
      return b.notifyMatchFailure(op, "not all 256 codes of a byte");
    Location loc = op.getLoc();
    auto floats = cast<VectorType>(round.getValue().getType());
    auto ints = cast<VectorType>(round.getType());
    auto bytes = VectorType::get({16}, element);
    Value lo = constant(b, loc, floats, b.getF32FloatAttr(0.0f));
    Value v = tk::MaxOp::create(b, loc, lo, round.getValue());
    v = convert(b, loc, v, ints);
    // LLVM selects vpmovusdb; the intrinsic would cost a mask each time.
    Value most = constant(b, loc, ints, b.getI32IntegerAttr(255));
    v = arith::MinUIOp::create(b, loc, v, most);
    v = arith::TruncIOp::create(b, loc, bytes, v);
    b.replaceOpWithNewOp<vector::StoreOp>(op, v, op.getMemory(), op.getIndex());
    b.eraseOp(round);
    return success();
  }
};

/// Runs the patterns that need AVX-512F only, and `more`.
LogicalResult lowerAll(Operation *root, RewritePatternSet more) {
  MLIRContext *context = root->getContext();
  // The store must see the rounding before that is lowered itself.
  RewritePatternSet first(context);
  first.add<LowerRoundAndStore>(context);
  more.add<LowerLut16, LowerRound>(context);
  more.add<LowerExtremum<tk::MaxOp>>(context, x86::kMax);
  more.add<LowerExtremum<tk::MinOp>>(context, x86::kMin);
  return success(succeeded(applyPatternsGreedily(root, std::move(first))) &&
                 succeeded(applyPatternsGreedily(root, std::move(more))));
}

struct LowerAvx512Vnni : quern::impl::LowerAvx512VnniBase<LowerAvx512Vnni> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerDot4, LowerUnpack, LowerLut256>(&getContext());
    if (failed(lowerAll(getOperation(), std::move(patterns))))
      return signalPassFailure();
    spreadChains(getOperation());
  }
};

struct LowerAvx512Bw : quern::impl::LowerAvx512BwBase<LowerAvx512Bw> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populatePairPatterns(patterns, /*bits=*/512);
    populateShufflePatterns(patterns, /*bits=*/512);
    if (failed(lowerAll(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
