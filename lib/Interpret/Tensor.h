//===- Tensor.h - Values of the reference interpreter -----------*- C++ -*-===//
//
// Part of Quern. An immutable tensor of doubles, floats, codes or ids. Copies
// share their data. Weights stay where they are (a view into the checkpoint)
// and simulated weights stay codes and scales; rows are decoded when read.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_TENSOR_H
#define QUERN_LIB_INTERPRET_TENSOR_H

#include "dialects/TQ/TQDialect.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

namespace quern {

class Tensor {
public:
  /// What the elements are in memory. Codes, ids and offsets are I32; I8 is a
  /// view of weight codes; ScaledI8 is a view of weight codes with scales.
  enum class Kind { F64, F32, I32, I8, ScaledI8 };
  using Shape = llvm::SmallVector<int64_t, 2>;

  /// An empty vector of ids.
  Tensor() : Tensor(Tensor::of(std::vector<int32_t>(), {0})) {}

  /// A tensor that owns its elements; the shape's product is their number.
  static Tensor of(std::vector<double> values, Shape shape);
  static Tensor of(std::vector<float> values, Shape shape);
  static Tensor of(std::vector<int32_t> values, Shape shape);
  static Tensor of(std::vector<int8_t> values, Shape shape);

  /// A tensor whose elements lie in memory that outlives it.
  static Tensor view(const float *data, Shape shape);
  static Tensor view(const int32_t *data, Shape shape);
  static Tensor view(const int8_t *data, Shape shape);

  /// Weight codes (I8) times scales (F32; one for all or one per row, for 1-D
  /// codes one per element).
  static Tensor scaled(const Tensor &codes, const Tensor &scales);

  Kind getKind() const { return kind; }
  const Shape &getShape() const { return shape; }
  unsigned getRank() const { return shape.size(); }
  int64_t size() const { return count; }
  /// The last dimension, and the product of all others.
  int64_t width() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const;

  /// The elements; T must be the element type of the kind.
  template <typename T> llvm::ArrayRef<T> get() const;

  /// Decodes one row (see width) into `out`. T is double, float, int32_t or
  /// int16_t; the integer types serve I32 and I8 only.
  template <typename T> void readRow(int64_t row, T *out) const;

  /// All elements, decoded.
  template <typename T> std::vector<T> toVector() const;

  /// Scales and zero points found at run time (`!tq.dynamic`), else empty.
  std::vector<tq::UniformParams> ranges;

private:
  Tensor(Kind kind, Shape shape, std::shared_ptr<const void> owner,
         const void *data);

  Kind kind;
  Shape shape;
  int64_t count;
  std::shared_ptr<const void> owner;
  const void *data;
  /// Of ScaledI8.
  std::shared_ptr<const void> scalesOwner;
  llvm::ArrayRef<float> scales;
};

} // namespace quern

#endif // QUERN_LIB_INTERPRET_TENSOR_H
