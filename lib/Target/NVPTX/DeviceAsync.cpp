//===- DeviceAsync.cpp - Tiles and warpgroups of a GPU kernel -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The parts of DeviceBuilder that sm_90a alone has. Products are written as
// text of PTX: sums that are taken for the first time must not be written
// before, so whether they are added to is said at run time, which nvvm's op
// cannot.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

/// Shared memory of the blocks of a cluster; a block alone is one.
static constexpr unsigned kCluster = 7;

static Type sumsType(ImplicitLocOpBuilder &b, int64_t columns) {
  SmallVector<Type> types(columns / 2, b.getI32Type());
  return LLVM::LLVMStructType::getLiteral(b.getContext(), types);
}

/// Text of PTX, which stays where it is; the result, if `type` is one.
static Value assembly(ImplicitLocOpBuilder &b, Type type, ValueRange operands,
                      const std::string &text, const std::string &constraints) {
  SmallVector<Type> types;
  if (type)
    types.push_back(type);
  auto op = LLVM::InlineAsmOp::create(
      b, types, operands, text, constraints, /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      ArrayAttr());
  return type ? op.getResult(0) : Value();
}

void DeviceBuilder::waitForKernelBefore() {
  // nvvm's op says that it leaves memory alone, so loads could come before it.
  assembly(b, Type(), {},
           "griddepcontrol.launch_dependents;\ngriddepcontrol.wait;",
           "~{memory}");
}

//===----------------------------------------------------------------------===//
// Barriers and tiles
//===----------------------------------------------------------------------===//

void DeviceBuilder::makeBarrier(Value barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(b, barrier, c(arrivals), Value());
}

void DeviceBuilder::fenceBarriers() { NVVM::FenceMbarrierInitOp::create(b); }

void DeviceBuilder::arriveIf(Value condition, Value barrier) {
  Value address = LLVM::PtrToIntOp::create(b, i32(), barrier);
  assembly(b, Type(), {address, select(condition, c(1), c(0))},
           "{\n.reg .pred p;\nsetp.ne.b32 p, $1, 0;\n"
           "@p mbarrier.arrive.shared::cta.b64 _, [$0];\n}",
           "r,r,~{memory}");
}

void DeviceBuilder::arriveForBytes(Value barrier, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(b, i64(), barrier, c(bytes),
                                         NVVM::MemScopeKind::CTA,
                                         /*relaxed=*/false, Value());
}

void DeviceBuilder::waitForPhase(Value barrier, Value parity) {
  // The longest sleep between two looks, in nanoseconds.
  NVVM::MBarrierTryWaitParityOp::create(b, barrier, parity, c(10000000));
}

void DeviceBuilder::copyTile(Value shared, Value map, Value column, Value row,
                             Value barrier) {
  Value to = LLVM::AddrSpaceCastOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext(), kCluster), shared);
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      b, to, map, ValueRange{column, row}, barrier, ValueRange(), Value(),
      Value(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false,
      NVVM::CTAGroupKindAttr(), Value());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void DeviceBuilder::fenceShared() {
  assembly(b, Type(), {}, "fence.proxy.async.shared::cta;", "~{memory}");
}

Value DeviceBuilder::describe(Value shared) {
  Value address = LLVM::PtrToIntOp::create(b, i32(), shared);
  Value place = wideUnsigned(bitAnd(shr(address, 4), 0x3fff));
  // Eight rows to the next eight: 1024 bytes, as all in pieces of 16. The other
  // distance has no meaning here, and is 1. At the top the swizzle of 128
  // bytes.
  constexpr int64_t rows = int64_t(1024 / 16) << 32, unused = int64_t(1) << 16;
  return bitOr(place, c64(int64_t(1) << 62 | rows | unused));
}

Value DeviceBuilder::noSums(int64_t columns) {
  return LLVM::UndefOp::create(b, sumsType(b, columns));
}

void DeviceBuilder::fenceProducts() { NVVM::WgmmaFenceAlignedOp::create(b); }

void DeviceBuilder::commitProducts() {
  NVVM::WgmmaGroupSyncAlignedOp::create(b);
}

void DeviceBuilder::waitForProducts(int64_t groups) {
  NVVM::WgmmaWaitGroupSyncOp::create(b, uint64_t(groups));
}

/// `count` registers that are read and written: the results, then operands that
/// are tied to them behind `between`.
static std::string tied(int64_t count, StringRef between) {
  std::string constraints;
  for (int64_t i = 0; i != count; ++i)
    constraints += "=r,";
  constraints += between;
  for (int64_t i = 0; i != count; ++i)
    constraints += std::to_string(i) + (i + 1 == count ? "" : ",");
  return constraints;
}

static Values fieldsOf(ImplicitLocOpBuilder &b, Value sums, int64_t columns) {
  Values fields;
  for (int64_t i = 0; i != columns / 2; ++i)
    fields.push_back(LLVM::ExtractValueOp::create(b, sums, i));
  return fields;
}

Value DeviceBuilder::startProduct(Value a, Value right, Value sums,
                                  int64_t columns, Value adds) {
  int64_t count = columns / 2;
  auto operand = [&](int64_t i) { return "$" + std::to_string(count + i); };
  std::string text = "{\n.reg .pred p;\nsetp.ne.b32 p, " + operand(2) +
                     ", 0;\nwgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(columns) + "k32.s32.u8.s8 {";
  for (int64_t i = 0; i != count; ++i)
    text += (i ? ", $" : "$") + std::to_string(i);
  text += "}, " + operand(0) + ", " + operand(1) + ", p;\n}";
  Values operands = {a, right, adds};
  operands.append(fieldsOf(b, sums, columns));
  return assembly(b, sumsType(b, columns), operands, text,
                  tied(count, "l,l,r,") + ",~{memory}");
}

Values DeviceBuilder::finishProducts(Value sums, int64_t columns) {
  // The sums go through the wait: nothing that reads them can come before it.
  Value done = assembly(b, sumsType(b, columns), fieldsOf(b, sums, columns),
                        "wgmma.wait_group.sync.aligned 0;",
                        tied(columns / 2, "") + ",~{memory}");
  return fieldsOf(b, done, columns);
}

} // namespace quern::nvptx
