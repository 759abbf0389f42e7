//===- DeviceMemory.cpp - Memory and warps of a GPU kernel ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The parts of DeviceBuilder that a CPU has no like of.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/DeviceBuilder.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;

static constexpr unsigned kGlobal = 1, kShared = 3;
/// What TMA's widest swizzle needs; cp.async and ldmatrix need 16.
static constexpr unsigned kSharedAlignment = 1024;
static constexpr StringLiteral kSharedName = "quern_shared";

/// The fields of an `llvm.struct` of `count` i32.
static Values unpack(ImplicitLocOpBuilder &b, Value from, int64_t count) {
  Values values;
  for (int64_t i = 0; i != count; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, from, i));
  return values;
}

static Type structOf(ImplicitLocOpBuilder &b, int64_t count) {
  SmallVector<Type> types(count, b.getI32Type());
  return LLVM::LLVMStructType::getLiteral(b.getContext(), types);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value DeviceBuilder::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(b, pointer.getType(), b.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>(bytes));
}

Value DeviceBuilder::load(Value pointer, Type type, int64_t alignment) {
  return LLVM::LoadOp::create(b, type, pointer, unsigned(alignment));
}

Values DeviceBuilder::loadMany(Value pointer, Type type, int64_t count) {
  Value whole =
      load(pointer, VectorType::get(count, type), /*alignment=*/count * 4);
  Values values;
  for (int64_t i = 0; i != count; ++i)
    values.push_back(LLVM::ExtractElementOp::create(b, whole, c(i)));
  return values;
}

void DeviceBuilder::store(Value value, Value pointer, int64_t alignment) {
  LLVM::StoreOp::create(b, value, pointer, unsigned(alignment));
}

void DeviceBuilder::storeMany(ArrayRef<Value> values, Value pointer) {
  Type type = VectorType::get(values.size(), values[0].getType());
  Value whole = LLVM::UndefOp::create(b, type);
  for (auto [i, value] : llvm::enumerate(values))
    whole = LLVM::InsertElementOp::create(b, whole, value, c(i));
  store(whole, pointer, int64_t(values.size()) * 4);
}

Value DeviceBuilder::dynamicShared() {
  if (!module.lookupSymbol(kSharedName)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(b.getI8Type(), 0),
                           /*isConstant=*/false, LLVM::Linkage::External,
                           kSharedName, Attribute(), kSharedAlignment, kShared);
  }
  return LLVM::AddressOfOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext(), kShared), kSharedName);
}

Value DeviceBuilder::table(StringRef name, ArrayRef<float> values) {
  return addTable(
      name, DenseElementsAttr::get(
                RankedTensorType::get({int64_t(values.size())}, b.getF32Type()),
                values));
}

Value DeviceBuilder::table(StringRef name, ArrayRef<int32_t> values) {
  return addTable(
      name, DenseElementsAttr::get(
                RankedTensorType::get({int64_t(values.size())}, b.getI32Type()),
                values));
}

Value DeviceBuilder::addTable(StringRef name, DenseElementsAttr values) {
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(
        b,
        LLVM::LLVMArrayType::get(values.getElementType(),
                                 unsigned(values.getNumElements())),
        /*isConstant=*/true, LLVM::Linkage::Internal, name, values,
        /*alignment=*/16, kGlobal);
  }
  return LLVM::AddressOfOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext(), kGlobal), name);
}

//===----------------------------------------------------------------------===//
// The block and its warps
//===----------------------------------------------------------------------===//

Value DeviceBuilder::thread() { return NVVM::ThreadIdXOp::create(b, i32()); }

Value DeviceBuilder::block(int dimension) {
  if (dimension == 0)
    return NVVM::BlockIdXOp::create(b, i32());
  return NVVM::BlockIdYOp::create(b, i32());
}

void DeviceBuilder::barrier() { NVVM::BarrierOp::create(b); }

void DeviceBuilder::copyAsync(Value shared, Value global, Value bytes) {
  NVVM::CpAsyncOp::create(b, shared, global, /*size=*/16u,
                          NVVM::LoadCacheModifierKind::CG, bytes);
}

void DeviceBuilder::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(b); }

void DeviceBuilder::waitForCopies(int64_t groups) {
  NVVM::CpAsyncWaitGroupOp::create(b, b.getI32IntegerAttr(int32_t(groups)));
}

Values DeviceBuilder::loadMatrices(Value shared) {
  Value four = NVVM::LdMatrixOp::create(
      b, structOf(b, 4), shared, 4, NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
      NVVM::LdStMatrixEltType::B16);
  return unpack(b, four, 4);
}

Values DeviceBuilder::multiply(ArrayRef<Value> a, ArrayRef<Value> right,
                               ArrayRef<Value> sums, Product product) {
  using NVVM::MMALayout, NVVM::MMATypes;
  Value result = NVVM::MmaOp::create(
      b, structOf(b, 4), ValueRange(a), ValueRange(right), ValueRange(sums),
      ArrayRef<int64_t>{16, 8, 32}, std::nullopt, NVVM::MMAIntOverflow::wrapped,
      std::array<MMATypes, 2>{MMATypes::u8,
                              product == U8xU8 ? MMATypes::u8 : MMATypes::s8},
      std::array<MMALayout, 2>{MMALayout::row, MMALayout::col});
  return unpack(b, result, 4);
}

Value DeviceBuilder::shuffleXor(Value x, int64_t mask) {
  if (x.getType() == i64()) {
    Value by = arith::ConstantOp::create(b, b.getI64IntegerAttr(32));
    Value high = shuffleXor(narrow(two<arith::ShRUIOp>(x, by), i32()), mask);
    Value low = shuffleXor(narrow(x, i32()), mask);
    return bitOr(two<arith::ShLIOp>(arith::ExtUIOp::create(b, i64(), high), by),
                 arith::ExtUIOp::create(b, i64(), low));
  }
  return NVVM::ShflOp::create(b, x.getType(), c(-1), x, c(mask), c(31),
                              NVVM::ShflKind::bfly, UnitAttr());
}

Value DeviceBuilder::warpSum(Value x) {
  for (int64_t mask = 16; mask; mask /= 2)
    x = add(x, shuffleXor(x, mask));
  return x;
}

Value DeviceBuilder::warpMax(Value x) {
  for (int64_t mask = 16; mask; mask /= 2)
    x = max(x, shuffleXor(x, mask));
  return x;
}

} // namespace quern::nvptx
