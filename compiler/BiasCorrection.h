//===- BiasCorrection.h - Biases that keep the means of outputs -*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Most of a GELU output lies within one 8-bit step of zero and is rounded the
// same way, so that every output of the next layer moves by as much (with the
// outliers of BERT's layers 9 and 10, by more than the classifier's margin).
// The mean of that error is known from calibration text and goes into the bias
// (Nagel et al., Data-Free Quantization, ICCV 2019, section 4.2; empirical, on
// the float model's activations).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BIASCORRECTION_H
#define QUERN_COMPILER_BIASCORRECTION_H

#include "compiler/FloatRun.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// Adds `biases` to the scheme of `module` (L0 with a scheme, and codes where
/// weights were rounded by AdaRound): for each linear layer with quantized
/// weights or input the mean over the tokens of `texts` of W x - Q(W) Q(x), by
/// output channel (of W x - W Q(x) where the weights have one scale); tokens
/// count by the inverse of the energy of x. The texts must not be empty.
Error correctBiases(mlir::ModuleOp module, FloatModel &model,
                    const std::vector<CalibrationText> &texts,
                    const std::function<void(double)> &progress);

/// The same for modules of one model that have different schemes, in one run of
/// the float model.
Error correctBiases(llvm::ArrayRef<mlir::ModuleOp> modules, FloatModel &model,
                    const std::vector<CalibrationText> &texts,
                    const std::function<void(double)> &progress);

} // namespace quern

#endif // QUERN_COMPILER_BIASCORRECTION_H
