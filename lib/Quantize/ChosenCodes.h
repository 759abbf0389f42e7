//===- ChosenCodes.h - The codes that a weight gets ----------------*- C++ -*-//
//
// One answer to where the scales of a weight come from, for all who need its
// codes: tq-quantize, learned rounding and the correction of biases.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_CHOSENCODES_H
#define QUERN_LIB_QUANTIZE_CHOSENCODES_H

#include "lib/Quantize/SchemeAttr.h"

namespace quern {

/// The name by which the scheme knows a weight, whose constant may hold its
/// channels in another order since.
llvm::StringRef schemeName(mlir::Value weight);

/// Codes of `values`, the rows of `weight` as they are quantized: with the
/// scales that the scheme gives for it or, if it gives none to any weight, with
/// searched ones. Emits an error where the given scales do not fit.
mlir::FailureOr<WeightCodes>
chooseCodes(mlir::Value weight, llvm::ArrayRef<float> values, size_t rows,
            const WeightQuantizer &quantizer, const SchemeAttr &scheme);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_CHOSENCODES_H
