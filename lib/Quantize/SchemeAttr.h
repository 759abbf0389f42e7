//===- SchemeAttr.h - The module attribute tq.scheme ---------------*- C++ -*-//
//
// Reads the dictionary that says how sites and weights are quantized; the
// driver writes it from a recipe and calibrated ranges (SchemeTable.h), tests
// write it by hand.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_SCHEMEATTR_H
#define QUERN_LIB_QUANTIZE_SCHEMEATTR_H

#include "dialects/TQ/TQDialect.h"
#include "lib/Quantize/WeightCodes.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace quern {

/// One activation quantizer of the scheme.
struct SiteQuantizer {
  int64_t bits;
  double scale;
  int64_t zero;
  /// A real number that codes are taken from: x = scale * (code - zero) +
  /// offset. Beside one the zero point is 0.
  double offset = 0;
  /// For a LayerNorm output that is reparameterized: the observed value is
  /// code value * channelScale[j] + channelShift[j]. Empty otherwise.
  std::vector<float> channelScale, channelShift;
  /// Group of each channel, and parameters of each group; empty where one
  /// scale serves all.
  std::vector<int64_t> groupOf;
  std::vector<float> groupScales;
  std::vector<int64_t> groupZeros;
  /// The codes that each group may have; empty where all have all.
  std::vector<tq::CodeLimits> groupLimits;
  /// As many groups were folded: channelScale and channelShift have them. 0 for
  /// none.
  size_t foldedGroups = 0;
  /// The groups still are to be kept or folded.
  bool isUndecided = false;
  /// Each token has the range of its own values, found at run time; the scale
  /// and zero above then mean nothing. `centred`: as wide above 0 as below.
  bool perToken = false, centred = false;
  /// The base of logarithmic codes, whose zero is 2^bits; none for uniform
  /// ones.
  std::optional<tq::LogBase> logBase;
  /// What residual sums read instead, from a LayerNorm of their own; one or
  /// none.
  std::vector<SiteQuantizer> residual = {};
};

/// The attribute of a constant that lost its name when it was put in another
/// order.
inline constexpr llvm::StringLiteral weightNameAttr = "tq.name";

/// The name of a weight: of its constant's data, or of that attribute.
llvm::StringRef weightName(mlir::Value constant);

/// The attribute of a module, checked when it is read.
class SchemeAttr {
public:
  static constexpr llvm::StringLiteral name = "tq.scheme";
  /// The entry that, with "all", keeps tq-slice-rows from its work.
  static constexpr llvm::StringLiteral rows = "rows";

  /// Reads the attribute; emits an error on the module when it is missing or
  /// has entries that are not understood.
  static std::optional<SchemeAttr> read(mlir::ModuleOp module);

  /// True when the scheme knows the site, or NAME of a site NAME.residual.
  bool contains(llvm::StringRef site) const {
    site.consume_back(".residual");
    return sites.contains(site);
  }

  /// The quantizer of a site; none where it stays in f32.
  std::optional<SiteQuantizer> site(llvm::StringRef site) const;

  /// The entry of a site in the dictionary `sites`: of NAME.residual, the one
  /// inside that of NAME. Null where there is none or it says "fp32".
  static mlir::DictionaryAttr entryOf(mlir::DictionaryAttr sites,
                                      llvm::StringRef site);

  /// The quantizer that an entry of `sites` holds, which `read` has checked.
  static SiteQuantizer siteOf(mlir::DictionaryAttr entry);

  /// The quantizer of the weights in a role (`linear`, `norms`, ...); none
  /// where they stay in f32. A role that is not listed stays in f32.
  std::optional<WeightQuantizer> weight(llvm::StringRef role) const;

  /// What is added to the bias of the linear layer before a site; empty for
  /// nothing.
  std::vector<float> bias(llvm::StringRef site) const;

  /// Whether the scheme gives the scales of weights, which are searched
  /// otherwise.
  bool givesScales() const { return bool(scales); }

  /// Given scales of a weight: of signed codes, or (of LayerNorm gains) of
  /// unsigned ones. None for a weight that the scheme does not list. An entry
  /// is an array of scales, or {scales, bits} with bits of their own, for all
  /// or for each scale, perhaps with `along`, "rows" or "columns": what the
  /// blocks of the scales are made of.
  std::optional<LearnedScales> scalesOf(llvm::StringRef weight) const;
  std::optional<LearnedScales> unsignedScalesOf(llvm::StringRef weight) const;

private:
  mlir::DictionaryAttr sites, weights, biases, scales, unsignedScales;
};

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_SCHEMEATTR_H
