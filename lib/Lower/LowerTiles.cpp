//===- LowerTiles.cpp - Tiles as vectors ----------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A tile is 16 vectors of 512 bits, in memory where it can be; a product of
// tiles, dot products of four bytes that are broadcast.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
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

/// Tiles that only tile ops make and use lie in memory of the stack, with loops
/// over their rows: unrolled, a kernel with tiles would be hundreds of
/// thousands of instructions.
class TilesInMemory {
public:
  explicit TilesInMemory(FunctionOpInterface function) : function(function) {}

  void run() {
    SmallVector<Operation *> ops;
    function->walk([&](Operation *op) {
      if (isa<tk::TileLoadOp, tk::TileDotOp, tk::TileStoreOp>(op))
        ops.push_back(op);
    });
    if (!llvm::all_of(ops, [](Operation *op) { return isClosed(op); }))
      return;
    for (Operation *op : ops) {
      OpBuilder b(op);
      if (auto load = dyn_cast<tk::TileLoadOp>(op))
        lowerLoad(b, load);
      else if (auto dot = dyn_cast<tk::TileDotOp>(op))
        lowerDot(b, dot);
      else
        lowerStore(b, cast<tk::TileStoreOp>(op));
    }
    for (Operation *op : llvm::reverse(ops))
      op->erase();
  }

private:
  static bool isZero(Value v) { return matchPattern(v, m_Zero()); }

  /// True if the tiles of `op` come from tile ops of its block, or are sums
  /// that begin with zeros, and go to such ops: a place that was given back is
  /// not needed elsewhere.
  static bool isClosed(Operation *op) {
    auto isTileOp = [&](Operation *other) {
      return other && other->getBlock() == op->getBlock() &&
             isa<tk::TileLoadOp, tk::TileDotOp, tk::TileStoreOp>(other);
    };
    auto isKnown = [&](Value v) { return isTileOp(v.getDefiningOp()); };
    if (!llvm::all_of(op->getUsers(), isTileOp))
      return false;
    if (auto dot = dyn_cast<tk::TileDotOp>(op))
      return (isZero(dot.getAcc()) || isKnown(dot.getAcc())) &&
             isKnown(dot.getA()) && isKnown(dot.getB());
    auto store = dyn_cast<tk::TileStoreOp>(op);
    return !store || isKnown(store.getValue());
  }

  Value newPlace(Location loc) {
    if (!unused.empty())
      return unused.pop_back_val();
    OpBuilder b(function.getContext());
    b.setInsertionPointToStart(&function.getFunctionBody().front());
    auto type = MemRefType::get({1024}, b.getI8Type());
    return memref::AllocaOp::create(b, loc, type, b.getI64IntegerAttr(64));
  }

  /// `user` has read the tile; true if nobody else will.
  bool done(Value tile, Operation *user) {
    int64_t left = 0;
    for (Operation *other : tile.getUsers())
      left += other != user && user->isBeforeInBlock(other);
    return left == 0;
  }
  void giveBack(Value tile, Operation *user) {
    if (places.contains(tile) && done(tile, user))
      unused.push_back(places[tile]);
  }

  static void forEachRow(OpBuilder &b, Location loc,
                         function_ref<void(OpBuilder &, Value)> body) {
    auto index = [&](int64_t v) -> Value {
      return arith::ConstantIndexOp::create(b, loc, v);
    };
    scf::ForOp::create(b, loc, index(0), index(16), index(1), ValueRange(),
                       [&](OpBuilder &inner, Location, Value row, ValueRange) {
                         body(inner, row);
                         scf::YieldOp::create(inner, loc);
                       });
  }
  static Value scaled(OpBuilder &b, Location loc, Value row, int64_t bytes) {
    Value factor = arith::ConstantIndexOp::create(b, loc, bytes);
    return arith::MulIOp::create(b, loc, row, factor);
  }
  static Value plus(OpBuilder &b, Location loc, Value at, int64_t more) {
    Value number = arith::ConstantIndexOp::create(b, loc, more);
    return arith::AddIOp::create(b, loc, at, number);
  }
  static VectorType bytesOf(OpBuilder &b) { return lanesOf(64, b.getI8Type()); }

  void copyRows(OpBuilder &b, Location loc, Value from, Value fromIndex,
                int64_t fromStride, Value to, Value toIndex, int64_t toStride) {
    forEachRow(b, loc, [&](OpBuilder &r, Value row) {
      auto at = [&](Value index, int64_t stride) -> Value {
        Value skip = scaled(r, loc, row, stride);
        return index ? Value(arith::AddIOp::create(r, loc, index, skip)) : skip;
      };
      Value v = vector::LoadOp::create(r, loc, bytesOf(r), from,
                                       at(fromIndex, fromStride));
      vector::StoreOp::create(r, loc, v, to, at(toIndex, toStride));
    });
  }

  void lowerLoad(OpBuilder &b, tk::TileLoadOp op) {
    Value place = newPlace(op.getLoc());
    copyRows(b, op.getLoc(), op.getMemory(), op.getIndex(), op.getStride(),
             place, Value(), 64);
    places[op] = place;
  }

  void lowerStore(OpBuilder &b, tk::TileStoreOp op) {
    copyRows(b, op.getLoc(), places[op.getValue()], Value(), 64, op.getMemory(),
             op.getIndex(), op.getStride());
    giveBack(op.getValue(), op);
  }

  void lowerDot(OpBuilder &b, tk::TileDotOp op) {
    Location loc = op.getLoc();
    Value acc = isZero(op.getAcc()) ? Value() : places[op.getAcc()];
    Value x = places[op.getA()], w = places[op.getB()];
    bool inPlace = acc && done(op.getAcc(), op);
    Value out = inPlace ? acc : newPlace(loc);
    VectorType lanes = lanesOf(16, b.getI32Type());
    forEachRow(b, loc, [&](OpBuilder &r, Value row) {
      Value at = scaled(r, loc, row, 64);
      Value sums;
      if (acc)
        sums = vector::BitCastOp::create(
            r, loc, lanes, vector::LoadOp::create(r, loc, bytesOf(r), acc, at));
      else
        sums = arith::ConstantOp::create(r, loc, lanes, r.getZeroAttr(lanes));
      for (int64_t k = 0; k < 16; ++k) {
        Value four = tk::Broadcast4Op::create(r, loc, bytesOf(r), x,
                                              plus(r, loc, at, 4 * k));
        Value from = arith::ConstantIndexOp::create(r, loc, 64 * k);
        Value weights = vector::LoadOp::create(r, loc, bytesOf(r), w, from);
        sums = tk::Dot4Op::create(r, loc, sums, four, weights);
      }
      Value bytes = vector::BitCastOp::create(r, loc, bytesOf(r), sums);
      vector::StoreOp::create(r, loc, bytes, out, at);
    });
    places[op] = out;
    giveBack(op.getA(), op);
    if (op.getB() != op.getA())
      giveBack(op.getB(), op);
  }

  FunctionOpInterface function;
  DenseMap<Value, Value> places;
  SmallVector<Value> unused;
};

struct LowerTiles : quern::impl::LowerTilesBase<LowerTiles> {
  void runOnOperation() override {
    getOperation()->walk(
        [](FunctionOpInterface function) { TilesInMemory(function).run(); });
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
