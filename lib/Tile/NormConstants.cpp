//===- NormConstants.cpp - Constants of LayerNorms ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/NormConstants.h"

#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/FixedNorm.h"
#include "lib/Tile/Norm.h"

using namespace mlir;

namespace quern {

std::string normParams(ProgramBuilder &program, StringRef name, float scale,
                       int64_t d, double eps) {
  auto bytes = CodeNormParams(scale, d, eps).data();
  return program.data(name.str() + ".norm",
                      std::vector<int8_t>(bytes.begin(), bytes.end()));
}

FailureOr<std::string> fixedNormParams(ProgramBuilder &program, Operation *op,
                                       StringRef step, ArrayRef<float> gamma,
                                       ArrayRef<float> beta, int64_t sumHi,
                                       bool &narrow, bool &plain,
                                       Type sumType) {
  auto norm = tq::fixedNorm(op, gamma, beta, sumHi, sumType);
  if (failed(norm))
    return failure();
  narrow &= isNarrow(norm->channels, norm->shift);
  plain = isPlain(norm->channels, norm->shift);
  return program.data(
      step.str() + ".channels",
      packChannels(norm->channels, norm->shift, norm->factors, norm->zero));
}

} // namespace quern
