//===- LowerAmx.cpp - Tile ops to AMX-INT8 --------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Tiles become values of LLVM's tile type: LLVM allocates the eight registers
// and configures them once, at the start of a kernel.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Target/X86/Addresses.h"
#include "lib/Target/X86/Intrinsics.h"
#include "lib/Target/X86/X86Passes.h"

#include "mlir/IR/Matchers.h"

namespace quern {
#define GEN_PASS_DEF_LOWERAMX
#include "lib/Target/X86/X86Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;

namespace {
struct LowerAmx : quern::impl::LowerAmxBase<LowerAmx> {
  void runOnOperation() override {
    tiles.clear();
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<tk::TileLoadOp, tk::TileDotOp, tk::TileStoreOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
    // Users first.
    for (Operation *op : llvm::reverse(ops))
      op->erase();
  }

private:
  LogicalResult lower(Operation *op) {
    // A tile that leaves these ops would have to become a vector.
    for (Operation *user : op->getUsers())
      if (!isa<tk::TileDotOp, tk::TileStoreOp>(user))
        return op->emitOpError("is used by ")
               << user->getName() << ", expected only tile_dot and tile_store";
    OpBuilder b(op);
    if (auto load = dyn_cast<tk::TileLoadOp>(op))
      tiles[load] = lowerLoad(b, load);
    else if (auto dot = dyn_cast<tk::TileDotOp>(op))
      return lowerDot(b, dot);
    else
      return lowerStore(b, cast<tk::TileStoreOp>(op));
    return success();
  }

  static Value half(OpBuilder &b, Location loc, int16_t v) {
    return LLVM::ConstantOp::create(b, loc, b.getI16IntegerAttr(v));
  }
  static Value stride(OpBuilder &b, Location loc, int64_t v) {
    return LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(v));
  }
  static Type tileType(OpBuilder &b) {
    return LLVM::LLVMX86AMXType::get(b.getContext());
  }

  Value lowerLoad(OpBuilder &b, tk::TileLoadOp op) {
    Location loc = op.getLoc();
    x86::Name name = op.getStreamed() ? x86::kTileLoadStreamed : x86::kTileLoad;
    return x86::call(b, loc, name, tileType(b),
                     {half(b, loc, 16), half(b, loc, 64),
                      x86::address(b, loc, op.getMemory(), op.getIndex()),
                      stride(b, loc, op.getStride())});
  }

  /// The tile of an operand; null if it is made by nothing that this knows.
  Value tileOf(OpBuilder &b, Location loc, Value v) {
    if (matchPattern(v, m_Zero()))
      return x86::call(b, loc, x86::kTileZero, tileType(b),
                       {half(b, loc, 16), half(b, loc, 64)});
    return tiles.lookup(v);
  }

  LogicalResult lowerDot(OpBuilder &b, tk::TileDotOp op) {
    Location loc = op.getLoc();
    Value acc = tileOf(b, loc, op.getAcc());
    Value left = tileOf(b, loc, op.getA()), right = tileOf(b, loc, op.getB());
    if (!acc || !left || !right)
      return op.emitOpError("expects operands that are zeros or made by "
                            "tile_load and tile_dot");
    Value rows = half(b, loc, 16), bytes = half(b, loc, 64);
    tiles[op] = x86::call(b, loc, x86::kTileDot, tileType(b),
                          {rows, bytes, bytes, acc, left, right});
    return success();
  }

  LogicalResult lowerStore(OpBuilder &b, tk::TileStoreOp op) {
    Location loc = op.getLoc();
    Value tile = tileOf(b, loc, op.getValue());
    if (!tile)
      return op.emitOpError("expects a value that is zero or made by tile_load "
                            "and tile_dot");
    LLVM::CallIntrinsicOp::create(
        b, loc, b.getStringAttr(x86::kTileStore),
        ValueRange{half(b, loc, 16), half(b, loc, 64),
                   x86::address(b, loc, op.getMemory(), op.getIndex()),
                   stride(b, loc, op.getStride()), tile});
    return success();
  }

  DenseMap<Value, Value> tiles;
};
} // namespace
