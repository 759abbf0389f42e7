//===- Constants.h - Data of constant tensors ---------------------*- C++ -*-//
//
// Reads the elements of `arith.constant` tensors, whether inline or resource
// blobs, without copying where possible; creates constants whose data stays
// out of the printed function as soon as it is long.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TQ_CONSTANTS_H
#define QUERN_DIALECTS_TQ_CONSTANTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace quern::tq {

/// The elements of a constant: a view into the attribute, or a copy where the
/// attribute is a splat or not laid out as T.
template <typename T> class ConstantData {
public:
  explicit ConstantData(llvm::ArrayRef<T> view) : view(view) {}
  explicit ConstantData(std::vector<T> copy)
      : copy(std::move(copy)), view(this->copy) {}
  ConstantData(ConstantData &&) = default;
  ConstantData(const ConstantData &) = delete;

  size_t size() const { return view.size(); }
  const T *data() const { return view.data(); }
  const T &operator[](size_t i) const { return view[i]; }
  llvm::ArrayRef<T> array() const { return view; }

private:
  std::vector<T> copy;
  llvm::ArrayRef<T> view;
};

/// The elements of a constant tensor of f32, i8 or i32; none when the value is
/// not a constant of that element type or its blob is missing or too short.
template <typename T>
std::optional<ConstantData<T>> getConstantData(mlir::Value value);

/// The resource name of a constant, or an empty string.
llvm::StringRef getConstantName(mlir::Value value);

/// An `arith.constant` of the given type. Up to 64 elements are written inline,
/// more become a resource called `name` (made unique).
template <typename T>
mlir::Value createConstant(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::RankedTensorType type, llvm::StringRef name,
                           std::vector<T> data);

/// A constant vector of f32 or i32.
template <typename T>
mlir::Value createVector(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::StringRef name, std::vector<T> data);

} // namespace quern::tq

#endif // QUERN_DIALECTS_TQ_CONSTANTS_H
