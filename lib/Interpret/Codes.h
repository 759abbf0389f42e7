//===- Codes.h - Quantizers in real arithmetic ------------------*- C++ -*-===//
//
// Part of Quern. The definition of every quantized type: values to codes and
// back, in double. Calibration tests and the interpreter use it.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_CODES_H
#define QUERN_LIB_INTERPRET_CODES_H

#include "lib/Interpret/Tensor.h"

#include "dialects/TQ/TQTypes.h"
#include "mlir/IR/Operation.h"

namespace quern {

/// x rounded to an integer in one of the modes.
double roundReal(double x, tq::Rounding rounding);

/// `clamp(round(x / scale) + zero, min, max)`; a value that is no number
/// becomes min.
int32_t quantizeUniform(double x, tq::UniformParams params, int64_t min,
                        int64_t max, tq::Rounding rounding);

/// The codes of `x` in a quantized type. Reports on `op` where the type has
/// no interpretation (sub-channel types, ranges per sequence).
mlir::FailureOr<Tensor> quantizeTensor(mlir::Operation *op, const Tensor &x,
                                       mlir::Type type, tq::Rounding rounding);

/// The values that codes of a quantized type stand for, as F64.
mlir::FailureOr<Tensor> dequantizeTensor(mlir::Operation *op,
                                         const Tensor &codes, mlir::Type type);

} // namespace quern

#endif // QUERN_LIB_INTERPRET_CODES_H
