//===- GroupForms.h - Groups kept or folded, by cost and error --*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The form "auto" of a site's groups (quantization.md 8.3 and 9.2). Direct
// groups cost every product that reads them a scaled sum each; folded ones cost
// nothing, but the weights, which take the groups' scales in, are quantized
// anew, and their error is another one. The error of activations is the same,
// and so is that of the codes in which the products end.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_GROUPFORMS_H
#define QUERN_COMPILER_GROUPFORMS_H

#include "compiler/FloatRun.h"
#include "lib/Quantize/SchemeAttr.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// Mean and variance of each channel of a site.
struct ChannelMoments {
  std::vector<double> mean, variance;
};

/// Expected squared error of the outputs of one product, all rows together.
struct FormNoise {
  double direct = 0, folded = 0;
  /// What folding adds, in dB.
  double addedDecibels() const;
};

/// The error of a product of `rows` rows that reads the codes of `groups`,
/// with channels that err independently: that of the codes, which is a twelfth
/// of a squared step, and that of the weights. With `keepsMeans` the mean of
/// the error does not count, as bias correction takes it away.
FormNoise formNoise(const std::vector<float> &weights, size_t rows,
                    const SiteQuantizer &groups,
                    const WeightQuantizer &quantizer,
                    const ChannelMoments &moments, bool keepsMeans);

/// The decibels of noise that the time of so many groups is worth: as many as
/// 16-bit codes, which cost a product as much again, take away for it.
double worthOfGroups(size_t groups);

/// Decides every undecided site in the scheme of `module` (L0), by the moments
/// of what the float model holds there for some of `texts`. A line for each
/// site, which is a remark, too.
Expected<std::vector<std::string>>
chooseForms(mlir::ModuleOp module, bool correctsBias, FloatModel &model,
            const std::vector<CalibrationText> &texts,
            const std::function<void(double)> &progress);

/// Whether the scheme has undecided sites.
bool hasUndecidedForms(mlir::ModuleOp module);

} // namespace quern

#endif // QUERN_COMPILER_GROUPFORMS_H
