//===- Constants.cpp - Reading and making constants -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Constants.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <memory>

using namespace mlir;

namespace quern {

template <typename T> static Type elementType(MLIRContext *context) {
  if constexpr (std::is_same_v<T, float>)
    return Float32Type::get(context);
  return IntegerType::get(context, sizeof(T) * 8);
}

template <typename T>
std::optional<ConstantView<T>> ConstantView<T>::get(ElementsAttr attr) {
  auto type = dyn_cast_or_null<ShapedType>(attr ? attr.getType() : Type());
  if (!type || type.getElementType() != elementType<T>(attr.getContext()))
    return std::nullopt;
  ConstantView view;
  size_t count = type.getNumElements();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().size() != count * sizeof(T))
      return std::nullopt;
    view.borrowed =
        ArrayRef<T>(reinterpret_cast<const T *>(blob->getData().data()), count);
    return view;
  }
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (!dense)
    return std::nullopt;
  ArrayRef<char> raw = dense.getRawData();
  const T *data = reinterpret_cast<const T *>(raw.data());
  if (dense.isSplat())
    view.owned.assign(count, data[0]);
  else
    view.borrowed = ArrayRef<T>(data, count);
  return view;
}

template <typename T>
ElementsAttr makeConstant(MLIRContext *context, StringRef name,
                          std::vector<T> values) {
  auto type =
      RankedTensorType::get({int64_t(values.size())}, elementType<T>(context));
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  ArrayRef<char> bytes(reinterpret_cast<const char *>(owner->data()),
                       owner->size() * sizeof(T));
  AsmResourceBlob blob(
      bytes, alignof(T),
      [owner](void *, size_t, size_t) mutable { owner.reset(); },
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

template class ConstantView<float>;
template class ConstantView<int8_t>;
template class ConstantView<int32_t>;
template ElementsAttr makeConstant(MLIRContext *, StringRef,
                                   std::vector<float>);
template ElementsAttr makeConstant(MLIRContext *, StringRef,
                                   std::vector<int8_t>);
template ElementsAttr makeConstant(MLIRContext *, StringRef,
                                   std::vector<int32_t>);

} // namespace quern
