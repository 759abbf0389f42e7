//===- Accuracy.h - How far a module is from its float model ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Runs a module and the compiled float model of its folder on the same tokens
// and compares what every site held: signal to quantization noise, values that
// a quantizer clips, and the channels that are far larger than the others.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_ACCURACY_ACCURACY_H
#define QUERN_COMPILER_ACCURACY_ACCURACY_H

#include "compiler/Compiler.h"

namespace quern {

/// A channel is an outlier above this multiple of the median channel.
constexpr double outlierRatio = 6;

/// A channel whose largest magnitude stands out.
struct OutlierChannel {
  unsigned channel;
  /// Its largest magnitude, and that over the median channel's.
  double magnitude, ratio;
};

/// What the texts showed at a site. Energies are sums of squares.
struct SiteAccuracy {
  std::string name, key;
  int layer = -1;
  /// Of the codes; 0 for real numbers.
  unsigned bits = 0;
  /// Each token's codes have the range that a run found for it.
  bool perToken = false;
  uint64_t values = 0;
  /// Float values that lie outside of what the codes can say.
  uint64_t clipped = 0;
  double signal = 0, noise = 0;
  /// Extremes of the float values.
  double lo = 0, hi = 0;
  /// Largest magnitude of the float values by channel; empty where a site has
  /// no channels (attention scores and probabilities).
  std::vector<float> channels;
  double medianChannel = 0;
  std::vector<OutlierChannel> outliers;

  /// Signal over noise in dB; infinite where the values are equal.
  double sqnr() const;
  double clippedShare() const {
    return values ? double(clipped) / double(values) : 0;
  }
};

/// The sites of a layer together; -1 is all outside the layers.
struct LayerAccuracy {
  int layer = -1;
  /// The lowest signal to noise, where it is, and that of all sites together
  /// (mean of the dB of quantized sites).
  double worst = 0, mean = 0;
  std::string worstSite;
  double clippedShare = 0;
  unsigned outliers = 0;
};

/// What measureAccuracy() compares.
struct AccuracyRequest {
  std::string module;
  /// The folder it was made from; empty takes the one in its manifest.
  std::string modelFolder;
  std::vector<CalibrationText> texts;
  /// 0 is one per CPU.
  unsigned threads = 0;
  std::function<void(double)> progress;
};

struct AccuracyReport {
  std::string module, recipe, modelFolder;
  uint64_t texts = 0, tokens = 0;
  /// In the order of the program.
  std::vector<SiteAccuracy> sites;
  /// Sites of the model that the module does not keep.
  std::vector<std::string> notKept;
  std::vector<LayerAccuracy> layers;
  /// The outputs (logits or embeddings).
  SiteAccuracy outputs;
  /// Share of output rows whose largest element is the float model's too;
  /// nothing for heads that do not classify.
  std::optional<double> agreement;
  /// Mean cosine of output rows, for embeddings.
  std::optional<double> cosine;
};

/// "u8", "u8/token" where each token has a range of its own, or "f32".
std::string codesOf(const SiteAccuracy &site);

/// Four digits of a number, for tables.
std::string fourDigits(double value);

/// Runs both programs. Errors name the file or site.
Expected<AccuracyReport> measureAccuracy(const AccuracyRequest &request);

/// The report as a table, as JSON, and as one HTML page without references to
/// anything outside of it, which shows `section` (HTML) behind its summary.
std::string accuracyText(const AccuracyReport &report);
std::string accuracyJson(const AccuracyReport &report);
std::string accuracyPage(const AccuracyReport &report,
                         const std::string &section = "");

} // namespace quern

#endif // QUERN_COMPILER_ACCURACY_ACCURACY_H
