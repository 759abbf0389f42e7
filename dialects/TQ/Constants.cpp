//===- Constants.cpp - Data of constant tensors ---------------------------===//
//
// See Constants.h. Resource blobs own their data, so a large weight is never
// copied into the attribute storage of the context.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/Constants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace quern;

namespace {

/// Constants of up to this many elements are printed inline.
constexpr size_t inlineLimit = 64;

template <typename T> Type elementType(MLIRContext *context);
template <> Type elementType<float>(MLIRContext *context) {
  return Float32Type::get(context);
}
template <> Type elementType<int8_t>(MLIRContext *context) {
  return IntegerType::get(context, 8);
}
template <> Type elementType<int32_t>(MLIRContext *context) {
  return IntegerType::get(context, 32);
}

} // namespace

template <typename T>
std::optional<tq::ConstantData<T>> tq::getConstantData(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!constant || !type || !type.hasStaticShape() ||
      type.getElementType() != elementType<T>(value.getContext()))
    return std::nullopt;
  size_t count = type.getNumElements();
  if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue())) {
    std::vector<T> copy;
    copy.reserve(count);
    for (T element : dense.getValues<T>())
      copy.push_back(element);
    return ConstantData<T>(std::move(copy));
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
  if (!resource)
    return std::nullopt;
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  if (!blob || blob->getData().size() < count * sizeof(T))
    return std::nullopt;
  const char *bytes = blob->getData().data();
  if (reinterpret_cast<uintptr_t>(bytes) % alignof(T) == 0)
    return ConstantData<T>(
        ArrayRef<T>(reinterpret_cast<const T *>(bytes), count));
  std::vector<T> copy(count);
  std::memcpy(copy.data(), bytes, count * sizeof(T));
  return ConstantData<T>(std::move(copy));
}

StringRef tq::getConstantName(Value value) {
  if (auto constant = value.getDefiningOp<arith::ConstantOp>())
    if (auto resource =
            dyn_cast<DenseResourceElementsAttr>(constant.getValue()))
      return resource.getRawHandle().getKey();
  return "";
}

template <typename T>
Value tq::createConstant(OpBuilder &builder, Location loc,
                         RankedTensorType type, StringRef name,
                         std::vector<T> data) {
  TypedAttr value;
  if (data.size() <= inlineLimit) {
    value = DenseElementsAttr::get(type, ArrayRef<T>(data));
  } else {
    // The blob takes the vector with it and frees it with the context.
    auto *owner = new std::vector<T>(std::move(data));
    ArrayRef<char> bytes(reinterpret_cast<const char *>(owner->data()),
                         owner->size() * sizeof(T));
    AsmResourceBlob blob(
        bytes, alignof(T), [owner](void *, size_t, size_t) { delete owner; },
        /*dataIsMutable=*/false);
    value = DenseResourceElementsAttr::get(type, name, std::move(blob));
  }
  return arith::ConstantOp::create(builder, loc, value);
}

template <typename T>
Value tq::createVector(OpBuilder &builder, Location loc, StringRef name,
                       std::vector<T> data) {
  auto type = RankedTensorType::get({static_cast<int64_t>(data.size())},
                                    elementType<T>(builder.getContext()));
  return createConstant<T>(builder, loc, type, name, std::move(data));
}

namespace quern::tq {
template std::optional<ConstantData<float>> getConstantData<float>(Value);
template std::optional<ConstantData<int8_t>> getConstantData<int8_t>(Value);
template std::optional<ConstantData<int32_t>> getConstantData<int32_t>(Value);
template Value createConstant<float>(OpBuilder &, Location, RankedTensorType,
                                     StringRef, std::vector<float>);
template Value createConstant<int8_t>(OpBuilder &, Location, RankedTensorType,
                                      StringRef, std::vector<int8_t>);
template Value createVector<float>(OpBuilder &, Location, StringRef,
                                   std::vector<float>);
template Value createVector<int32_t>(OpBuilder &, Location, StringRef,
                                     std::vector<int32_t>);
} // namespace quern::tq
