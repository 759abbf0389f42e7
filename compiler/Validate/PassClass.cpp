//===- PassClass.cpp - What every pass promises ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/PassClass.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace quern {

const char *describe(PassClass passClass) {
  switch (passClass) {
  case PassClass::Exact:
    return "exact";
  case PassClass::OneCode:
    return "one code";
  case PassClass::Relative:
    return "relative 1e-6";
  case PassClass::Intended:
    return "intended";
  }
  llvm_unreachable("every class has a name");
}

ArrayRef<PassPromise> passPromises() {
  static const PassPromise promises[] = {
      // L0 to L1.
      {"tq-check-stage", PassClass::Exact},
      {"tq-correct-bias", PassClass::Intended},
      {"tq-order-channels", PassClass::Relative},
      {"tq-split-residual", PassClass::Exact},
      {"tq-reparameterize", PassClass::Relative},
      {"tq-quantize", PassClass::Intended},
      {"tq-slice-rows", PassClass::Exact},
      // L1 to L2. Constants are rounded to f32 once, so what lies next to a tie
      // may fall to its other side.
      {"tq-fold-pool", PassClass::OneCode},
      {"tq-fold-groups", PassClass::OneCode},
      {"tq-fold-linear", PassClass::OneCode},
      {"tq-fuse-attention", PassClass::OneCode},
      {"tq-fuse-embedding", PassClass::OneCode},
      {"tq-fuse-add-norm", PassClass::OneCode},
      // Scales of 31 bits, and other functions: I-GELU, ShiftGELU, i-exp,
      // Shiftmax.
      {"tq-use-fixed-point", PassClass::Intended},
      {"tq-materialize-weights", PassClass::OneCode},
      {"tq-clean-up", PassClass::Exact},
      // L2 to L3.
      {"tq-tile-program", PassClass::Exact},
      // L3 to the LLVM dialect.
      {"tq-isolate-kernels", PassClass::Exact},
      {"tq-choose-variants", PassClass::Exact},
      {"tq-expand-math", PassClass::Exact},
      {"tq-x86-products", PassClass::Exact},
      {"tq-x86-amx", PassClass::Exact},
      {"tq-lower-tiles", PassClass::Exact},
      {"tq-x86-avx512vnni", PassClass::Exact},
      {"tq-x86-avx512bw", PassClass::Exact},
      {"tq-x86-avx2", PassClass::Exact},
      {"tq-lower-micro-ops", PassClass::Exact},
      {"tq-lower-entry", PassClass::Exact},
      {"canonicalize", PassClass::Exact},
      {"cse", PassClass::Exact},
      {"convert-scf-to-cf", PassClass::Exact},
      {"expand-strided-metadata", PassClass::Exact},
      {"convert-vector-to-llvm", PassClass::Exact},
      {"finalize-memref-to-llvm", PassClass::Exact},
      {"convert-math-to-llvm", PassClass::Exact},
      {"convert-func-to-llvm", PassClass::Exact},
      {"convert-index-to-llvm", PassClass::Exact},
      {"convert-arith-to-llvm", PassClass::Exact},
      {"convert-cf-to-llvm", PassClass::Exact},
      {"reconcile-unrealized-casts", PassClass::Exact},
  };
  return promises;
}

std::optional<PassClass> classOf(StringRef argument,
                                 ArrayRef<PassPromise> more) {
  for (ArrayRef<PassPromise> list : {more, passPromises()}) {
    auto found = find_if(list, [&](const PassPromise &promise) {
      return promise.argument == argument;
    });
    if (found != list.end())
      return found->passClass;
  }
  return std::nullopt;
}

} // namespace quern
