//===- Constants.cpp - Elements attributes as tensors ---------------------===//
//
// Part of Quern. See Constants.h.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Constants.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <cstring>

using namespace mlir;
using namespace quern;

/// Copies `count` elements of type T, or one element `count` times.
template <typename T, typename To>
static std::vector<To> copyElements(ArrayRef<char> bytes, int64_t count,
                                    bool splat) {
  std::vector<To> values(count);
  for (int64_t i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, bytes.data() + (splat ? 0 : i * sizeof(T)),
                sizeof(T));
    values[i] = To(element);
  }
  return values;
}

/// A view if the memory can be read in place, else a copy.
template <typename T>
static Tensor viewOrCopy(ArrayRef<char> bytes, int64_t count, bool splat,
                         Tensor::Shape shape) {
  if (!splat && reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) == 0)
    return Tensor::view(reinterpret_cast<const T *>(bytes.data()), shape);
  return Tensor::of(copyElements<T, T>(bytes, count, splat), shape);
}

FailureOr<Tensor> quern::readConstant(Operation *op, ElementsAttr value,
                                      bool isSigned) {
  ShapedType type = value.getShapedType();
  Type element = type.getElementType();
  int64_t count = type.getNumElements();
  Tensor::Shape shape(type.getShape());

  ArrayRef<char> bytes;
  bool splat = false;
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    bytes = dense.getRawData();
    splat = dense.isSplat();
  } else if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob) {
      op->emitOpError("reads the resource '")
          << resource.getRawHandle().getKey() << "', which has no data";
      return failure();
    }
    bytes = blob->getData();
  } else {
    op->emitOpError("has a constant that is neither dense nor a resource");
    return failure();
  }

  if (element.isF32() || element.isInteger(8) || element.isInteger(16) ||
      element.isInteger(32)) {
    int64_t bytesEach = element.getIntOrFloatBitWidth() / 8;
    int64_t expected = (splat ? 1 : count) * bytesEach;
    if (int64_t(bytes.size()) < expected) {
      op->emitOpError("expects a constant of ")
          << expected << " bytes, got " << bytes.size();
      return failure();
    }
  }
  if (element.isF32())
    return viewOrCopy<float>(bytes, count, splat, shape);
  if (element.isInteger(32))
    return viewOrCopy<int32_t>(bytes, count, splat, shape);
  if (element.isInteger(8) && isSigned)
    return viewOrCopy<int8_t>(bytes, count, splat, shape);
  if (element.isInteger(8))
    return Tensor::of(copyElements<uint8_t, int32_t>(bytes, count, splat),
                      shape);
  if (element.isInteger(16))
    return Tensor::of(
        isSigned ? copyElements<int16_t, int32_t>(bytes, count, splat)
                 : copyElements<uint16_t, int32_t>(bytes, count, splat),
        shape);
  auto dense = dyn_cast<DenseIntElementsAttr>(value);
  if (!dense || element.getIntOrFloatBitWidth() > 32) {
    op->emitOpError("has a constant of ")
        << element << ", which the interpreter does not read";
    return failure();
  }
  std::vector<int32_t> values;
  values.reserve(count);
  for (const APInt &code : dense.getValues<APInt>())
    values.push_back(isSigned ? code.getSExtValue() : code.getZExtValue());
  return Tensor::of(std::move(values), shape);
}
