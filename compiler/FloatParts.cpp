//===- FloatParts.cpp - What a recipe leaves in f32 -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/FloatParts.h"

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Quantize/Sites.h"

#include <cctype>
#include <optional>

using namespace mlir;

namespace quern {

namespace {
/// `L3.x` in three parts.
struct NumberedName {
  std::string before, after;
  std::optional<unsigned long> number;
};

/// Names of one shape with the numbers from `first` to `last`.
struct NameRun {
  NumberedName name;
  unsigned long last = 0;
};
} // namespace

static NumberedName splitNumber(const std::string &name) {
  for (size_t end = name.find('.'); end != std::string::npos;
       end = name.find('.', end + 1)) {
    size_t begin = end;
    while (begin > 0 && std::isdigit((unsigned char)name[begin - 1]))
      --begin;
    if (begin < end && end - begin < 7)
      return {name.substr(0, begin), name.substr(end),
              std::stoul(name.substr(begin, end - begin))};
  }
  return {name, "", std::nullopt};
}

std::vector<std::string> foldNumbers(const std::vector<std::string> &names) {
  std::vector<NameRun> runs;
  for (const std::string &name : names) {
    NumberedName split = splitNumber(name);
    auto next = llvm::find_if(runs, [&](const NameRun &run) {
      return split.number && run.name.number && run.last + 1 == *split.number &&
             run.name.before == split.before && run.name.after == split.after;
    });
    if (next != runs.end())
      next->last = *split.number;
    else
      runs.push_back({split, split.number.value_or(0)});
  }
  std::vector<std::string> folded;
  for (const NameRun &run : runs) {
    std::string text = run.name.before;
    if (run.name.number) {
      text += std::to_string(*run.name.number);
      if (run.last != *run.name.number)
        text += "-" + std::to_string(run.last);
    }
    folded.push_back(text + run.name.after);
  }
  return folded;
}

/// Whether a value, or what it was pooled from, has codes.
static bool hasCodes(Value value, const SchemeAttr &scheme) {
  if (auto pool = value.getDefiningOp<tq::PoolOp>())
    value = pool.getX();
  auto observe = value.getDefiningOp<tq::ObserveOp>();
  return observe && scheme.site(observe.getSite());
}

/// The name of a constant without `.weight`.
static std::string layerName(Value weight) {
  StringRef name = weightName(weight);
  name.consume_back(".weight");
  return name.str();
}

FloatParts findFloatParts(ModuleOp module) {
  FloatParts parts;
  std::optional<SchemeAttr> scheme = SchemeAttr::read(module);
  if (!scheme)
    return parts;
  bool anySite = false, anyWeight = false;
  module.walk([&](Operation *op) {
    if (auto observe = dyn_cast<tq::ObserveOp>(op)) {
      bool coded = bool(scheme->site(observe.getSite()));
      anySite |= coded;
      if (!coded)
        parts.sites.push_back(observe.getSite().str());
    } else if (auto linear = dyn_cast<tq::LinearOp>(op)) {
      bool coded = bool(scheme->weight(weightRole(linear)));
      anyWeight |= coded;
      if (!coded || !hasCodes(linear.getX(), *scheme))
        parts.linears.push_back(layerName(linear.getW()));
    } else if (auto embedding = dyn_cast<tq::EmbeddingOp>(op)) {
      bool coded = bool(scheme->weight(weightRole(embedding)));
      anyWeight |= coded;
      if (!coded)
        parts.tables.push_back(layerName(embedding.getTable()));
    }
  });
  parts.allSites = !anySite;
  parts.allWeights = !anyWeight;
  parts.sites = foldNumbers(parts.sites);
  parts.linears = foldNumbers(parts.linears);
  parts.tables = foldNumbers(parts.tables);
  return parts;
}

static void append(std::string &line, const char *what,
                   const std::vector<std::string> &names) {
  if (names.empty())
    return;
  line += line.empty() ? "" : "; ";
  line += what;
  for (size_t i = 0; i < names.size(); ++i)
    line += (i ? ", " : " ") + names[i];
}

std::string FloatParts::line() const {
  if (allSites && allWeights)
    return "everything";
  std::string line;
  // Real numbers on one side of every product make all linear layers real.
  if (allSites)
    line = "all activations and products";
  else
    append(line, "sites", sites);
  if (allWeights)
    line += std::string(line.empty() ? "" : "; ") + "all weights and products";
  if (!allSites && !allWeights)
    append(line, "linear layers", linears);
  if (!allWeights)
    append(line, "tables", tables);
  return line;
}

} // namespace quern
