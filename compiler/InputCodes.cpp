//===- InputCodes.cpp - What the codes of a site stand for ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/InputCodes.h"

#include "quern/quant_math.h"

#include <cmath>

namespace quern {

InputCodes::InputCodes(std::optional<SiteQuantizer> given, size_t columns)
    : quantizer(std::move(given)), shift(columns), inverseChannel(columns, 1),
      step(columns, 1), inverseStep(columns, 1), zero(columns) {
  if (!quantizer)
    return;
  offset = quantizer->offset;
  top = std::ldexp(1.0, static_cast<int>(quantizer->bits)) - 1;
  for (size_t j = 0; j < columns; ++j) {
    bool grouped = j < quantizer->groupOf.size();
    size_t g = grouped ? quantizer->groupOf[j] : 0;
    step[j] = grouped ? quantizer->groupScales[g] : quantizer->scale;
    zero[j] = double(grouped ? quantizer->groupZeros[g] : quantizer->zero);
    inverseStep[j] = 1 / step[j];
    if (j < quantizer->channelScale.size()) {
      shift[j] = quantizer->channelShift[j];
      inverseChannel[j] = 1 / double(quantizer->channelScale[j]);
    }
  }
}

void InputCodes::enter(const float *row) {
  if (!quantizer || !quantizer->perToken)
    return;
  float lo, hi;
  int bits = static_cast<int>(quantizer->bits);
  qm_row_range(row, static_cast<int64_t>(columns()), &lo, &hi);
  float scale = qm_range_scale(lo, hi, bits, quantizer->centred);
  step.assign(columns(), scale);
  inverseStep.assign(columns(), 1 / double(scale));
  zero.assign(columns(), qm_range_zero(lo, scale, bits, quantizer->centred));
}

} // namespace quern
