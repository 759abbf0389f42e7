//===- SiteCodes.cpp - What the codes of a site stand for -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/SiteCodes.h"

#include "lib/Quantize/SchemeAttr.h"

using namespace mlir;

namespace quern {

/// Whether an entry of tq.scheme has groups that codes of one scale stand for.
static bool hasFoldedGroups(DictionaryAttr scheme) {
  return scheme && scheme.contains("group_of") && scheme.contains("form");
}

/// The group of each column of a site: the scheme's map goes by the channels of
/// the imported model, the columns lie in the order that tq-order-channels gave
/// the layer. Empty without groups.
static std::vector<uint16_t>
groupsByColumn(DictionaryAttr sites, StringRef site, DictionaryAttr scheme) {
  auto mapOf = [](DictionaryAttr entry) {
    auto map = entry ? entry.getAs<DenseI64ArrayAttr>("group_of") : nullptr;
    return map ? map.asArrayRef() : ArrayRef<int64_t>();
  };
  ArrayRef<int64_t> map = mapOf(scheme), leading;
  std::string layer = site.rsplit('.').first.str();
  bool hasOrder = !map.empty() &&
                  !hasFoldedGroups(sites.getAs<DictionaryAttr>(layer + ".x"));
  for (const char *key : {".x", ".h", ".y"})
    if (leading.empty() && hasOrder)
      leading = mapOf(sites.getAs<DictionaryAttr>(layer + key));
  std::vector<size_t> order(map.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  if (leading.size() == map.size())
    llvm::sort(order, [&](size_t a, size_t b) {
      return std::pair(leading[a], a) < std::pair(leading[b], b);
    });
  std::vector<uint16_t> groups;
  for (size_t channel : order)
    groups.push_back(static_cast<uint16_t>(map[channel]));
  return groups;
}

static const char *kindOf(const SiteQuantizer &quantizer) {
  if (!quantizer.logBase)
    return "";
  return *quantizer.logBase == tq::LogBase::Two ? " log2" : " log_sqrt2";
}

SiteCodes siteCodes(ModuleOp module, StringRef site) {
  auto schemes = module->getAttrOfType<DictionaryAttr>(SchemeAttr::name);
  auto sites = schemes ? schemes.getAs<DictionaryAttr>("sites") : nullptr;
  DictionaryAttr scheme =
      sites ? SchemeAttr::entryOf(sites, site) : DictionaryAttr();
  SiteCodes codes;
  codes.text = "f32";
  if (!scheme)
    return codes;
  SiteQuantizer quantizer = SchemeAttr::siteOf(scheme);
  codes.bits = quantizer.bits;
  // The zero of logarithmic codes needs one bit more.
  codes.element = quantizer.bits + (quantizer.logBase ? 1 : 0) <= 8
                      ? manifest::Element::U8
                      : manifest::Element::U16;
  std::string width = "u" + std::to_string(quantizer.bits);
  if (hasFoldedGroups(scheme)) {
    codes.scales = {float(quantizer.scale)};
    codes.zeros = {float(quantizer.zero)};
    codes.text = width + " in " + std::to_string(quantizer.foldedGroups) +
                 " groups, folded";
    return codes;
  }
  codes.groups = groupsByColumn(sites, site, scheme);
  if (!codes.groups.empty()) {
    codes.scales = quantizer.groupScales;
    codes.zeros.assign(quantizer.groupZeros.begin(),
                       quantizer.groupZeros.end());
    codes.text =
        width + " in " + std::to_string(codes.scales.size()) + " groups";
    return codes;
  }
  if (quantizer.perToken) {
    codes.text = width + kindOf(quantizer) + " per token, ranges at run time";
    return codes;
  }
  codes.text = width + kindOf(quantizer) + " per tensor";
  codes.scales = {float(quantizer.scale)};
  codes.zeros = {
      float(double(quantizer.zero) - quantizer.offset / quantizer.scale)};
  return codes;
}

} // namespace quern
