//===- Scheme.h - How one site or weight is quantized --------------*- C++ -*-//
//
// The values a recipe gives to the sites of quantization.md 4.1: bits, range
// estimator, granularity. Plain data, shared by Recipe and Calibrate.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_SCHEME_H
#define QUERN_COMPILER_RECIPE_SCHEME_H

#include "lib/Support/WeightClip.h"

#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// How the range of a site is taken from calibration data (quantization.md 6).
enum class Estimator {
  CurrentMinMax, ///< extremes of the last batch
  RunningMinMax, ///< extremes of each batch, averaged with a momentum
  AllMinMax,     ///< extremes of all batches
  Percentile,    ///< two-sided percentile of all values
  MseGrid,       ///< least squared error on a grid of both ends
  MseGolden,     ///< least squared error by golden-section search
  CrossEntropy,  ///< least cross entropy of the rows' softmax; for logits
  LogPercentile, ///< least squared error of three percentiles; for log codes
  DualClip,      ///< channels: both ends by the error of the products behind
};

/// The name a recipe file uses: `current_minmax`, `mse_grid`, ...
std::string_view estimatorName(Estimator estimator);

/// The estimator of a name (`mse` means `mse_grid`), or nothing.
std::optional<Estimator> parseEstimator(std::string_view name);

/// What codes mean (quantization.md 3.4).
enum class Quantizer {
  Uniform,  ///< steps of one size
  Log2,     ///< powers of 2, and a code of zero
  LogSqrt2, ///< powers of sqrt(2), and a code of zero
};

/// The name a recipe file uses.
std::string_view quantizerName(Quantizer quantizer);

/// The quantizer of a name, or nothing.
std::optional<Quantizer> parseQuantizer(std::string_view name);

/// How channels become groups.
enum class Permute {
  None,    ///< neighbours
  Own,     ///< channels sorted by the width of their range
  SharedH, ///< sorted by the widths of site h of the same layer
  Fit,     ///< sorted by width, sizes of least squared error
};

/// How the products that read a LayerNorm output of groups take their scales.
enum class GroupForm {
  Direct, ///< a sum for each group, scaled one by one
  Folded, ///< in the LayerNorm and the weights: a plain product
  Auto,   ///< whichever is worth more, see GroupForms.h
};

/// The name a recipe file uses.
std::string_view groupFormName(GroupForm form);

/// The form of a name, or nothing.
std::optional<GroupForm> parseGroupForm(std::string_view name);

/// How an integer graph computes what lies between its products.
struct ArithmeticScheme {
  enum class Gelu { Polynomial, IGelu, ShiftGelu };
  enum class Softmax { Table, IExp, Shiftmax };

  /// No f32 from the embedding to the logits.
  bool fixed = false;
  /// The forms of a fixed graph.
  Gelu gelu = Gelu::Polynomial;
  Softmax softmax = Softmax::Table;

  /// The scale that the form gives probabilities; 0 where the range of site p
  /// does.
  double probabilityScale() const {
    return softmax == Softmax::IExp       ? 1.0 / 256
           : softmax == Softmax::Shiftmax ? 1.0 / 128
                                          : 0;
  }
};

/// The names a recipe file uses.
std::string_view geluName(ArithmeticScheme::Gelu gelu);
std::string_view softmaxName(ArithmeticScheme::Softmax softmax);

/// One activation quantizer.
struct ActivationScheme {
  /// 2 to 16; 0 leaves the site in f32. Up to 8 are stored in a byte.
  unsigned bits = 8;
  /// The bits are those that a checkpoint's learned quantizer has.
  bool learnedBits = false;
  /// The range is as wide above zero as below (or begins at zero where no value
  /// was negative), and zero is the middle (or lowest) code.
  bool symmetric = false;
  /// Logarithmic codes, of 3 to 8 bits, are for attention probabilities.
  Quantizer quantizer = Quantizer::Uniform;
  Estimator estimator = Estimator::MseGrid;
  /// For Estimator::Percentile: where the upper end is cut, in percent.
  double percentile = 99.99;
  /// For Estimator::MseGrid and CrossEntropy: candidates for each end.
  unsigned candidates = 100;
  /// For Estimator::RunningMinMax: share of the average that a batch leaves.
  double momentum = 0.9;
  /// Each channel of a LayerNorm output has its own range, moved into the gain
  /// and the weights that read it, so that the codes have one scale (RepQuant).
  /// Weights then need codes, and the residual sum a quantizer; where they have
  /// not, the site keeps one range.
  bool perChannel = false;
  /// Groups of channels, each of its own scale and zero point; 0 for one scale,
  /// everyChannel for as many groups as channels.
  unsigned groups = 0;
  Permute permute = Permute::None;
  GroupForm form = GroupForm::Direct;
  /// The groups are those of power-of-two factors (FQ-ViT): each channel has an
  /// eighth, a quarter, a half or the whole of one scale, whichever has the
  /// least squared error, and all have its zero point.
  bool powersOfTwo = false;
  static constexpr unsigned powerGroups = 4;
  /// Each token has the range of its own values, found at run time: no
  /// estimator plays a part. In up to 8 bits.
  bool perToken = false;
  /// Of a LayerNorm output by channel: residual sums read codes of their own,
  /// of so many bits; 0 where they read those of the products.
  unsigned residualBits = 0;
  static constexpr unsigned everyChannel = ~0u;
  /// The estimator of channels and groups.
  Estimator channelEstimator = Estimator::AllMinMax;

  /// Whether ranges by channel are needed.
  bool needsChannels() const { return perChannel || groups > 1; }

  /// Whether calibration has to find a range.
  bool needsRange() const { return !isFloat() && !perToken; }

  bool isFloat() const { return bits == 0; }
  /// Whether the site has logarithmic codes.
  bool isLog() const { return !isFloat() && quantizer != Quantizer::Uniform; }
  bool operator==(const ActivationScheme &other) const {
    return bits == other.bits && learnedBits == other.learnedBits &&
           symmetric == other.symmetric && quantizer == other.quantizer &&
           perChannel == other.perChannel && groups == other.groups &&
           permute == other.permute && powersOfTwo == other.powersOfTwo &&
           form == other.form && perToken == other.perToken &&
           residualBits == other.residualBits && estimator == other.estimator &&
           channelEstimator == other.channelEstimator &&
           sameOptions(other, estimator) &&
           (!needsChannels() || sameOptions(other, channelEstimator));
  }

  /// Whether the options that an estimator reads are equal.
  bool sameOptions(const ActivationScheme &other, Estimator which) const {
    bool searches =
        which == Estimator::MseGrid || which == Estimator::CrossEntropy;
    return (which != Estimator::Percentile || percentile == other.percentile) &&
           (!searches || candidates == other.candidates) &&
           (which != Estimator::RunningMinMax || momentum == other.momentum);
  }
};

/// One weight quantizer.
struct WeightScheme {
  /// 2 to 8; 0 leaves the weight in f32.
  unsigned bits = 8;
  /// The bits are those that a checkpoint's learned quantizer has.
  bool learnedBits = false;
  /// One scale per output channel (linear) or row (table) instead of one.
  bool perChannel = false;
  ClipRule estimator = ClipRule::Mse;
  /// For ClipRule::Percentile: where both ends are cut, in percent.
  double percentile = ClipSearch().percentile;
  /// For ClipRule::MseGrid.
  unsigned candidates = ClipSearch().candidates;
  /// Learned rounding (AdaRound) of the linear layers.
  bool adaptive = false;
  /// False: each scale has a zero point (linear layers only).
  bool symmetric = true;

  bool isFloat() const { return bits == 0; }
  ClipSearch clip() const { return {estimator, percentile, candidates}; }
  bool operator==(const WeightScheme &other) const {
    return bits == other.bits && learnedBits == other.learnedBits &&
           perChannel == other.perChannel && clip() == other.clip() &&
           adaptive == other.adaptive && symmetric == other.symmetric;
  }
};

/// A quantizer site of a model: name `L3.x`, key `x`, layer 3. Sites outside
/// the encoder layers (`E.t`, `P`, `C`) have layer -1.
struct Site {
  std::string name;
  std::string key;
  int layer = -1;
  /// A linear layer reads it.
  bool isMultiplied = false;
};

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_SCHEME_H
