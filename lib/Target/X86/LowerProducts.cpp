//===- LowerProducts.cpp - Calls of the library of products ---------------===//
//
// The library is C: pointers and 64-bit numbers.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Target/X86/Addresses.h"
#include "lib/Target/X86/X86Passes.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {
#define GEN_PASS_DEF_LOWERPRODUCTS
#include "lib/Target/X86/X86Passes.h.inc"
} // namespace quern

using namespace mlir;
using namespace quern;
using x86::address;

namespace {
struct LowerProducts : quern::impl::LowerProductsBase<LowerProducts> {
  using LowerProductsBase::LowerProductsBase;

  void runOnOperation() override {
    SmallVector<tk::ProductOp> products;
    getOperation().walk([&](tk::ProductOp op) { products.push_back(op); });
    for (tk::ProductOp op : products)
      lower(op);
  }

private:
  LLVM::LLVMFuncOp entry(int64_t bits) {
    std::string name = "quern_product_" + tier + "_w" + std::to_string(bits);
    if (auto found = getOperation().lookupSymbol<LLVM::LLVMFuncOp>(name))
      return found;
    OpBuilder b(getOperation().getBodyRegion());
    Type pointer = LLVM::LLVMPointerType::get(b.getContext());
    Type number = b.getI64Type();
    auto type = LLVM::LLVMFunctionType::get(
        LLVM::LLVMVoidType::get(b.getContext()),
        {pointer, number, pointer, number, number, number, number, pointer});
    return LLVM::LLVMFuncOp::create(b, getOperation().getLoc(), name, type);
  }

  void lower(tk::ProductOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    auto constant = [&](int64_t v) -> Value {
      return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(v));
    };
    // The library takes whole tiles of four rows.
    Value rows =
        arith::IndexCastOp::create(b, loc, b.getI64Type(), op.getRows());
    rows = arith::AddIOp::create(b, loc, rows, constant(3));
    rows = arith::AndIOp::create(b, loc, rows, constant(-4));
    LLVM::CallOp::create(
        b, loc, entry(op.getBits()),
        ValueRange{address(b, loc, op.getX(), op.getXAt()),
                   constant(op.getXStride()),
                   address(b, loc, op.getW(), op.getWAt()),
                   constant(op.getPanelBytes()), constant(op.getTurns()),
                   constant(op.getPanels()), rows,
                   address(b, loc, op.getOut(), op.getOutAt())});
    op.erase();
  }
};
} // namespace
