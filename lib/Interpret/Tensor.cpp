//===- Tensor.cpp - Values of the reference interpreter -------------------===//
//
// Part of Quern. See Tensor.h.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/Tensor.h"

#include <type_traits>

using namespace quern;

Tensor::Tensor(Kind kind, Shape shape, std::shared_ptr<const void> owner,
               const void *data)
    : kind(kind), shape(std::move(shape)), count(1), owner(std::move(owner)),
      data(data) {
  for (int64_t dim : this->shape)
    count *= dim;
}

/// Keeps a vector alive for the tensors that share it.
template <typename T>
static std::pair<std::shared_ptr<const void>, const T *>
share(std::vector<T> values) {
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  const T *data = owner->data();
  return {std::move(owner), data};
}

template <typename T>
static bool hasSize(const std::vector<T> &values, const Tensor::Shape &shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return int64_t(values.size()) == count;
}

Tensor Tensor::of(std::vector<double> values, Shape shape) {
  assert(hasSize(values, shape) && "as many values as the shape says");
  auto [owner, data] = share(std::move(values));
  return Tensor(Kind::F64, std::move(shape), owner, data);
}

Tensor Tensor::of(std::vector<float> values, Shape shape) {
  assert(hasSize(values, shape) && "as many values as the shape says");
  auto [owner, data] = share(std::move(values));
  return Tensor(Kind::F32, std::move(shape), owner, data);
}

Tensor Tensor::of(std::vector<int32_t> values, Shape shape) {
  assert(hasSize(values, shape) && "as many values as the shape says");
  auto [owner, data] = share(std::move(values));
  return Tensor(Kind::I32, std::move(shape), owner, data);
}

Tensor Tensor::of(std::vector<int8_t> values, Shape shape) {
  assert(hasSize(values, shape) && "as many values as the shape says");
  auto [owner, data] = share(std::move(values));
  return Tensor(Kind::I8, std::move(shape), owner, data);
}

Tensor Tensor::view(const float *data, Shape shape) {
  return Tensor(Kind::F32, std::move(shape), nullptr, data);
}
Tensor Tensor::view(const int32_t *data, Shape shape) {
  return Tensor(Kind::I32, std::move(shape), nullptr, data);
}
Tensor Tensor::view(const int8_t *data, Shape shape) {
  return Tensor(Kind::I8, std::move(shape), nullptr, data);
}

Tensor Tensor::scaled(const Tensor &codes, const Tensor &scales) {
  assert(codes.kind == Kind::I8 && scales.kind == Kind::F32);
  Tensor result = codes;
  result.kind = Kind::ScaledI8;
  result.scalesOwner = scales.owner;
  result.scales = scales.get<float>();
  return result;
}

int64_t Tensor::rows() const {
  int64_t product = 1;
  for (int64_t dim : llvm::ArrayRef<int64_t>(shape).drop_back())
    product *= dim;
  return product;
}

template <typename T> llvm::ArrayRef<T> Tensor::get() const {
  constexpr Kind expected = std::is_same_v<T, double>    ? Kind::F64
                            : std::is_same_v<T, float>   ? Kind::F32
                            : std::is_same_v<T, int32_t> ? Kind::I32
                                                         : Kind::I8;
  assert(kind == expected && "elements of another type");
  (void)expected;
  return {static_cast<const T *>(data), size_t(count)};
}

template <typename T> void Tensor::readRow(int64_t row, T *out) const {
  int64_t n = width(), start = row * n;
  switch (kind) {
  case Kind::F64:
    for (int64_t i = 0; i < n; ++i)
      out[i] = T(static_cast<const double *>(data)[start + i]);
    return;
  case Kind::F32:
    for (int64_t i = 0; i < n; ++i)
      out[i] = T(static_cast<const float *>(data)[start + i]);
    return;
  case Kind::I32:
    for (int64_t i = 0; i < n; ++i)
      out[i] = T(static_cast<const int32_t *>(data)[start + i]);
    return;
  case Kind::I8:
    for (int64_t i = 0; i < n; ++i)
      out[i] = T(static_cast<const int8_t *>(data)[start + i]);
    return;
  case Kind::ScaledI8: {
    // A double holds the product of an f32 and a code exactly.
    const int8_t *codes = static_cast<const int8_t *>(data) + start;
    bool each = scales.size() > 1 && getRank() == 1;
    const float *scale = scales.data();
    if (scales.size() > 1 && !each)
      scale += row;
    for (int64_t i = 0; i < n; ++i)
      out[i] = T(T(codes[i]) * T(scale[each ? i : 0]));
    return;
  }
  }
}

template <typename T> std::vector<T> Tensor::toVector() const {
  std::vector<T> values(count);
  if (count)
    for (int64_t row = 0, end = rows(); row < end; ++row)
      readRow(row, values.data() + row * width());
  return values;
}

namespace quern {
template llvm::ArrayRef<double> Tensor::get() const;
template llvm::ArrayRef<float> Tensor::get() const;
template llvm::ArrayRef<int32_t> Tensor::get() const;
template llvm::ArrayRef<int8_t> Tensor::get() const;
template void Tensor::readRow(int64_t, double *) const;
template void Tensor::readRow(int64_t, float *) const;
template void Tensor::readRow(int64_t, int32_t *) const;
template void Tensor::readRow(int64_t, int16_t *) const;
template std::vector<double> Tensor::toVector() const;
template std::vector<float> Tensor::toVector() const;
template std::vector<int32_t> Tensor::toVector() const;
} // namespace quern
