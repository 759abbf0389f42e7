//===- SchemeTable.h - Recipe and ranges to the scheme of a module -*- C++ -*-//
//
// Between recipe, calibration and the pass tq-quantize: which sites an L0
// module has, which of them a recipe wants observed, and the attribute
// `tq.scheme` with a scale and zero point for each.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_SCHEMETABLE_H
#define QUERN_COMPILER_CALIBRATE_SCHEMETABLE_H

#include "compiler/Calibrate/Calibrator.h"
#include "compiler/Recipe/Recipe.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern {

/// The sites of an L0 module, in program order.
std::vector<Site> collectSites(mlir::ModuleOp module);

/// The sites a recipe quantizes, for the Calibrator.
std::vector<ObservedSite> observedSites(const std::vector<Site> &sites,
                                        const Recipe &recipe);

/// Whether the channel scales of a site can move into its readers and leave
/// everything in integers: linears of quantized weights, and residual sums
/// behind a quantizer whose other operand has one too.
bool takesChannels(mlir::Operation *observe, const Recipe &recipe);

/// Half width and middle of the range of each channel, which has codes of the
/// range [-1, 1] after it moved into the LayerNorm.
struct ChannelRanges {
  std::vector<float> scale, shift;
};
ChannelRanges channelRanges(const std::vector<Range> &channels,
                            Estimator estimator);

/// The codes of such channels.
UniformParams channelParams(bool symmetric, unsigned bits);

/// Sets `tq.scheme` of an L0 module. Errors: a selector of the recipe that
/// fits no site, a site without a fitting range.
Error attachScheme(mlir::ModuleOp module, const Recipe &recipe,
                   const RangeTable &ranges);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_SCHEMETABLE_H
