//===- ChosenCodes.cpp - The codes that a weight gets ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/ChosenCodes.h"

#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace quern;

StringRef quern::schemeName(Value weight) {
  StringRef name = weightName(weight);
  while (name.consume_back(".ordered"))
    ;
  return name;
}

FailureOr<WeightCodes> quern::chooseCodes(Value weight, ArrayRef<float> values,
                                          size_t rows,
                                          const WeightQuantizer &quantizer,
                                          const SchemeAttr &scheme) {
  size_t cols = rows ? values.size() / rows : 0;
  if (!scheme.givesScales())
    return quantizeWeight(values.data(), rows, cols, quantizer);
  StringRef name = schemeName(weight);
  bool isMoved = name != weightName(weight);
  DenseF32ArrayAttr given = scheme.scalesOf(name);
  if (!given ||
      (given.size() != 1 && (isMoved || given.size() != int64_t(rows))))
    return emitError(weight.getLoc(), "expects the scale of '")
           << name << "' in tq.scheme, or one for each of " << rows
           << " rows in the model's order, got " << (given ? given.size() : 0);
  return encodeWeight(values.data(), rows, cols, given.asArrayRef().vec(),
                      quantizer.bits);
}
