//===- LowerTiles.cpp - Tiles as vectors ----------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A tile is 16 vectors of 512 bits; a product of tiles, dot products of four
// bytes that are broadcast.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace quern {
#define GEN_PASS_DEF_LOWERTILES
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

static VectorType lanesOf(int64_t count, Type element) {
  return VectorType::get({count}, element);
}

/// The row of a tile that begins at `index` plus `m` strides.
static Value rowAt(OpBuilder &b, Location loc, Value index, int64_t stride,
                   int64_t m) {
  Value skip = arith::ConstantIndexOp::create(b, loc, m * stride);
  return arith::AddIOp::create(b, loc, index, skip);
}

namespace {

struct LowerTileDot : OpRewritePattern<tk::TileDotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::TileDotOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    VectorType lanes = lanesOf(16, b.getI32Type());
    VectorType bytes = lanesOf(64, b.getI8Type());
    Value result = op.getAcc();
    SmallVector<Value> weights;
    for (int64_t k = 0; k < 16; ++k)
      weights.push_back(vector::ExtractOp::create(b, loc, op.getB(), k));
    for (int64_t m = 0; m < 16; ++m) {
      Value row = vector::ExtractOp::create(b, loc, op.getA(), m);
      Value words = vector::BitCastOp::create(b, loc, lanes, row);
      Value acc = vector::ExtractOp::create(b, loc, op.getAcc(), m);
      for (int64_t k = 0; k < 16; ++k) {
        Value four = vector::ExtractOp::create(b, loc, words, k);
        Value all = vector::BroadcastOp::create(b, loc, lanes, four);
        acc = tk::Dot4Op::create(b, loc, acc,
                                 vector::BitCastOp::create(b, loc, bytes, all),
                                 weights[k]);
      }
      result = vector::InsertOp::create(b, loc, acc, result, m);
    }
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerTileLoad : OpRewritePattern<tk::TileLoadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::TileLoadOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(op.getType());
    VectorType bytes = lanesOf(64, b.getI8Type());
    VectorType rowType = lanesOf(type.getShape()[1], type.getElementType());
    Value result = arith::ConstantOp::create(b, loc, type, b.getZeroAttr(type));
    for (int64_t m = 0; m < 16; ++m) {
      Value at = rowAt(b, loc, op.getIndex(), op.getStride(), m);
      Value row = vector::LoadOp::create(b, loc, bytes, op.getMemory(), at);
      if (rowType != bytes)
        row = vector::BitCastOp::create(b, loc, rowType, row);
      result = vector::InsertOp::create(b, loc, row, result, m);
    }
    b.replaceOp(op, result);
    return success();
  }
};

struct LowerTileStore : OpRewritePattern<tk::TileStoreOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tk::TileStoreOp op,
                                PatternRewriter &b) const override {
    Location loc = op.getLoc();
    for (int64_t m = 0; m < 16; ++m) {
      Value row = vector::ExtractOp::create(b, loc, op.getValue(), m);
      row = vector::BitCastOp::create(b, loc, lanesOf(64, b.getI8Type()), row);
      Value at = rowAt(b, loc, op.getIndex(), op.getStride(), m);
      vector::StoreOp::create(b, loc, row, op.getMemory(), at);
    }
    b.eraseOp(op);
    return success();
  }
};

struct LowerTiles : quern::impl::LowerTilesBase<LowerTiles> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateTilePatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void quern::populateTilePatterns(RewritePatternSet &patterns) {
  patterns.add<LowerTileDot, LowerTileLoad, LowerTileStore>(
      patterns.getContext());
}
