//===- Recipe.h - Which site has which bits ------------------------*- C++ -*-//
//
// A recipe is a JSON object that says how every activation site and every
// weight of a model is quantized:
//
//   { "base": "w8a8",
//     "activation": {"bits": 8, "estimator": "mse"},
//     "weight": {"bits": 8, "granularity": "tensor", "estimator": "mse"},
//     "sites": {"h": 16, "L5": "fp32", "L3.x": {"estimator": "percentile"}},
//     "weights": {"Et": 8, "wC": "fp32"},
//     "calibration": {"batch_size": 1, "batches": 1},
//     "adaround": {"asym": true, "inputs": "codes", "iterations": 800,
//     "samples": 2048,
//                  "lr": 0.03, "weight": 0.01, "annealing": [20, 2],
//                  "decay": "cosine", "warmup": 0.2},
//     "quant_setup": "FP_logits",
//     "arithmetic": "fixed", "gelu": "i_gelu", "softmax": "table",
//     "bias_correction": true }
//
// Activations have 2 to 16 bits, weights 2 to 8, or stay in f32. Every key is
// optional. `base` names a preset that the rest changes. Where
// several selectors of `sites` fit a site, the more specific one wins: L, then
// LN, then a key (x), then a key with its layer (x3), then a full name (L3.x).
// The estimator of `activation` is for ranges of whole sites; channels and
// groups have the range of all values seen, unless an entry of `sites` names an
// estimator. `quant_setup` is about the logits: "all" sites alike, "FP_logits"
// leaves them in f32, "MSE_logits" searches their range by squared error.
// `bias_correction` moves the biases of linear layers by the mean error that
// quantization makes in their outputs on the calibration text.
// `arithmetic` is what lies between integer products: "f32" steps, or "fixed"
// for fixed-point numbers, whose forms of GELU and softmax can be chosen.
// Unknown keys, sites and values are errors that list what is allowed.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_RECIPE_RECIPE_H
#define QUERN_COMPILER_RECIPE_RECIPE_H

#include "compiler/Recipe/Scheme.h"
#include "lib/Support/Status.h"

#include <string>
#include <vector>

namespace quern {

/// The weights a recipe can name.
enum class WeightRole {
  Table,      ///< position and token-type embedding tables
  WordTable,  ///< `Et`: the word embedding table
  Norm,       ///< LayerNorm gains; always one scale per tensor
  Linear,     ///< every other matrix
  Pooler,     ///< `wP`
  Classifier, ///< `wC`
};

/// A change to some of the values of a scheme.
struct ActivationChange {
  /// Pairs each value of a change with the one of a scheme that it sets. A new
  /// value of a recipe gets its line here.
  template <typename Function> static void forEachField(Function &&pair) {
    using To = ActivationScheme;
    using From = ActivationChange;
    pair(&To::bits, &From::bits);
    pair(&To::learnedBits, &From::learnedBits);
    pair(&To::symmetric, &From::symmetric);
    pair(&To::quantizer, &From::quantizer);
    pair(&To::estimator, &From::estimator);
    pair(&To::percentile, &From::percentile);
    pair(&To::momentum, &From::momentum);
    pair(&To::candidates, &From::candidates);
    pair(&To::perChannel, &From::perChannel);
    pair(&To::perToken, &From::perToken);
    pair(&To::groups, &From::groups);
    pair(&To::permute, &From::permute);
    pair(&To::powersOfTwo, &From::powersOfTwo);
    pair(&To::form, &From::form);
    pair(&To::residualBits, &From::residualBits);
  }

  std::string selector;
  std::optional<unsigned> bits;
  std::optional<bool> learnedBits;
  std::optional<bool> symmetric;
  std::optional<Quantizer> quantizer;
  std::optional<Estimator> estimator;
  std::optional<double> percentile, momentum;
  std::optional<unsigned> candidates;
  std::optional<bool> perChannel;
  std::optional<bool> perToken;
  std::optional<unsigned> groups;
  std::optional<Permute> permute;
  std::optional<bool> powersOfTwo;
  std::optional<GroupForm> form;
  std::optional<unsigned> residualBits;
};

struct WeightChange {
  /// As for activations.
  template <typename Function> static void forEachField(Function &&pair) {
    using To = WeightScheme;
    using From = WeightChange;
    pair(&To::bits, &From::bits);
    pair(&To::learnedBits, &From::learnedBits);
    pair(&To::perChannel, &From::perChannel);
    pair(&To::estimator, &From::estimator);
    pair(&To::percentile, &From::percentile);
    pair(&To::candidates, &From::candidates);
    pair(&To::adaptive, &From::adaptive);
    pair(&To::symmetric, &From::symmetric);
  }

  std::optional<unsigned> bits;
  std::optional<bool> learnedBits;
  std::optional<bool> perChannel;
  std::optional<ClipRule> estimator;
  std::optional<double> percentile;
  std::optional<unsigned> candidates;
  /// Only in the default of all weights; it is for linear layers.
  std::optional<bool> adaptive;
  /// Not of tables and gains, which have no zero points.
  std::optional<bool> symmetric;
};

/// Sets the values of a scheme that a change names.
template <typename Change, typename Scheme>
void applyChange(const Change &change, Scheme &scheme) {
  Change::forEachField([&](auto to, auto from) {
    scheme.*to = (change.*from).value_or(scheme.*to);
  });
}

/// The change that makes `scheme` of `usual`.
template <typename Change, typename Scheme>
Change changeFrom(const Scheme &usual, const Scheme &scheme) {
  Change change;
  Change::forEachField([&](auto to, auto from) {
    if (scheme.*to != usual.*to)
      change.*from = scheme.*to;
  });
  return change;
}

/// What of the calibration texts is run, and how much at once: current and
/// running ranges go by batch.
struct CalibrationScheme {
  unsigned batchSize = 16;
  /// Only so many batches; 0 for all.
  unsigned batches = 0;
};

/// How rounding is learned; the names are those of the published flags. The
/// published 1,000 steps at a rate of 1e-3 are slower and worse than these.
struct RoundingScheme {
  /// The layer's input comes from the already rounded layers before it; the
  /// outputs aimed at are the float model's.
  bool asym = false;
  /// What a layer reads is rounded to the codes of its site.
  bool codedInputs = false;
  unsigned iterations = 800;
  /// Tokens that the steps draw from.
  unsigned samples = 2048;
  double rate = 3e-2;
  /// Weight of the regularizer, its exponents, whether they fall along a line
  /// or a cosine, and the part of the steps without it.
  double weight = 0.01;
  double annealFrom = 20, annealTo = 2;
  bool isLinear = false;
  double warmUp = 0.2;
};

/// A parsed recipe. Parsing checks the form; `check` holds it against the
/// sites of a model.
class Recipe {
public:
  /// Parses recipe text; `origin` (a file name) starts every message.
  static Expected<Recipe> parse(std::string_view text, std::string_view origin);

  /// Loads a preset by name or, where the argument ends in `.json` or holds a
  /// slash, a file.
  static Expected<Recipe> load(const std::string &nameOrPath);

  /// Names of the presets, `default` first.
  static std::vector<std::string> presets();

  /// Applies one `SITE=SCHEME` of the command line, where SCHEME is `fp32`, a
  /// number of bits, or an estimator. SITE may be a weight (`Et`, `wP`, `wC`).
  /// `SITE.KEY=VALUE` sets a single key of it, as `x3.percentile=99.9` or
  /// `Et.granularity=channel`; SITE may then also be `activation`, `weight` or
  /// `calibration` or `adaround`.
  Error set(std::string_view assignment);

  /// Applies a dictionary of the published code's `--quant-dict`.
  Error setQuantDict(std::string_view dict);

  /// An error when a selector fits none of the sites, or a value is one that
  /// nothing reads.
  Error check(const std::vector<Site> &sites) const;

  /// The scheme of one site, all fitting changes applied.
  ActivationScheme activationFor(const Site &site) const;

  /// The scheme of a weight in the given role.
  WeightScheme weightFor(WeightRole role) const;

  const CalibrationScheme &calibration() const { return calibrated; }
  const RoundingScheme &rounding() const { return adaRound; }
  const ArithmeticScheme &arithmetic() const { return arithmeticForms; }
  /// Whether biases take the mean error of their layer's outputs.
  bool correctsBias() const { return correctsBiases; }

  /// True when some site or weight has the bits of a learned quantizer.
  bool readsBits(const std::vector<Site> &sites) const;

  /// True when neither an activation nor a weight is quantized.
  bool isFloat() const;

  /// The recipe as JSON that `parse` reads back to an equal recipe; `base` is
  /// resolved, so the text does not depend on the presets of this build.
  std::string toJson() const;

  /// Preset name or file stem.
  const std::string &name() const { return recipeName; }

private:
  friend class RecipeParser;

  Error checkArithmetic(const std::vector<Site> &sites) const;
  Error checkZeroPoints(const std::vector<Site> &sites) const;
  Error checkForm(const ActivationChange &form,
                  const std::vector<Site> &sites) const;
  Error checkLog(const Site &site) const;
  Error checkUnread(const std::vector<Site> &sites) const;
  Error checkUnreadWeights() const;
  ActivationScheme schemeFor(const Site &site, size_t changeCount) const;

  std::string recipeName;
  std::string origin;
  ActivationScheme activation;
  WeightScheme weight;
  CalibrationScheme calibrated;
  RoundingScheme adaRound;
  ArithmeticScheme arithmeticForms;
  bool correctsBiases = false;
  /// In order of appearance; resolution goes by specificity.
  std::vector<ActivationChange> changes;
  /// What was said of all sites, in order; `activation` is what came of it.
  std::vector<ActivationChange> defaults;
  /// Options of weights that their estimator did not read when they came. A
  /// later one may.
  struct UnreadOption {
    std::string path, value;
    ClipRule reader;
    /// None for all weights.
    std::optional<WeightRole> role;
  };
  std::vector<UnreadOption> unread;
  /// The same of learned rounding: a key of it, or nothing.
  std::string unreadRounding;
  WeightChange wordTable, tables, norms, pooler, classifier;
};

} // namespace quern

#endif // QUERN_COMPILER_RECIPE_RECIPE_H
