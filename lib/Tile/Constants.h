//===- Constants.h - Reading and making constants ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Weights are large: they are read where they lie (in the mapped checkpoint)
// and new ones are owned by their attribute.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_CONSTANTS_H
#define QUERN_LIB_TILE_CONSTANTS_H

#include "mlir/IR/BuiltinAttributes.h"

#include <optional>
#include <vector>

namespace quern {

/// Elements of a constant, read where they lie when that is possible.
template <typename T> class ConstantView {
public:
  /// Nothing if `attr` does not hold elements of type T.
  static std::optional<ConstantView> get(mlir::ElementsAttr attr);

  llvm::ArrayRef<T> values() const {
    return owned.empty() ? borrowed : llvm::ArrayRef<T>(owned);
  }
  T operator[](size_t i) const { return values()[i]; }
  size_t size() const { return values().size(); }

private:
  llvm::ArrayRef<T> borrowed;
  std::vector<T> owned; ///< For splats only.
};

/// A new constant named `name` (made unique) that owns `values`.
template <typename T>
mlir::ElementsAttr makeConstant(mlir::MLIRContext *context,
                                llvm::StringRef name, std::vector<T> values);

} // namespace quern

#endif // QUERN_LIB_TILE_CONSTANTS_H
