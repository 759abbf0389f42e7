//===- DeviceBuilder.cpp - Writing one GPU kernel -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernel itself, integers, reals and control flow; DeviceMemory.cpp has
// the rest.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

/// Address spaces of LLVM's NVPTX target.
static constexpr unsigned kGlobal = 1;

static constexpr StringLiteral kEarlyLaunch = "quern.early_launch";

DeviceBuilder::DeviceBuilder(ModuleOp module, StringRef name,
                             ArrayRef<Param> params, int64_t threads,
                             int64_t blocks)
    : module(module), b(UnknownLoc::get(module.getContext()),
                        OpBuilder::atBlockEnd(module.getBody())) {
  SmallVector<Type> types;
  for (Param param : params)
    types.push_back(
        param == Param::I32   ? Type(b.getI32Type())
        : param == Param::F32 ? Type(b.getF32Type())
        : param == Param::Map
            ? Type(LLVM::LLVMPointerType::get(b.getContext()))
            : Type(LLVM::LLVMPointerType::get(b.getContext(), kGlobal)));
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(b.getContext()), types);
  kernel = LLVM::LLVMFuncOp::create(b, name, type);
  kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  kernel->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                  b.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                  b.getI32IntegerAttr(int32_t(blocks)));
  for (auto [i, param] : llvm::enumerate(params)) {
    if (param == Param::Map) {
      // 128 bytes of the parameters themselves.
      Type bytes = LLVM::LLVMArrayType::get(b.getI8Type(), 128);
      kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(bytes));
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        b.getI64IntegerAttr(64));
      kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                        b.getUnitAttr());
    }
    if (param != Param::Input && param != Param::Output)
      continue;
    kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                      b.getUnitAttr());
    kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                      b.getI64IntegerAttr(16));
    if (param == Param::Input)
      kernel.setArgAttr(i, LLVM::LLVMDialect::getReadonlyAttrName(),
                        b.getUnitAttr());
  }
  b.setInsertionPointToStart(kernel.addEntryBlock(b));
  if (module->hasAttr(kEarlyLaunch))
    waitForKernelBefore();
}

void DeviceBuilder::allowEarlyLaunch(ModuleOp module) {
  module->setAttr(kEarlyLaunch, UnitAttr::get(module.getContext()));
}

LLVM::LLVMFuncOp DeviceBuilder::finish() {
  LLVM::ReturnOp::create(b, ValueRange());
  return kernel;
}

Value DeviceBuilder::param() { return kernel.getArgument(nextParam++); }

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value DeviceBuilder::c(int64_t value) {
  return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(value)));
}
Value DeviceBuilder::c64(int64_t value) {
  return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
}
Value DeviceBuilder::f(float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}
Value DeviceBuilder::f64(double value) {
  return arith::ConstantOp::create(b, b.getF64FloatAttr(value));
}
Value DeviceBuilder::add(Value x, Value y) { return two<arith::AddIOp>(x, y); }
Value DeviceBuilder::sub(Value x, Value y) { return two<arith::SubIOp>(x, y); }
Value DeviceBuilder::mul(Value x, Value y) { return two<arith::MulIOp>(x, y); }
Value DeviceBuilder::div(Value x, int64_t y) {
  return two<arith::DivUIOp>(x, c(y));
}
Value DeviceBuilder::divide(Value x, Value y) {
  return two<arith::DivUIOp>(x, y);
}
Value DeviceBuilder::rem(Value x, int64_t y) {
  return two<arith::RemUIOp>(x, c(y));
}
Value DeviceBuilder::bitAnd(Value x, Value y) {
  return two<arith::AndIOp>(x, y);
}
Value DeviceBuilder::bitOr(Value x, Value y) { return two<arith::OrIOp>(x, y); }
Value DeviceBuilder::bitXor(Value x, Value y) {
  return two<arith::XOrIOp>(x, y);
}
Value DeviceBuilder::shl(Value x, int64_t bits) {
  return two<arith::ShLIOp>(x, c(bits));
}
Value DeviceBuilder::shr(Value x, int64_t bits) {
  return two<arith::ShRUIOp>(x, c(bits));
}
Value DeviceBuilder::shrSigned(Value x, int64_t bits) {
  return two<arith::ShRSIOp>(x, c(bits));
}
Value DeviceBuilder::shlBy(Value x, Value bits) {
  return two<arith::ShLIOp>(x, bits);
}
Value DeviceBuilder::shrBy(Value x, Value bits) {
  return two<arith::ShRUIOp>(x, bits);
}
Value DeviceBuilder::shrSignedBy(Value x, Value bits) {
  return two<arith::ShRSIOp>(x, bits);
}
Value DeviceBuilder::max(Value x, Value y) { return two<arith::MaxSIOp>(x, y); }
Value DeviceBuilder::min(Value x, Value y) { return two<arith::MinSIOp>(x, y); }
Value DeviceBuilder::minUnsigned(Value x, Value y) {
  return two<arith::MinUIOp>(x, y);
}
Value DeviceBuilder::less(Value x, Value y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
}
Value DeviceBuilder::equal(Value x, Value y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
}
Value DeviceBuilder::select(Value which, Value x, Value y) {
  return arith::SelectOp::create(b, which, x, y);
}
Value DeviceBuilder::wide(Value x) {
  return arith::ExtSIOp::create(b, i64(), x);
}
Value DeviceBuilder::wideUnsigned(Value x) {
  return arith::ExtUIOp::create(b, i64(), x);
}
Value DeviceBuilder::signExtend(Value x) {
  return arith::ExtSIOp::create(b, i32(), x);
}
Value DeviceBuilder::mulWide(Value x, Value y) {
  return two<arith::MulIOp>(wide(x), wide(y));
}
Value DeviceBuilder::narrow(Value x, Type type) {
  return arith::TruncIOp::create(b, type, x);
}
Value DeviceBuilder::zeroExtend(Value x) {
  return arith::ExtUIOp::create(b, i32(), x);
}
Value DeviceBuilder::bits(Value x, Type type) {
  return arith::BitcastOp::create(b, type, x);
}

static Value callIntrinsic(ImplicitLocOpBuilder &b, StringRef name, Type type,
                           ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), operands)
      .getResult(0);
}

Value DeviceBuilder::permute(Value x, Value y, int64_t selector) {
  return callIntrinsic(b, "llvm.nvvm.prmt", i32(), {x, y, c(selector)});
}
Value DeviceBuilder::sumBytes(Value x, Value sum) {
  return callIntrinsic(b, "llvm.nvvm.idp4a.u.u", i32(),
                       {x, c(0x01010101), sum});
}

//===----------------------------------------------------------------------===//
// Reals
//===----------------------------------------------------------------------===//

Value DeviceBuilder::addF(Value x, Value y) { return two<arith::AddFOp>(x, y); }
Value DeviceBuilder::subF(Value x, Value y) { return two<arith::SubFOp>(x, y); }
Value DeviceBuilder::mulF(Value x, Value y) { return two<arith::MulFOp>(x, y); }
Value DeviceBuilder::divF(Value x, Value y) { return two<arith::DivFOp>(x, y); }
Value DeviceBuilder::maxF(Value x, Value y) {
  return two<arith::MaxNumFOp>(x, y);
}
Value DeviceBuilder::minF(Value x, Value y) {
  return two<arith::MinNumFOp>(x, y);
}
Value DeviceBuilder::lessF(Value x, Value y) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, y);
}
Value DeviceBuilder::absF(Value x) {
  return bits(bitAnd(bits(x, i32()), 0x7fffffff), f32());
}
Value DeviceBuilder::toFloat(Value x) {
  if (x.getType() == f64())
    return arith::TruncFOp::create(b, f32(), x);
  return arith::SIToFPOp::create(b, f32(), x);
}
Value DeviceBuilder::unsignedToFloat(Value x) {
  return arith::UIToFPOp::create(b, f32(), x);
}
Value DeviceBuilder::toDouble(Value x) {
  if (x.getType() == f32())
    return arith::ExtFOp::create(b, f64(), x);
  return arith::SIToFPOp::create(b, f64(), x);
}
Value DeviceBuilder::sqrt(Value x) {
  return callIntrinsic(b, "llvm.nvvm.sqrt.rn.d", f64(), x);
}
Value DeviceBuilder::round(Value x) {
  return callIntrinsic(b, "llvm.nvvm.f2i.rn", i32(), x);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

Values DeviceBuilder::loop(Value begin, Value end, int64_t step,
                           ArrayRef<Value> init,
                           function_ref<Values(Value, ArrayRef<Value>)> body) {
  auto loop = scf::ForOp::create(b, begin, end, c(step), ValueRange(init));
  OpBuilder::InsertionGuard guard(b);
  // An empty one is there already where nothing is carried.
  if (init.empty())
    b.setInsertionPoint(loop.getBody()->getTerminator());
  else
    b.setInsertionPointToEnd(loop.getBody());
  Values carried(loop.getRegionIterArgs());
  Values next = body(loop.getInductionVar(), carried);
  if (!init.empty())
    scf::YieldOp::create(b, ValueRange(next));
  return Values(loop.getResults());
}

void DeviceBuilder::ifThen(Value condition, Body body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenBlock()->getTerminator());
  body();
}

} // namespace quern::nvptx
