//===- LowerMicroOps.cpp - Micro-ops as plain vector code -----------------===//
//
// One pattern for each micro-op, valid on any machine. Shapes are chosen so
// that LLVM finds the 16-bit multiply-add of SSE2 for dot products.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "dialects/TK/VectorCode.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace quern {
#define GEN_PASS_DEF_LOWERMICROOPS
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;
using tk::splat;

static VectorType lanesOf(int64_t count, Type element) {
  return VectorType::get({count}, element);
}

/// Sums products of the even (byte 0) or odd (byte 1) bytes of 16-bit pairs:
/// 32 products of 16-bit numbers become 16 sums of neighbours.
static Value multiplyPairs(OpBuilder &b, Location loc, Value a, Value w) {
  VectorType wide = lanesOf(32, b.getI32Type());
  Value product =
      arith::MulIOp::create(b, loc, arith::ExtSIOp::create(b, loc, wide, a),
                            arith::ExtSIOp::create(b, loc, wide, w));
  SmallVector<int64_t> even, odd;
  for (int64_t i = 0; i < 16; ++i) {
    even.push_back(2 * i);
    odd.push_back(2 * i + 1);
  }
  return arith::AddIOp::create(
      b, loc, vector::ShuffleOp::create(b, loc, product, product, even),
      vector::ShuffleOp::create(b, loc, product, product, odd));
}

namespace {

struct LowerDot4 : OpRewritePattern<tk::Dot4Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Dot4Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    tk::Dot4Words words = tk::splitDot4(b, loc, op.getA(), op.getB());
    Value sum = arith::AddIOp::create(
        b, loc, multiplyPairs(b, loc, words.evenA, words.evenB),
        multiplyPairs(b, loc, words.oddA, words.oddB));
    b.replaceOpWithNewOp<arith::AddIOp>(op, op.getAcc(), sum);
    return success();
  }
};

struct LowerBroadcast4 : OpRewritePattern<tk::Broadcast4Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Broadcast4Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value four = vector::LoadOp::create(b, loc, lanesOf(4, b.getI8Type()),
                                        op.getMemory(), op.getIndex());
    Value word =
        vector::BitCastOp::create(b, loc, lanesOf(1, b.getI32Type()), four);
    Value all =
        vector::BroadcastOp::create(b, loc, lanesOf(16, b.getI32Type()), word);
    b.replaceOpWithNewOp<vector::BitCastOp>(op, op.getType(), all);
    return success();
  }
};

struct LowerUnpack : OpRewritePattern<tk::UnpackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::UnpackOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(op.getType());
    int64_t above = 8 - op.getBits() * (op.getPart() + 1);
    Value v = op.getPacked();
    if (above)
      v = arith::ShLIOp::create(b, loc, v,
                                splat<int8_t>(b, loc, type, int8_t(above)));
    b.replaceOpWithNewOp<arith::ShRSIOp>(
        op, v, splat<int8_t>(b, loc, type, int8_t(8 - op.getBits())));
    return success();
  }
};

struct LowerLut256 : OpRewritePattern<tk::Lut256Op> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::Lut256Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(op.getType());
    Value result = splat<int8_t>(b, loc, type, 0);
    for (int64_t l = 0; l < 64; ++l) {
      Value code = vector::ExtractOp::create(b, loc, op.getCodes(), l);
      Value index =
          arith::IndexCastUIOp::create(b, loc, b.getIndexType(), code);
      Value at = arith::AddIOp::create(b, loc, index, op.getOffset());
      Value byte = memref::LoadOp::create(b, loc, op.getTable(), at);
      result = vector::InsertOp::create(b, loc, byte, result, l);
    }
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerLut16 : OpRewritePattern<tk::Lut16Op> {
  using OpRewritePattern::OpRewritePattern;

  /// A constant table in memory, one for all its uses: looking up lanes of a
  /// vector that is no variable would put the vector on the stack each time.
  static Value getTableInMemory(tk::Lut16Op op, PatternRewriter &b) {
    DenseFPElementsAttr values;
    auto module = op->getParentOfType<ModuleOp>();
    if (!module || !matchPattern(op.getTable(), m_Constant(&values)))
      return {};
    auto type = MemRefType::get({16}, b.getF32Type());
    auto initial = values.reshape(RankedTensorType::get({16}, b.getF32Type()));
    memref::GlobalOp found;
    unsigned count = 0;
    for (auto global : module.getOps<memref::GlobalOp>()) {
      ++count;
      if (global.getInitialValueAttr() == initial)
        found = global;
    }
    if (!found) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(module.getBody());
      found = memref::GlobalOp::create(
          b, op.getLoc(), "table." + std::to_string(count),
          b.getStringAttr("private"), type, initial, /*constant=*/true,
          b.getI64IntegerAttr(64));
    }
    return memref::GetGlobalOp::create(b, op.getLoc(), type, found.getName());
  }

  LogicalResult matchAndRewrite(tk::Lut16Op op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    Value low = arith::AndIOp::create(
        b, loc, op.getIndex(),
        splat<int32_t>(b, loc, cast<VectorType>(op.getIndex().getType()), 15));
    Value result = splat<float>(b, loc, cast<VectorType>(op.getType()), 0.0f);
    Value memory = getTableInMemory(op, b);
    for (int64_t l = 0; l < 16; ++l) {
      Value code = vector::ExtractOp::create(b, loc, low, l);
      Value index =
          arith::IndexCastUIOp::create(b, loc, b.getIndexType(), code);
      Value v;
      if (memory)
        v = memref::LoadOp::create(b, loc, memory, index);
      else
        v = vector::ExtractOp::create(b, loc, op.getTable(),
                                      OpFoldResult(index));
      result = vector::InsertOp::create(b, loc, v, result, l);
    }
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerRound : OpRewritePattern<tk::RoundOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::RoundOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto ints = cast<VectorType>(op.getType());
    auto floats = cast<VectorType>(op.getValue().getType());
    float lo = op.getLo().convertToFloat(), hi = op.getHi().convertToFloat();
    Value v =
        tk::MaxOp::create(b, loc, splat(b, loc, floats, lo), op.getValue());
    v = tk::MinOp::create(b, loc, splat(b, loc, floats, hi), v);
    // Adding a constant of which one ulp is one rounds half to even; the
    // number then stands in the low bits. 2^23 serves [0, 2^23], 1.5 * 2^23
    // either sign up to 2^22.
    bool wide = lo >= 0;
    float magic = wide ? 8388608.0f : 12582912.0f;
    int32_t bits = wide ? 0x4b000000 : 0x4b400000;
    v = arith::AddFOp::create(b, loc, v, splat(b, loc, floats, magic));
    v = arith::BitcastOp::create(b, loc, ints, v);
    b.replaceOpWithNewOp<arith::SubIOp>(op, v, splat(b, loc, ints, bits));
    return success();
  }
};

/// `a PREDICATE b ? a : b`, the form that LLVM knows as one instruction.
template <typename Op, arith::CmpFPredicate Predicate>
struct LowerSelect : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &b) const override {
    Value first =
        arith::CmpFOp::create(b, op.getLoc(), Predicate, op.getA(), op.getB());
    b.replaceOpWithNewOp<arith::SelectOp>(op, first, op.getA(), op.getB());
    return success();
  }
};

struct LowerLoadCodes : OpRewritePattern<tk::LoadCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::LoadCodesOp op,
                                PatternRewriter &b) const override {
    Type element = cast<MemRefType>(op.getMemory().getType()).getElementType();
    Value codes = vector::LoadOp::create(b, op.getLoc(), lanesOf(16, element),
                                         op.getMemory(), op.getIndex());
    if (op.getIsSigned())
      b.replaceOpWithNewOp<arith::ExtSIOp>(op, op.getType(), codes);
    else
      b.replaceOpWithNewOp<arith::ExtUIOp>(op, op.getType(), codes);
    return success();
  }
};

struct LowerStoreCodes : OpRewritePattern<tk::StoreCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::StoreCodesOp op,
                                PatternRewriter &b) const override {
    Type element = cast<MemRefType>(op.getMemory().getType()).getElementType();
    Value codes = arith::TruncIOp::create(b, op.getLoc(), lanesOf(16, element),
                                          op.getValue());
    b.replaceOpWithNewOp<vector::StoreOp>(op, codes, op.getMemory(),
                                          op.getIndex());
    return success();
  }
};

struct LowerMicroOps : quern::impl::LowerMicroOpsBase<LowerMicroOps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateTilePatterns(patterns);
    patterns.add<LowerDot4, LowerBroadcast4, LowerUnpack, LowerLut256,
                 LowerLut16, LowerRound, LowerLoadCodes, LowerStoreCodes,
                 LowerSelect<tk::MaxOp, arith::CmpFPredicate::OGT>,
                 LowerSelect<tk::MinOp, arith::CmpFPredicate::OLT>>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    WalkResult left = getOperation()->walk([](Operation *op) {
      if (!isa_and_nonnull<tk::TKDialect>(op->getDialect()) ||
          isa<tk::ProgramOp, tk::LaunchOp, tk::BufferOp, tk::DataOp>(op))
        return WalkResult::advance();
      op->emitOpError("has no plain lowering; tq-expand-math must run first");
      return WalkResult::interrupt();
    });
    if (left.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
