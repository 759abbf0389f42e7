//===- LearnedQuantizers.h - Quantizers inside a checkpoint --------*- C++ -*-//
//
// The code published with the PEG paper saves its quantizers with the weights:
// beside `...output.dense.weight` lie `...output.dense.weight_quantizer
// .quantizer._delta` and `...output.dense.activation_quantizer.quantizer
// ._delta` and `._zero_float`. Reads them by site and by weight.
//
// So does learned step size quantization, with the names of the Quantization
// Variation code at the same places: `...output.dense.alpha` and `.nbits` of a
// weight, `...output.dense.activation_quantizer.alpha`, `.nbits`, `.signed` and
// perhaps `.beta` of a site. alpha and beta have one value, or seven, of which
// nbits chooses: those of 2 to 8 bits. Of what is learned by heads nbits has a
// value for each head, and alpha seven values, or seven rows of one for each
// head. Weights of query, key and value have blocks of columns, those of the
// other layers blocks of rows, as the published code's reshapes have it, which
// read [outputs, inputs] as [inputs, outputs]. Its quantizers of heads have a
// beta that they never read.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_LEARNEDQUANTIZERS_H
#define QUERN_COMPILER_IMPORT_LEARNEDQUANTIZERS_H

#include "lib/Support/Status.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// One quantizer as it was saved.
struct LearnedQuantizer {
  /// The stored name of the scales, for messages.
  std::string name;
  /// One scale, or one for each channel, row or head.
  std::vector<float> delta;
  /// Real-valued zero points, as many as scales; empty for a symmetric
  /// quantizer.
  std::vector<float> zero;
  /// Of a symmetric quantizer: whether it has negative codes.
  bool isSigned = true;
  /// Of learned steps: what the middle code of signed ones, or the lowest of
  /// unsigned ones, stands for.
  std::optional<float> offset;
  /// Of learned steps: bits of the codes, one number or one for each head.
  /// Empty for ranges, whose bits are the recipe's.
  std::vector<unsigned> bits;
  /// Of the scales of heads: whether they are those of columns.
  bool ofColumns = false;
};

struct LearnedQuantizers {
  /// The file they are from.
  std::string path;
  /// By site, as `L0.x`.
  std::map<std::string, LearnedQuantizer> sites;
  /// By canonical name of the weight, as `encoder.layer.0.output.dense.weight`.
  std::map<std::string, LearnedQuantizer> weights;
};

/// The canonical name of a module of the published code: some of it wraps a
/// linear layer and its activation (`intermediate.0`, `pooler.dense_act.0`).
std::string canonicalModule(std::string module);

/// Reads the quantizers of a .safetensors file. Errors: none are there, one
/// belongs to no site or weight, a shape or a value that is no quantizer's.
Expected<LearnedQuantizers> readLearnedQuantizers(const std::string &path);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_LEARNEDQUANTIZERS_H
