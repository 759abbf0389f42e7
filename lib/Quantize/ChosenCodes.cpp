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
  std::optional<LearnedScales> given = scheme.scalesOf(name);
  size_t count = given ? given->scales.size() : 0;
  size_t whole = given && given->ofColumns ? cols : rows;
  bool isBlocks = given && (given->ofColumns || !given->bits.empty());
  if (!count || (count != 1 &&
                 (isMoved || (isBlocks ? whole % count != 0 : count != whole))))
    return emitError(weight.getLoc(), "expects the scale of '")
           << name << "' in tq.scheme, or one for each "
           << (isBlocks ? "block of its " : "of ") << whole
           << (given && given->ofColumns ? " columns" : " rows")
           << " in the model's order, got " << count;
  return encodeLearned(values.data(), rows, cols, *given, quantizer.bits);
}
