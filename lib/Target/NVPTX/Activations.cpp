//===- Activations.cpp - Non-linear functions in a GPU kernel -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Activations.h"

#include "quern/integer_activation.h"
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
  case Activation::IGelu:
    break;
  }
  return {};
}

llvm::StringRef activationName(Activation activation) {
  static const char *const names[] = {"none", "gelu", "gelu_tanh",
                                      "relu", "tanh", "i_gelu"};
  return names[int(activation)];
}

Expected<Activation> parseActivation(StringRef name) {
  for (Activation activation :
       {Activation::None, Activation::Gelu, Activation::GeluTanh,
        Activation::Relu, Activation::Tanh, Activation::IGelu})
    if (activationName(activation) == name)
      return activation;
  return Error::make("activation: found '", printable(name.str()),
                     "', expected none, gelu, gelu_tanh, relu, tanh or i_gelu");
}

/// The coefficients in integers.
static std::vector<int32_t> fixedRows(Activation activation,
                                      const Segments &segments) {
  double units =
      activation == Activation::Tanh ? QI_TANH_OUT : double(QI_GELU_OUT);
  std::vector<int32_t> rows;
  for (int p = 0; p <= QI_SEGMENT_DEGREE; ++p)
    for (int i = 0; i != 16; ++i)
      rows.push_back(qi_coefficient(segments.rows[p][i], units));
  return rows;
}

void copyTables(DeviceBuilder &k, Activation activation, bool fixed,
                Value shared, Value thread, int64_t threads) {
  Segments segments = segmentsOf(activation);
  if (!segments.rows)
    return;
  int64_t count = ((fixed ? QI_SEGMENT_DEGREE : segments.degree) + 1) * 16;
  Value table =
      fixed ? k.table(std::string(segments.name) + "_fixed",
                      ArrayRef<int32_t>(fixedRows(activation, segments)))
            : k.table(segments.name, ArrayRef(segments.rows[0], size_t(count)));
  for (int64_t first = 0; first < count; first += threads) {
    Value i = k.add(thread, first);
    k.ifThen(k.less(i, k.c(count)), [&] {
      Value at = k.shl(i, 2);
      k.store(k.load(k.at(table, at), k.i32(), 4), k.at(shared, at), 4);
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

/// qm_relu, which makes 0 of -0: max may give either.
static Value positive(DeviceBuilder &k, Value v) {
  Value zero = k.f(0.0f);
  return k.select(k.lessF(zero, v), v, zero);
}

Value activate(DeviceBuilder &k, Activation activation, Value v, Value shared) {
  Segments segments = segmentsOf(activation);
  switch (activation) {
  case Activation::None:
    return v;
  case Activation::Relu:
    return positive(k, v);
  case Activation::Gelu:
  case Activation::GeluTanh: {
    Value h = interpolate(k, segments, v, shared);
    return k.subF(positive(k, v), h);
  }
  case Activation::Tanh: {
    Value y = k.bits(interpolate(k, segments, v, shared), k.i32());
    Value sign = k.bitAnd(k.bits(v, k.i32()), int64_t(0x80000000));
    return k.bits(k.bitOr(k.bitAnd(y, 0x7fffffff), sign), k.f32());
  }
  case Activation::IGelu:
    break;
  }
  llvm_unreachable("every activation has a form");
}

static Value magnitude(DeviceBuilder &k, Value t) {
  return k.max(t, k.sub(k.c(0), t));
}

/// qi_segments
static Value fixedSegments(DeviceBuilder &k, Value t, Value shared) {
  t = k.min(t, k.c(QI_SEGMENT_LIMIT));
  Value i = k.shr(k.add(t, 1 << (QI_SEGMENT_BITS - 1)), QI_SEGMENT_BITS);
  Value u = k.sub(t, k.shl(i, QI_SEGMENT_BITS));
  Value at = k.at(shared, k.shl(i, 2));
  auto coefficient = [&](int64_t power) {
    return k.load(k.at(at, k.c(power * 64)), k.i32(), 4);
  };
  Value y = coefficient(QI_SEGMENT_DEGREE);
  for (int64_t p = QI_SEGMENT_DEGREE - 1; p >= 0; --p)
    y = k.add(k.shrSigned(k.mul(y, u), QI_SEGMENT_BITS), coefficient(p));
  return y;
}

/// qi_i_gelu
static Value fixedIGelu(DeviceBuilder &k, Value t) {
  const qi_gelu g = qi_i_gelu_constants();
  Value flat = k.c(g.flat), zero = k.c(0);
  Value near = k.sub(k.min(magnitude(k, t), flat), flat);
  Value erf = k.sub(k.mul(near, near), k.c(g.c));
  erf = k.select(k.less(t, zero), k.sub(zero, erf), erf);
  erf = k.select(k.equal(t, zero), zero, erf);
  Value sum = k.add(k.shrSigned(erf, QI_GELU_CUT), k.c(g.one));
  Value product = k.mulWide(t, sum);
  return k.narrow(k.shrSignedBy(product, k.c64(QI_I_GELU_CUT)), k.i32());
}

Value activateFixed(DeviceBuilder &k, Activation activation, Value t,
                    Value shared) {
  Value zero = k.c(0);
  switch (activation) {
  case Activation::None:
    return t;
  case Activation::Relu:
    return k.max(t, zero);
  case Activation::Gelu:
  case Activation::GeluTanh:
    return k.sub(k.shl(k.max(t, zero), 4),
                 fixedSegments(k, magnitude(k, t), shared));
  case Activation::Tanh: {
    Value y = fixedSegments(k, magnitude(k, t), shared);
    return k.select(k.less(t, zero), k.sub(zero, y), y);
  }
  case Activation::IGelu:
    return fixedIGelu(k, t);
  }
  llvm_unreachable("every activation has a form");
}

} // namespace quern::nvptx
