//===- KernelBuilder.cpp - Writing kernels from C++ -----------------------===//
//
// The spelling of constants, arithmetic, memory and loops. Micro-ops are in
// KernelMicroOps.cpp.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelBuilder.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

KernelBuilder::KernelBuilder(ModuleOp module, StringRef name,
                             ArrayRef<Type> elements)
    : builder(module.getContext()), location(builder.getUnknownLoc()),
      bufferCount(elements.size()) {
  SmallVector<Type> types;
  for (Type e : elements)
    types.push_back(MemRefType::get({ShapedType::kDynamic}, e));
  types.append(5, builder.getIndexType());
  types.push_back(MemRefType::get({ShapedType::kDynamic}, i8()));
  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(builder, location, name,
                                  builder.getFunctionType(types, {}));
  function->setAttr("tk.kernel", builder.getUnitAttr());
  Block *entry = function.addEntryBlock();
  arguments.assign(entry->args_begin(), entry->args_end());
  builder.setInsertionPointToStart(entry);
}

func::FuncOp KernelBuilder::finish() {
  func::ReturnOp::create(builder, location);
  return function;
}

Value KernelBuilder::buffer(unsigned i) const {
  assert(i < bufferCount && "the kernel has no such buffer");
  return arguments[i];
}

Value KernelBuilder::trailing(unsigned i) const {
  return arguments[bufferCount + i];
}

Value KernelBuilder::tapping() {
  return equal(bitAnd(flags(), index(1)), index(1));
}

VectorType KernelBuilder::vec(int64_t lanes, Type element) {
  return VectorType::get({lanes}, element);
}

Type KernelBuilder::element(Storage s) {
  return s == Storage::U8 ? i8() : s == Storage::U16 ? i16() : f32();
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value KernelBuilder::index(int64_t v) {
  return arith::ConstantIndexOp::create(builder, location, v);
}
Value KernelBuilder::i32(int32_t v) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getI32IntegerAttr(v));
}
Value KernelBuilder::i64(int64_t v) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getI64IntegerAttr(v));
}
Value KernelBuilder::f32(float v) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getF32FloatAttr(v));
}

Value KernelBuilder::splat(VectorType type, double v) {
  Type element = type.getElementType();
  TypedAttr one = isa<FloatType>(element)
                      ? TypedAttr(builder.getFloatAttr(element, v))
                      : builder.getIntegerAttr(element, int64_t(v));
  return arith::ConstantOp::create(builder, location,
                                   DenseElementsAttr::get(type, one));
}

Value KernelBuilder::broadcast(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(builder, location,
                                     vec(lanes, scalar.getType()), scalar);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

bool KernelBuilder::isFloat(Value v) const {
  return isa<FloatType>(getElementTypeOrSelf(v.getType()));
}

Value KernelBuilder::add(Value a, Value b) {
  if (isFloat(a))
    return arith::AddFOp::create(builder, location, a, b);
  return arith::AddIOp::create(builder, location, a, b);
}
Value KernelBuilder::sub(Value a, Value b) {
  if (isFloat(a))
    return arith::SubFOp::create(builder, location, a, b);
  return arith::SubIOp::create(builder, location, a, b);
}
Value KernelBuilder::mul(Value a, Value b) {
  if (isFloat(a))
    return arith::MulFOp::create(builder, location, a, b);
  return arith::MulIOp::create(builder, location, a, b);
}
Value KernelBuilder::div(Value a, Value b) {
  if (isFloat(a))
    return arith::DivFOp::create(builder, location, a, b);
  return arith::DivUIOp::create(builder, location, a, b);
}
Value KernelBuilder::rem(Value a, Value b) {
  return arith::RemUIOp::create(builder, location, a, b);
}
Value KernelBuilder::min(Value a, Value b) {
  return arith::MinUIOp::create(builder, location, a, b);
}
Value KernelBuilder::maxUnsigned(Value a, Value b) {
  return arith::MaxUIOp::create(builder, location, a, b);
}
Value KernelBuilder::bitXor(Value a, Value b) {
  return arith::XOrIOp::create(builder, location, a, b);
}
Value KernelBuilder::bitAnd(Value a, Value b) {
  return arith::AndIOp::create(builder, location, a, b);
}
Value KernelBuilder::shiftLeft(Value a, Value b) {
  return arith::ShLIOp::create(builder, location, a, b);
}
Value KernelBuilder::shiftRightSigned(Value a, Value b) {
  return arith::ShRSIOp::create(builder, location, a, b);
}
Value KernelBuilder::shiftRight(Value a, Value b) {
  return arith::ShRUIOp::create(builder, location, a, b);
}
Value KernelBuilder::sqrt(Value a) {
  return math::SqrtOp::create(builder, location, a);
}
Value KernelBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(builder, location, condition, a, b);
}
Value KernelBuilder::less(Value a, Value b) {
  return arith::CmpIOp::create(builder, location, arith::CmpIPredicate::ult, a,
                               b);
}
Value KernelBuilder::equal(Value a, Value b) {
  return arith::CmpIOp::create(builder, location, arith::CmpIPredicate::eq, a,
                               b);
}
Value KernelBuilder::roundUp(Value a, int64_t b) {
  return mul(div(add(a, b - 1), index(b)), b);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

static Type withElement(Value v, Type element) {
  if (auto vector = dyn_cast<VectorType>(v.getType()))
    return vector.clone(element);
  return element;
}

Value KernelBuilder::zext(Value v, Type element) {
  return arith::ExtUIOp::create(builder, location, withElement(v, element), v);
}
Value KernelBuilder::sext(Value v, Type element) {
  return arith::ExtSIOp::create(builder, location, withElement(v, element), v);
}
Value KernelBuilder::trunc(Value v, Type element) {
  return arith::TruncIOp::create(builder, location, withElement(v, element), v);
}
Value KernelBuilder::toFloat(Value v, Type element) {
  return arith::SIToFPOp::create(builder, location, withElement(v, element), v);
}
Value KernelBuilder::unsignedToFloat(Value v) {
  return arith::UIToFPOp::create(builder, location, withElement(v, f32()), v);
}
Value KernelBuilder::extendFloat(Value v) {
  return arith::ExtFOp::create(builder, location, withElement(v, f64()), v);
}
Value KernelBuilder::truncateFloat(Value v) {
  return arith::TruncFOp::create(builder, location, withElement(v, f32()), v);
}
Value KernelBuilder::toInt(Value v) {
  return arith::FPToSIOp::create(builder, location, withElement(v, i32()), v);
}
Value KernelBuilder::toIndex(Value v) {
  return arith::IndexCastOp::create(builder, location, builder.getIndexType(),
                                    v);
}
Value KernelBuilder::toI32(Value indexValue) {
  return arith::IndexCastOp::create(builder, location, i32(), indexValue);
}
Value KernelBuilder::bitcast(Value v, VectorType type) {
  if (v.getType() == type)
    return v;
  return vector::BitCastOp::create(builder, location, type, v);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::load(Value buffer, Value offset) {
  return memref::LoadOp::create(builder, location, buffer, offset);
}
void KernelBuilder::store(Value v, Value buffer, Value offset) {
  memref::StoreOp::create(builder, location, v, buffer, offset);
}
Value KernelBuilder::loadVector(Value buffer, Value offset, int64_t lanes) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  return vector::LoadOp::create(builder, location, vec(lanes, element), buffer,
                                offset);
}
void KernelBuilder::storeVector(Value v, Value buffer, Value offset) {
  vector::StoreOp::create(builder, location, v, buffer, offset);
}
void KernelBuilder::storeMasked(Value v, Value buffer, Value offset,
                                Value mask) {
  vector::MaskedStoreOp::create(builder, location, buffer, offset, mask, v);
}
Value KernelBuilder::loadBytes(Value buffer, Value offset, int64_t lanes,
                               Type element) {
  int64_t bytes = lanes * element.getIntOrFloatBitWidth() / 8;
  return bitcast(loadVector(buffer, offset, bytes), vec(lanes, element));
}
void KernelBuilder::storeBytes(Value v, Value buffer, Value offset) {
  auto type = cast<VectorType>(v.getType());
  int64_t bytes = type.getNumElements() * type.getElementTypeBitWidth() / 8;
  storeVector(bitcast(v, vec(bytes, i8())), buffer, offset);
}

void KernelBuilder::copyRow(Value from, Value fromOffset, Value to,
                            Value toOffset, Value count) {
  Value whole = mul(div(count, index(16)), 16);
  loop(index(0), whole, 16, [&](Value i) {
    storeVector(loadVector(from, add(fromOffset, i)), to, add(toOffset, i));
  });
  loop(whole, count, 1, [&](Value i) {
    store(load(from, add(fromOffset, i)), to, add(toOffset, i));
  });
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

Value KernelBuilder::mask(Value count, int64_t lanes) {
  return vector::CreateMaskOp::create(builder, location,
                                      vec(lanes, builder.getI1Type()), count);
}
Value KernelBuilder::mask(int64_t count, int64_t lanes) {
  SmallVector<bool> bits(lanes, false);
  std::fill_n(bits.begin(), std::min(count, lanes), true);
  return arith::ConstantOp::create(
      builder, location,
      DenseElementsAttr::get(vec(lanes, builder.getI1Type()), bits));
}
Value KernelBuilder::lane(Value v, int64_t i) {
  return vector::ExtractOp::create(builder, location, v, i);
}
Value KernelBuilder::shuffle(Value a, Value b, ArrayRef<int64_t> pattern) {
  return vector::ShuffleOp::create(builder, location, a, b, pattern);
}
Value KernelBuilder::join(Value a, Value b) {
  int64_t lanes = cast<VectorType>(a.getType()).getNumElements();
  return shuffle(a, b, llvm::to_vector(llvm::seq<int64_t>(2 * lanes)));
}
Value KernelBuilder::reduceAdd(Value v) {
  return vector::ReductionOp::create(builder, location,
                                     vector::CombiningKind::ADD, v);
}
Value KernelBuilder::reduceMaxUnsigned(Value v) {
  return vector::ReductionOp::create(builder, location,
                                     vector::CombiningKind::MAXUI, v);
}

Value KernelBuilder::foldTree(Value v,
                              function_ref<Value(Value, Value)> combine) {
  // Lanes above the half are left over and never read again.
  for (int64_t half = 8; half; half /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t l = 0; l != half; ++l) {
      low.push_back(l);
      high.push_back(l + half);
    }
    Value a = shuffle(v, v, low), b = shuffle(v, v, high);
    v = combine(a, b);
  }
  return lane(v, 0);
}

Value KernelBuilder::sumTree(Value v) {
  return foldTree(v, [&](Value a, Value b) { return add(a, b); });
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

Values KernelBuilder::loop(Value lower, Value upper, int64_t step,
                           ArrayRef<Value> initial,
                           function_ref<Values(Value, ArrayRef<Value>)> body) {
  Value stride = index(step);
  auto forOp =
      scf::ForOp::create(builder, location, lower, upper, stride, initial);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = forOp.getBody();
  if (initial.empty()) {
    builder.setInsertionPoint(block->getTerminator());
  } else {
    builder.setInsertionPointToStart(block);
  }
  Values carried(forOp.getRegionIterArgs().begin(),
                 forOp.getRegionIterArgs().end());
  Values next = body(forOp.getInductionVar(), carried);
  assert(next.size() == initial.size() && "loop carries other values");
  if (!initial.empty())
    scf::YieldOp::create(builder, location, next);
  return Values(forOp.getResults().begin(), forOp.getResults().end());
}

void KernelBuilder::loop(Value lower, Value upper, int64_t step,
                         function_ref<void(Value)> body) {
  loop(lower, upper, step, {}, [&](Value i, ArrayRef<Value>) {
    body(i);
    return Values();
  });
}

void KernelBuilder::ifThen(Value condition, function_ref<void()> then,
                           function_ref<void()> otherwise) {
  auto ifOp = scf::IfOp::create(builder, location, condition,
                                /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(ifOp.thenBlock()->getTerminator());
  then();
  if (!otherwise)
    return;
  builder.setInsertionPoint(ifOp.elseBlock()->getTerminator());
  otherwise();
}

Values KernelBuilder::blocks(Value count, ArrayRef<Value> initial,
                             BlockBody body) {
  Value whole = mul(div(count, index(16)), 16);
  Values carried =
      loop(index(0), whole, 16, initial,
           [&](Value i, ArrayRef<Value> c) { return body(i, Value(), c); });
  // At most one turn.
  return loop(whole, count, 16, carried, [&](Value i, ArrayRef<Value> c) {
    return body(i, mask(sub(count, i)), c);
  });
}

Values KernelBuilder::blocks(int64_t count, ArrayRef<Value> initial,
                             BlockBody body) {
  int64_t whole = count / 16 * 16;
  Values carried(initial.begin(), initial.end());
  if (whole)
    carried =
        loop(index(0), index(whole), 16, carried,
             [&](Value i, ArrayRef<Value> c) { return body(i, Value(), c); });
  if (whole == count)
    return carried;
  return body(index(whole), mask(count - whole), carried);
}

void KernelBuilder::blocks(int64_t count,
                           function_ref<void(Value, Value)> body) {
  blocks(count, {}, [&](Value i, Value m, ArrayRef<Value>) {
    body(i, m);
    return Values();
  });
}

} // namespace quern
