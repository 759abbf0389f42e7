//===- Activations.cpp - Non-linear functions in a GPU kernel -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Activations.h"

#include "quern/quant_math.h"

#include <algorithm>

using namespace mlir;

namespace quern::nvptx {

namespace {
/// A function of quant_math.h that goes through qm_segments.
struct Segments {
  const char *name;
  const float (*rows)[16];
  int64_t degree;
  float scale;
};
} // namespace

static Segments segmentsOf(Activation activation) {
  switch (activation) {
  case Activation::Gelu:
    return {"quern_gelu_table", qm_gelu_table, QM_GELU_DEGREE, QM_GELU_SCALE};
  case Activation::GeluTanh:
    return {"quern_gelu_tanh_table", qm_gelu_tanh_table, QM_GELU_DEGREE,
            QM_GELU_SCALE};
  case Activation::Tanh:
    return {"quern_tanh_table", qm_tanh_table, QM_TANH_DEGREE, QM_TANH_SCALE};
  case Activation::None:
  case Activation::Relu:
    break;
  }
  return {};
}

llvm::StringRef activationName(Activation activation) {
  static const char *const names[] = {"none", "gelu", "gelu_tanh", "relu",
                                      "tanh"};
  return names[int(activation)];
}

Expected<Activation> parseActivation(StringRef name) {
  for (Activation activation :
       {Activation::None, Activation::Gelu, Activation::GeluTanh,
        Activation::Relu, Activation::Tanh})
    if (activationName(activation) == name)
      return activation;
  return Error::make("activation: found '", printable(name.str()),
                     "', expected none, gelu, gelu_tanh, relu or tanh");
}

void copyTables(DeviceBuilder &k, Activation activation, Value shared,
                Value thread, int64_t threads) {
  Segments segments = segmentsOf(activation);
  if (!segments.rows)
    return;
  int64_t count = (segments.degree + 1) * 16;
  Value table =
      k.table(segments.name, ArrayRef(segments.rows[0], size_t(count)));
  for (int64_t first = 0; first < count; first += threads) {
    Value i = k.add(thread, first);
    k.ifThen(k.less(i, k.c(count)), [&] {
      Value at = k.shl(i, 2);
      k.store(k.load(k.at(table, at), k.f32(), 4), k.at(shared, at), 4);
    });
  }
}

/// qm_segments of the magnitude of `v`.
static Value interpolate(DeviceBuilder &k, const Segments &segments, Value v,
                         Value shared) {
  Value s = k.mulF(k.absF(v), k.f(segments.scale));
  s = k.minF(s, k.f(QM_SEGMENT_LIMIT));
  Value magic = k.f(QM_ROUND_MAGIC);
  Value r = k.addF(s, magic);
  Value u = k.subF(s, k.subF(r, magic));
  Value at = k.at(shared, k.shl(k.bitAnd(k.bits(r, k.i32()), 15), 2));
  auto coefficient = [&](int64_t power) {
    return k.load(k.at(at, k.c(power * 64)), k.f32(), 4);
  };
  Value y = coefficient(segments.degree);
  for (int64_t p = segments.degree - 1; p >= 0; --p)
    y = k.addF(k.mulF(y, u), coefficient(p));
  return y;
}

Value activate(DeviceBuilder &k, Activation activation, Value v, Value shared) {
  Segments segments = segmentsOf(activation);
  switch (activation) {
  case Activation::None:
    return v;
  case Activation::Relu:
    return k.maxF(v, k.f(0.0f));
  case Activation::Gelu:
  case Activation::GeluTanh: {
    Value h = interpolate(k, segments, v, shared);
    return k.subF(k.maxF(v, k.f(0.0f)), h);
  }
  case Activation::Tanh: {
    Value y = k.bits(interpolate(k, segments, v, shared), k.i32());
    Value sign = k.bitAnd(k.bits(v, k.i32()), int64_t(0x80000000));
    return k.bits(k.bitOr(k.bitAnd(y, 0x7fffffff), sign), k.f32());
  }
  }
  llvm_unreachable("every activation has a form");
}

} // namespace quern::nvptx
