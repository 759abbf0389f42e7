//===- Activation.h - Activations behind integer products -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The f32 functions that an epilogue applies, as the numerics contract has
// them (runtime/include/quern/quant_math.h).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_INTERPRET_ACTIVATION_H
#define QUERN_LIB_INTERPRET_ACTIVATION_H

#include "dialects/TQ/TQOps.h"
#include "quern/quant_math.h"

#include "llvm/Support/ErrorHandling.h"

namespace quern {

/// `activation` of `v`. I-BERT's GELU is not among them: it reads codes.
inline float applyActivation(tq::Activation activation, float v) {
  switch (activation) {
  case tq::Activation::None:
    return v;
  case tq::Activation::Gelu:
    return qm_gelu(v);
  case tq::Activation::GeluTanh:
    return qm_gelu_tanh(v);
  case tq::Activation::Relu:
    return qm_relu(v);
  case tq::Activation::Tanh:
    return qm_tanh(v);
  case tq::Activation::IGelu:
    break;
  }
  llvm_unreachable("all activations are handled");
}

} // namespace quern

#endif // QUERN_LIB_INTERPRET_ACTIVATION_H
