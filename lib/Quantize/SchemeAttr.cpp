//===- SchemeAttr.cpp - The module attribute tq.scheme --------------------===//
//
// Reading with messages that name the entry, what it holds and what it should.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/SchemeAttr.h"
#include "dialects/TQ/Constants.h"
#include "lib/Quantize/GroupMap.h"

#include "mlir/IR/Diagnostics.h"

#include <cmath>

using namespace mlir;
using namespace quern;

namespace {

bool isFloat(Attribute entry) {
  auto text = dyn_cast<StringAttr>(entry);
  return text && text.getValue() == "fp32";
}

/// Emits `tq.scheme: SECTION.NAME: expected WHAT, got VALUE`.
LogicalResult refuse(ModuleOp module, StringRef section, StringRef name,
                     Attribute value, const Twine &expected) {
  return module.emitError("tq.scheme: ")
         << section << "." << name << ": expected " << expected << ", got "
         << value;
}

/// {bits, group_of, scales, zeros}, perhaps with a form or with limits, a least
/// and a greatest code for each group.
LogicalResult checkGroups(ModuleOp module, StringRef name,
                          DictionaryAttr dict) {
  auto bits = dict.getAs<IntegerAttr>("bits");
  auto groupOf = dict.getAs<DenseI64ArrayAttr>("group_of");
  auto scales = dict.getAs<DenseF32ArrayAttr>("scales");
  auto zeros = dict.getAs<DenseI64ArrayAttr>("zeros");
  Attribute form = dict.get("form"), limits = dict.get("limits");
  if (!bits || !groupOf || !scales || !zeros || (form && limits) ||
      dict.size() != (form || limits ? 5 : 4))
    return refuse(module, "sites", name, dict,
                  "{bits, group_of, scales, zeros}, perhaps with a form or "
                  "with limits");
  auto word = dyn_cast_if_present<StringAttr>(form);
  if (form && (!word || (word != "folded" && word != "auto")))
    return refuse(module, "sites", name, form, "\"folded\" or \"auto\"");
  if (bits.getInt() < 2 || bits.getInt() > 8)
    return refuse(module, "sites", name, bits, "2 to 8 bits for groups");
  size_t groups = scales.size();
  if (!groups || size_t(zeros.size()) != groups)
    return refuse(module, "sites", name, dict, "as many zeros as scales");
  std::vector<bool> used(groups);
  for (int64_t g : groupOf.asArrayRef()) {
    if (g < 0 || size_t(g) >= groups)
      return refuse(module, "sites", name, dict,
                    "groups below " + Twine(groups));
    used[g] = true;
  }
  if (llvm::is_contained(used, false))
    return refuse(module, "sites", name, dict, "no empty group");
  for (float scale : scales.asArrayRef())
    if (!(scale > 0) || std::isinf(scale))
      return refuse(module, "sites", name, scales, "positive scales");
  for (int64_t zero : zeros.asArrayRef())
    if (zero < 0 || zero >= int64_t(1) << bits.getInt())
      return refuse(module, "sites", name, zeros,
                    "zero points of " + Twine(bits.getInt()) + " bits");
  if (!limits)
    return success();
  auto ends = dyn_cast<DenseI64ArrayAttr>(limits);
  bool good = ends && size_t(ends.size()) == 2 * groups;
  for (size_t g = 0; good && g < groups; ++g)
    good = ends[2 * g] >= 0 && ends[2 * g] < ends[2 * g + 1] &&
           ends[2 * g + 1] < int64_t(1) << bits.getInt();
  if (!good)
    return refuse(module, "sites", name, limits,
                  "a least and a greatest code of " + Twine(bits.getInt()) +
                      " bits for each group");
  return success();
}

/// {bits, range, symmetric}.
LogicalResult checkRunTimeRange(ModuleOp module, StringRef name,
                                DictionaryAttr dict) {
  auto bits = dict.getAs<IntegerAttr>("bits");
  auto symmetric = dict.getAs<BoolAttr>("symmetric");
  if (!bits || !symmetric || dict.size() != 3)
    return refuse(module, "sites", name, dict, "{bits, range, symmetric}");
  auto range = dict.getAs<StringAttr>("range");
  if (!range || range != "token")
    return refuse(module, "sites", name, dict.get("range"), "\"token\"");
  if (bits.getInt() < 2 || bits.getInt() > 8)
    return refuse(module, "sites", name, bits, "2 to 8 bits for tokens");
  return success();
}

/// {bits, base, scale}.
LogicalResult checkLog(ModuleOp module, StringRef name, DictionaryAttr dict) {
  auto bits = dict.getAs<IntegerAttr>("bits");
  auto base = dict.getAs<StringAttr>("base");
  auto scale = dict.getAs<FloatAttr>("scale");
  if (!bits || !scale || dict.size() != 3)
    return refuse(module, "sites", name, dict, "{bits, base, scale}");
  if (!base || !tq::symbolizeLogBase(base.getValue()))
    return refuse(module, "sites", name, dict.get("base"),
                  "\"two\" or \"sqrt2\"");
  if (bits.getInt() < 3 || bits.getInt() > 8)
    return refuse(module, "sites", name, bits,
                  "3 to 8 bits for logarithmic codes");
  double s = scale.getValueAsDouble();
  if (!(s > 0) || std::isinf(s) || double(float(s)) != s)
    return refuse(module, "sites", name, scale,
                  "a positive scale that f32 holds exactly");
  return success();
}

LogicalResult checkSite(ModuleOp module, StringRef name, Attribute value) {
  if (isFloat(value))
    return success();
  auto dict = dyn_cast<DictionaryAttr>(value);
  if (dict && dict.get("group_of"))
    return checkGroups(module, name, dict);
  if (dict && dict.get("range"))
    return checkRunTimeRange(module, name, dict);
  if (dict && dict.get("base"))
    return checkLog(module, name, dict);
  auto bits = dict ? dict.getAs<IntegerAttr>("bits") : IntegerAttr();
  auto scale = dict ? dict.getAs<FloatAttr>("scale") : FloatAttr();
  auto zero = dict ? dict.getAs<IntegerAttr>("zero") : IntegerAttr();
  auto channelScale =
      dict ? dict.getAs<DenseFPElementsAttr>("channel_scale") : nullptr;
  auto channelShift =
      dict ? dict.getAs<DenseFPElementsAttr>("channel_shift") : nullptr;
  bool channels = channelScale && channelShift;
  auto residual = dict ? dict.getAs<DictionaryAttr>("residual") : nullptr;
  auto offset = dict ? dict.getAs<FloatAttr>("offset") : FloatAttr();
  size_t known = (channels ? 5 : 3) + (residual ? 1 : 0) + (offset ? 1 : 0);
  if (!bits || !scale || !zero || dict.size() != known)
    return refuse(module, "sites", name, value,
                  "\"fp32\" or {bits, scale, zero}, perhaps with "
                  "channel_scale and channel_shift, perhaps with residual, or "
                  "with offset");
  if (offset && (channels || residual || zero.getInt() != 0 ||
                 !std::isfinite(offset.getValueAsDouble())))
    return refuse(module, "sites", name, value,
                  "a finite offset, a zero point of 0 beside it and one range "
                  "for all channels");
  if (residual) {
    std::string inner = (name + ".residual").str();
    auto its = residual.getAs<DenseFPElementsAttr>("channel_scale");
    if (!its || !channels || its.getType() != channelScale.getType() ||
        residual.get("residual"))
      return refuse(module, "sites", inner, residual,
                    "{bits, scale, zero, channel_scale, channel_shift} beside "
                    "as many channels of the site");
    if (failed(checkSite(module, inner, residual)))
      return failure();
  }
  if (channels && (!channelScale.getElementType().isF32() ||
                   channelScale.getType() != channelShift.getType()))
    return refuse(module, "sites", name, TypeAttr::get(channelScale.getType()),
                  "channel_scale and channel_shift in f32 and of one length");
  if (channels)
    for (float factor : channelScale.getValues<float>())
      if (!(factor > 0) || std::isinf(factor))
        return refuse(module, "sites", name, channelScale,
                      "positive channel scales");
  if (bits.getInt() < 2 || bits.getInt() > 16)
    return refuse(module, "sites", name, bits, "2 to 16 bits");
  double s = scale.getValueAsDouble();
  if (!(s > 0) || std::isinf(s) || double(float(s)) != s)
    return refuse(module, "sites", name, scale,
                  "a positive scale that f32 holds exactly");
  if (zero.getInt() < 0 || zero.getInt() >= int64_t(1) << bits.getInt())
    return refuse(module, "sites", name, zero,
                  "a zero point of " + Twine(bits.getInt()) + " bits");
  return success();
}

LogicalResult checkWeight(ModuleOp module, NamedAttribute entry) {
  static constexpr StringLiteral roles[] = {
      "linear", "pooler", "classifier", "word_table", "table", "norms"};
  StringRef name = entry.getName();
  Attribute value = entry.getValue();
  if (!llvm::is_contained(roles, name))
    return refuse(module, "weights", name, value,
                  "one of linear, pooler, classifier, word_table, table, "
                  "norms");
  if (isFloat(value))
    return success();
  auto dict = dyn_cast<DictionaryAttr>(value);
  auto bits = dict ? dict.getAs<IntegerAttr>("bits") : IntegerAttr();
  auto granularity =
      dict ? dict.getAs<StringAttr>("granularity") : StringAttr();
  auto estimator = dict ? dict.getAs<StringAttr>("estimator") : StringAttr();
  auto rounding = dict ? dict.getAs<StringAttr>("rounding") : StringAttr();
  auto percentile = dict ? dict.getAs<FloatAttr>("percentile") : FloatAttr();
  auto candidates =
      dict ? dict.getAs<IntegerAttr>("candidates") : IntegerAttr();
  auto symmetric = dict ? dict.getAs<BoolAttr>("symmetric") : BoolAttr();
  size_t known = 3 + bool(rounding) + bool(percentile) + bool(candidates) +
                 bool(symmetric);
  if (!bits || !granularity || !estimator || dict.size() != known)
    return refuse(module, "weights", name, value,
                  "\"fp32\" or {bits, granularity, estimator}, perhaps with "
                  "rounding, percentile, candidates or symmetric");
  bool isMatrix = name == "linear" || name == "pooler" || name == "classifier";
  if (symmetric && !symmetric.getValue() && !isMatrix)
    return refuse(module, "weights", name, symmetric,
                  "true, of all but linear, pooler and classifier");
  if (rounding && rounding != "adaround")
    return refuse(module, "weights", name, rounding, "\"adaround\"");
  if (bits.getInt() < 2 || bits.getInt() > 8)
    return refuse(module, "weights", name, bits, "2 to 8 bits");
  if (granularity != "tensor" && granularity != "channel")
    return refuse(module, "weights", name, granularity,
                  "\"tensor\" or \"channel\"");
  if (!parseClipRule(std::string_view(estimator.getValue())))
    return refuse(module, "weights", name, estimator, StringRef(clipRuleWords));
  if (percentile && !(percentile.getValueAsDouble() > 50 &&
                      percentile.getValueAsDouble() <= 100))
    return refuse(module, "weights", name, percentile,
                  "a percentile above 50, at most 100");
  if (candidates && (candidates.getInt() < 2 || candidates.getInt() > 10000))
    return refuse(module, "weights", name, candidates, "2 to 10000 candidates");
  return success();
}

LogicalResult checkBias(ModuleOp module, NamedAttribute entry) {
  auto vector = dyn_cast<DenseFPElementsAttr>(entry.getValue());
  if (!vector ||
      (!vector.getElementType().isF32() && !vector.getElementType().isBF16()) ||
      vector.getType().getRank() != 1)
    return refuse(module, "biases", entry.getName(), entry.getValue(),
                  "a vector of f32 or bf16");
  for (const APFloat &change : vector.getValues<APFloat>())
    if (!change.isFinite())
      return refuse(module, "biases", entry.getName(), vector,
                    "finite elements");
  return success();
}

/// {scales, bits}, perhaps with along.
LogicalResult checkScaleBits(ModuleOp module, StringRef section,
                             NamedAttribute entry, DictionaryAttr dict) {
  auto scales = dict.getAs<DenseF32ArrayAttr>("scales");
  auto bits = dict.getAs<DenseI64ArrayAttr>("bits");
  auto along = dict.getAs<StringAttr>("along");
  if (!scales || !bits || dict.size() != (along ? 3 : 2) ||
      (bits.size() != 1 && bits.size() != scales.size()))
    return refuse(module, section, entry.getName(), dict,
                  "{scales, bits}, perhaps with along, the bits those of all "
                  "scales or of each");
  for (int64_t each : bits.asArrayRef())
    if (each < 2 || each > 8)
      return refuse(module, section, entry.getName(), bits, "2 to 8 bits");
  if (along && along != "rows" && along != "columns")
    return refuse(module, section, entry.getName(), along,
                  "\"rows\" or \"columns\"");
  return success();
}

LogicalResult checkScales(ModuleOp module, StringRef section,
                          NamedAttribute entry) {
  auto dict = dyn_cast<DictionaryAttr>(entry.getValue());
  auto scales = dict ? dict.getAs<DenseF32ArrayAttr>("scales")
                     : dyn_cast<DenseF32ArrayAttr>(entry.getValue());
  if (dict && failed(checkScaleBits(module, section, entry, dict)))
    return failure();
  bool good = scales && !scales.empty();
  for (float scale : scales ? scales.asArrayRef() : ArrayRef<float>())
    good &= scale > 0 && !std::isinf(scale);
  if (!good)
    return refuse(module, section, entry.getName(), entry.getValue(),
                  "an array of positive f32");
  return success();
}

/// From groups to channel scales of one common range.
void fold(SiteQuantizer &site) {
  FoldedGroups folded =
      foldGroups(site.groupOf, site.groupScales, site.groupZeros);
  site.scale = folded.scale;
  site.zero = folded.zero;
  site.channelScale = std::move(folded.channelScale);
  site.channelShift = std::move(folded.channelShift);
  site.foldedGroups = site.groupScales.size();
  site.groupOf.clear();
  site.groupScales.clear();
  site.groupZeros.clear();
}

} // namespace

StringRef quern::weightName(Value constant) {
  StringRef name = tq::getConstantName(constant);
  Operation *op = constant.getDefiningOp();
  if (name.empty() && op)
    if (auto given = op->getAttrOfType<StringAttr>(weightNameAttr))
      return given.getValue();
  return name;
}

std::optional<SchemeAttr> SchemeAttr::read(ModuleOp module) {
  auto dict = module->getAttrOfType<DictionaryAttr>(name);
  SchemeAttr result;
  if (dict) {
    result.sites = dict.getAs<DictionaryAttr>("sites");
    result.weights = dict.getAs<DictionaryAttr>("weights");
    result.biases = dict.getAs<DictionaryAttr>("biases");
    result.scales = dict.getAs<DictionaryAttr>("scales");
    result.unsignedScales = dict.getAs<DictionaryAttr>("unsigned_scales");
  }
  if (!result.sites || !result.weights) {
    module.emitError("expects the attribute 'tq.scheme' with the dictionaries "
                     "'sites' and 'weights'");
    return std::nullopt;
  }
  for (NamedAttribute entry : result.sites)
    if (failed(checkSite(module, entry.getName(), entry.getValue())))
      return std::nullopt;
  for (NamedAttribute entry : result.weights)
    if (failed(checkWeight(module, entry)))
      return std::nullopt;
  if (result.biases)
    for (NamedAttribute entry : result.biases)
      if (failed(checkBias(module, entry)))
        return std::nullopt;
  for (auto [section, entries] :
       {std::pair<StringRef, DictionaryAttr>{"scales", result.scales},
        {"unsigned_scales", result.unsignedScales}})
    for (NamedAttribute entry :
         entries ? entries.getValue() : ArrayRef<NamedAttribute>())
      if (failed(checkScales(module, section, entry)))
        return std::nullopt;
  return result;
}

std::optional<SiteQuantizer> SchemeAttr::site(StringRef site) const {
  DictionaryAttr dict = entryOf(sites, site);
  if (!dict)
    return std::nullopt;
  return siteOf(dict);
}

DictionaryAttr SchemeAttr::entryOf(DictionaryAttr sites, StringRef site) {
  bool isResidual = site.consume_back(".residual");
  auto entry = sites.getAs<DictionaryAttr>(site);
  return entry && isResidual ? entry.getAs<DictionaryAttr>("residual") : entry;
}

SiteQuantizer SchemeAttr::siteOf(DictionaryAttr dict) {
  SiteQuantizer quantizer;
  quantizer.bits = dict.getAs<IntegerAttr>("bits").getInt();
  if (dict.contains("range")) {
    quantizer.perToken = true;
    quantizer.centred = dict.getAs<BoolAttr>("symmetric").getValue();
    quantizer.scale = 1;
    quantizer.zero = 0;
    return quantizer;
  }
  if (auto groupOf = dict.getAs<DenseI64ArrayAttr>("group_of")) {
    auto append = [](auto &to, auto array) {
      to.assign(array.asArrayRef().begin(), array.asArrayRef().end());
    };
    append(quantizer.groupOf, groupOf);
    append(quantizer.groupScales, dict.getAs<DenseF32ArrayAttr>("scales"));
    append(quantizer.groupZeros, dict.getAs<DenseI64ArrayAttr>("zeros"));
    quantizer.scale = 1;
    quantizer.zero = 0;
    if (auto limits = dict.getAs<DenseI64ArrayAttr>("limits"))
      for (int64_t g = 0; g < limits.size(); g += 2)
        quantizer.groupLimits.push_back({limits[g], limits[g + 1]});
    auto form = dict.getAs<StringAttr>("form");
    quantizer.isUndecided = form && form == "auto";
    if (form && form == "folded")
      fold(quantizer);
    return quantizer;
  }
  quantizer.scale = dict.getAs<FloatAttr>("scale").getValueAsDouble();
  if (auto base = dict.getAs<StringAttr>("base")) {
    quantizer.logBase = tq::symbolizeLogBase(base.getValue());
    quantizer.zero = int64_t(1) << quantizer.bits;
    return quantizer;
  }
  quantizer.zero = dict.getAs<IntegerAttr>("zero").getInt();
  if (auto offset = dict.getAs<FloatAttr>("offset"))
    quantizer.offset = offset.getValueAsDouble();
  if (auto scale = dict.getAs<DenseFPElementsAttr>("channel_scale")) {
    auto shift = dict.getAs<DenseFPElementsAttr>("channel_shift");
    llvm::append_range(quantizer.channelScale, scale.getValues<float>());
    llvm::append_range(quantizer.channelShift, shift.getValues<float>());
  }
  if (auto residual = dict.getAs<DictionaryAttr>("residual"))
    quantizer.residual.push_back(siteOf(residual));
  return quantizer;
}

/// The entry of a weight among given scales, which `read` has checked.
static std::optional<LearnedScales> learnedScales(DictionaryAttr all,
                                                  StringRef weight) {
  Attribute entry = all ? all.get(weight) : Attribute();
  if (!entry)
    return std::nullopt;
  LearnedScales result;
  auto dict = dyn_cast<DictionaryAttr>(entry);
  auto scales = dict ? dict.getAs<DenseF32ArrayAttr>("scales")
                     : cast<DenseF32ArrayAttr>(entry);
  result.scales = scales.asArrayRef().vec();
  if (!dict)
    return result;
  for (int64_t bits : dict.getAs<DenseI64ArrayAttr>("bits").asArrayRef())
    result.bits.push_back(unsigned(bits));
  auto along = dict.getAs<StringAttr>("along");
  result.ofColumns = along && along == "columns";
  return result;
}

std::optional<LearnedScales> SchemeAttr::scalesOf(StringRef weight) const {
  return learnedScales(scales, weight);
}

std::optional<LearnedScales>
SchemeAttr::unsignedScalesOf(StringRef weight) const {
  return learnedScales(unsignedScales, weight);
}

std::optional<WeightQuantizer> SchemeAttr::weight(StringRef role) const {
  auto dict = weights.getAs<DictionaryAttr>(role);
  if (!dict)
    return std::nullopt;
  WeightQuantizer quantizer;
  quantizer.bits = dict.getAs<IntegerAttr>("bits").getInt();
  quantizer.perRow =
      dict.getAs<StringAttr>("granularity").getValue() == "channel";
  ClipSearch &clip = quantizer.clip;
  clip.rule = *parseClipRule(
      std::string_view(dict.getAs<StringAttr>("estimator").getValue()));
  if (auto percentile = dict.getAs<FloatAttr>("percentile"))
    clip.percentile = percentile.getValueAsDouble();
  if (auto candidates = dict.getAs<IntegerAttr>("candidates"))
    clip.candidates = candidates.getInt();
  quantizer.adaptive = dict.contains("rounding");
  if (auto symmetric = dict.getAs<BoolAttr>("symmetric"))
    quantizer.symmetric = symmetric.getValue();
  return quantizer;
}

std::vector<float> SchemeAttr::bias(StringRef site) const {
  std::vector<float> change;
  if (biases)
    if (auto vector = biases.getAs<DenseFPElementsAttr>(site))
      for (const APFloat &value : vector.getValues<APFloat>())
        change.push_back(value.convertToFloat());
  return change;
}
