//===- ModuleTuning.cpp - The attribute tk.tuning -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ModuleTuning.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/Gemm.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using llvm::formatv;

namespace quern {

/// Widths that a model may have.
static constexpr int64_t kMostWidth = int64_t(1) << 24;

const TunedGemm *ModuleTuning::choose(int64_t k, int64_t n, int64_t bits,
                                      TunedInput input) const {
  const TunedGemm *best = nullptr;
  double least = 0;
  for (const TunedGemm &each : gemm) {
    double inner = std::abs(std::log2(double(each.k) / double(k)));
    double outer = std::abs(std::log2(double(each.n) / double(n)));
    if (each.bits != bits || each.input != input || inner > 1 || outer > 1)
      continue;
    if (!best || inner + outer < least) {
      best = &each;
      least = inner + outer;
    }
  }
  return best;
}

std::string ModuleTuning::apply(GemmShape &shape, TunedInput input) const {
  const TunedGemm *found = choose(shape.k, shape.n, shape.weightBits, input);
  if (!found)
    return "";
  shape.setTuning(found->tuning);
  bool isSame = found->k == shape.k && found->n == shape.n;
  std::string of =
      isSame ? "" : formatv(" by {0}x{1}", found->k, found->n).str();
  std::string why = found->why.empty() ? "" : ": " + found->why;
  return formatv("tuned for {0}{1}, {2}{3}", machine, of,
                 describeTuning(found->tuning), why);
}

void ModuleTuning::write(ModuleOp module) const {
  StringRef name = tk::TKDialect::getTuningAttrName();
  if (gemm.empty()) {
    module->removeAttr(name);
    return;
  }
  Builder b(module.getContext());
  SmallVector<Attribute> list;
  for (const TunedGemm &each : gemm) {
    NamedAttrList entry;
    entry.set("k", b.getI64IntegerAttr(each.k));
    entry.set("n", b.getI64IntegerAttr(each.n));
    entry.set("bits", b.getI64IntegerAttr(each.bits));
    if (each.input != TunedInput::Codes)
      entry.set("input", b.getStringAttr(tunedInputName(each.input)));
    const GemmTuning usual;
    for (const TuningField &field : tuningFields())
      if (each.tuning.*field.member != usual.*field.member)
        entry.set(field.name, b.getI64IntegerAttr(each.tuning.*field.member));
    if (!each.why.empty())
      entry.set("why", b.getStringAttr(each.why));
    list.push_back(entry.getDictionary(b.getContext()));
  }
  module->setAttr(
      name,
      b.getDictionaryAttr({b.getNamedAttr("machine", b.getStringAttr(machine)),
                           b.getNamedAttr("gemm", b.getArrayAttr(list))}));
}

namespace {
/// Reads one entry; errors name it.
class EntryReader {
public:
  EntryReader(ModuleOp module, DictionaryAttr entry, size_t index)
      : module(module), entry(entry), index(index) {}

  FailureOr<TunedGemm> read() {
    TunedGemm result;
    const TuningField bits = {"bits", nullptr, 2, 8, 2};
    const TuningField k = {"k", nullptr, 1, kMostWidth, 1};
    const TuningField n = {"n", nullptr, 1, kMostWidth, 1};
    if (failed(number(k, result.k, /*required=*/true)) ||
        failed(number(n, result.n, /*required=*/true)) ||
        failed(number(bits, result.bits, /*required=*/true)))
      return failure();
    if (result.bits == 6)
      return error("bits") << ": found 6, expected 2, 4 or 8";
    if (Attribute input = entry.get("input")) {
      auto name = dyn_cast<StringAttr>(input);
      auto known = name ? parseTunedInput(name) : std::nullopt;
      if (!known)
        return error("input") << ": found " << input
                              << ", expected \"codes\", \"groups\" or "
                                 "\"planes\"";
      result.input = *known;
    }
    for (const TuningField &field : tuningFields())
      if (failed(number(field, result.tuning.*field.member, false)))
        return failure();
    if (Attribute why = entry.get("why")) {
      auto text = dyn_cast<StringAttr>(why);
      if (!text)
        return error("why") << ": found " << why << ", expected a string";
      result.why = text.str();
    }
    for (NamedAttribute each : entry)
      if (!isKnown(each.getName()))
        return error(each.getName()) << ": is no number of a product";
    if (!fitsRegisters(result.tuning, result.input))
      return error("rows") << ": found " << result.tuning.rows << " beside "
                           << result.tuning.panels
                           << " panels, expected a tile that fits 32 registers";
    return result;
  }

private:
  InFlightDiagnostic error(StringRef key) {
    return module.emitError("tk.tuning: gemm[") << index << "]." << key;
  }
  static bool isKnown(StringRef name) {
    return name == "k" || name == "n" || name == "bits" || name == "input" ||
           name == "why" ||
           llvm::any_of(tuningFields(), [&](const TuningField &field) {
             return name == field.name;
           });
  }
  LogicalResult number(const TuningField &field, int64_t &value,
                       bool required) {
    Attribute attr = entry.get(field.name);
    if (!attr && !required)
      return success();
    auto integer = dyn_cast_or_null<IntegerAttr>(attr);
    bool isWide = integer && integer.getType().isSignlessInteger(64);
    if (isWide && integer.getInt() >= field.low &&
        integer.getInt() <= field.high && integer.getInt() % field.step == 0) {
      value = integer.getInt();
      return success();
    }
    InFlightDiagnostic problem = error(field.name) << ": found ";
    if (attr)
      problem << attr;
    else
      problem << "nothing";
    return problem << ", expected " << expectedOf(field) << " as i64";
  }

  ModuleOp module;
  DictionaryAttr entry;
  size_t index;
};
} // namespace

FailureOr<ModuleTuning> ModuleTuning::read(ModuleOp module) {
  ModuleTuning result;
  Attribute attr = module->getAttr(tk::TKDialect::getTuningAttrName());
  if (!attr)
    return result;
  // The dialect's verifier knows these three.
  auto all = cast<DictionaryAttr>(attr);
  result.machine = all.getAs<StringAttr>("machine").str();
  for (auto [i, each] : llvm::enumerate(all.getAs<ArrayAttr>("gemm"))) {
    auto entry = dyn_cast<DictionaryAttr>(each);
    if (!entry)
      return module.emitError("tk.tuning: gemm[")
             << i << "]: found " << each << ", expected a dictionary";
    FailureOr<TunedGemm> tuned = EntryReader(module, entry, i).read();
    if (failed(tuned))
      return failure();
    result.gemm.push_back(std::move(*tuned));
  }
  return result;
}

} // namespace quern
