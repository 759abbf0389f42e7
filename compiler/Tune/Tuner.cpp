//===- Tuner.cpp - The best kernels of this machine -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/Tuner.h"

#include "compiler/Bench/GemmCase.h"
#include "compiler/Emit/KernelJit.h"
#include "compiler/Emit/LibraryCode.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <set>

using llvm::formatv;

namespace quern {

/// More rows than any run has, and fewer.
static constexpr int64_t kNever = 1 << 20, kAlways = 1;

std::vector<TuneShape> encoderShapes(int64_t hidden, int64_t intermediate,
                                     GemmActivation activation,
                                     const std::vector<TunedInput> &inputs,
                                     const std::vector<int64_t> &bits) {
  const GemmActivation none = GemmActivation::None;
  std::vector<TuneShape> shapes;
  for (TunedInput input : inputs)
    for (int64_t each : bits) {
      shapes.push_back({hidden, hidden, each, none, input});
      shapes.push_back({hidden, 3 * hidden, each, none, input});
      shapes.push_back({hidden, intermediate, each, activation, input});
      shapes.push_back({intermediate, hidden, each, none, input});
    }
  return shapes;
}

static TunedKernel kernelOf(const TuneShape &asked) {
  return {linearShape(asked.k, asked.n, asked.activation, asked.bits),
          asked.input};
}

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

namespace {
/// Collects the candidates of a decision, those that make other code.
class Candidates {
public:
  Candidates(Decision &decision, const GemmTuning &before)
      : decision(decision), before(before) {}

  using Settings = std::vector<std::pair<int64_t GemmTuning::*, int64_t>>;
  void add(const std::string &name, const Settings &settings) {
    GemmTuning tuning = before;
    for (auto [member, value] : settings)
      tuning.*member = value;
    for (const Candidate &other : decision.candidates)
      if (other.tuning == tuning)
        return;
    decision.candidates.push_back({name, tuning});
  }

private:
  Decision &decision;
  const GemmTuning &before;
};
} // namespace

static std::string tileName(int64_t rows, int64_t panels) {
  return formatv("{0}x{1}", rows, 16 * panels);
}

static void addTiles(Candidates &add, const TunedKernel &kernel, Tier tier,
                     bool isAmx, const std::string &suffix, int64_t library) {
  using Tiles = std::vector<std::pair<int64_t, int64_t>>;
  // 32 registers of 512 bits hold 24 sums.
  Tiles tiles = {{8, 3}, {8, 2}, {8, 1},  {4, 6},
                 {4, 4}, {4, 3}, {16, 1}, {12, 2}};
  // 16 registers have tiles of their own.
  if (tier < Tier::Avx512Bw)
    tiles = {{4, 1}};
  // What rows a tile of planes has is not tuned.
  if (kernel.input == TunedInput::Planes)
    tiles = {{8, 3}, {8, 2}, {8, 1}};
  std::set<std::pair<int64_t, int64_t>> made;
  for (auto [rows, panels] : tiles) {
    // Chunks of whole tiles would cost tile registers more than they gain.
    if (rows == 12 && isAmx)
      continue;
    int64_t width = panels;
    while (llvm::divideCeil(kernel.gemm.n, 16) % width)
      --width;
    int64_t inTile = tileRows({rows, panels}, kernel.input);
    if (made.insert({rows, width}).second)
      add.add(tileName(inTile, width) + suffix,
              {{&GemmTuning::rows, rows},
               {&GemmTuning::panels, panels},
               {&GemmTuning::library, library}});
  }
}

/// Rows of dot products in vectors, and of tile registers.
static std::vector<int64_t> atLeast(const std::vector<int64_t> &rows,
                                    int64_t least) {
  std::vector<int64_t> result;
  for (int64_t each : rows)
    if (each >= least)
      result.push_back(each);
  return result;
}

std::optional<Decision> nextDecision(int number, Tier tier,
                                     const TunedKernel &kernel,
                                     const GemmTuning &before,
                                     const std::vector<int64_t> &rows) {
  const GemmShape &shape = kernel.gemm;
  bool isAmx = tier == Tier::Amx, isPlain = kernel.input == TunedInput::Codes;
  // Libraries have products of codes alone; with 16 registers the others have
  // one form.
  if (!isPlain && tier < Tier::Avx512Bw)
    return std::nullopt;
  Decision decision;
  decision.tier = isAmx ? Tier::Avx512Vnni : tier;
  decision.rows = rows;
  Candidates add(decision, before);
  bool library = isPlain && !libraryOf(decision.tier).empty();
  using T = GemmTuning;
  auto cache = [](int64_t level) { return " to L" + std::to_string(level); };
  switch (number) {
  case 0:
    if (library) {
      decision.name = "library or micro-ops";
      // What a call is up to so many rows, the library knows itself.
      for (int64_t each : {24, 32, 16, 8})
        add.add(formatv("library, {0} rows", each), {{&T::libraryRows, each}});
      // Dot products of SSE4.1 without the library are scalar code.
      if (tier != Tier::Sse41)
        addTiles(add, kernel, tier, isAmx, " by MLIR", 0);
      return decision;
    }
    decision.name = "register tile";
    addTiles(add, kernel, tier, isAmx, "", before.library);
    return decision;
  case 1:
    decision.name = "prefetch";
    add.add("1 group" + cache(1), {});
    if (library)
      return decision;
    add.add("none", {{&T::ahead, 0}});
    for (auto [ahead, level] : {std::pair(2, 1), {1, 2}, {2, 2}, {4, 2}})
      add.add(formatv("{0} group{1}{2}", ahead, ahead == 1 ? "" : "s",
                      cache(level)),
              {{&T::ahead, ahead}, {&T::aheadCache, level}});
    return decision;
  case 2:
    decision.name = "prefetch of few rows";
    decision.rows = {4, 8, 16};
    add.add("always", {});
    if (library || !before.ahead)
      return decision;
    for (int64_t most : {8, 16})
      add.add(formatv("from {0} rows", most + 1), {{&T::aheadRows, most}});
    return decision;
  case 3:
    decision.name = "unpacking in the loop";
    // Planes have no other way.
    if (library || shape.weightBits == 8 ||
        kernel.input == TunedInput::Planes) {
      add.add("up to 32 rows", {});
      return decision;
    }
    for (int64_t most : {32, 0, 8, 128})
      add.add(most ? formatv("up to {0} rows", most).str() : "never",
              {{&T::packedRows, most}});
    add.add("always", {{&T::packedRows, kNever}});
    return decision;
  case 4: {
    if (!isAmx)
      return std::nullopt;
    decision.tier = tier;
    decision.name = "K block";
    decision.rows = atLeast(rows, before.leastTileRows);
    int64_t steps = llvm::divideCeil(shape.k, 64);
    std::set<int64_t> made;
    // Sums of groups leave tile registers at the end of each.
    if (kernel.input == TunedInput::Groups)
      steps = 1;
    for (int64_t span : {12, 6, 8, 16, 24, 48})
      if (made.insert(llvm::divideCeil(steps, span)).second)
        add.add(formatv("{0} k", 64 * std::min(span, steps)),
                {{&T::spanSteps, span}});
    return decision;
  }
  case 5:
    decision.tier = tier;
    decision.name = "columns together";
    decision.rows = atLeast(rows, before.leastTileRows);
    for (int64_t panels : {24, 12, 48, 96})
      add.add(formatv("{0} columns, {1} KB", 16 * panels, panels * 40 / 3),
              {{&T::groupPanels, panels},
               {&T::groupBytes, panels * (320 << 10) / 24}});
    return decision;
  case 6:
    decision.tier = tier;
    decision.name = "prefetch of tiles";
    decision.rows = atLeast(rows, before.leastTileRows);
    for (int64_t level : {2, 1, 0})
      add.add(level ? "to L" + std::to_string(level) : "none",
              {{&T::tileCache, level}});
    return decision;
  case 7:
    decision.tier = tier;
    decision.name = "few rows";
    // Where one form gives way to the other; what more rows take is known.
    decision.rows = {4, 8, 12, 16, 24, 32};
    add.add("vectors", {{&T::leastTileRows, kNever}});
    add.add("tiles", {{&T::leastTileRows, kAlways}});
    return decision;
  default:
    return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

static double meanGain(const std::vector<std::vector<FormTime>> &times,
                       size_t candidate) {
  double sum = 0;
  for (const std::vector<FormTime> &row : times)
    sum += std::log(row[candidate].gain);
  return std::exp(sum / double(times.size()));
}

size_t chooseForm(const std::vector<std::vector<FormTime>> &times,
                  double margin) {
  size_t best = 0;
  if (times.empty())
    return best;
  double most = 1 + margin;
  for (size_t c = 1; c < times.front().size(); ++c) {
    bool loses = llvm::any_of(times, [&](const std::vector<FormTime> &row) {
      return row[c].gain < 1 - 2 * margin;
    });
    if (double gain = meanGain(times, c); !loses && gain > most) {
      most = gain;
      best = c;
    }
  }
  return best;
}

/// What a threshold must save over all rows, in logarithms of time.
static constexpr double kNoise = 0.05;

/// The first number of rows from which on tiles win: `usual` where that parts
/// the rows as the times do.
static int64_t leastTileRows(const std::vector<int64_t> &rows,
                             const std::vector<std::vector<FormTime>> &times,
                             int64_t usual) {
  // At how many of the rows a threshold takes the slower form counts.
  auto cost = [&](int64_t least) {
    double sum = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      double tiles = std::log(times[i][1].gain);
      sum += rows[i] >= least ? std::max(-tiles, 0.0) : std::max(tiles, 0.0);
    }
    return sum;
  };
  int64_t best = usual;
  for (int64_t each : rows)
    if (cost(each + 1) < cost(best) - kNoise)
      best = each + 1;
  return cost(kAlways) < cost(best) - kNoise ? kAlways : best;
}

namespace {
/// The way of one shape through the decisions.
class ShapeTuner {
public:
  ShapeTuner(const TuneOptions &options, const TuneShape &asked)
      : options(options), asked(asked), kernel(kernelOf(asked)) {}

  Expected<TunedGemm> run() {
    TunedGemm result{asked.k, asked.n, asked.bits, {}, "", asked.input};
    for (int number = 0;; ++number) {
      std::optional<Decision> decision = nextDecision(
          number, options.tier, kernel, result.tuning, options.rows);
      if (!decision)
        break;
      if (decision->candidates.size() < 2 || decision->rows.empty())
        continue;
      if (Error error = decide(*decision, result))
        return std::move(error);
    }
    return Expected<TunedGemm>(std::move(result));
  }

private:
  Error decide(const Decision &decision, TunedGemm &result) {
    TimedForms forms;
    forms.kernel = kernel;
    forms.tier = decision.tier;
    forms.rows = decision.rows;
    forms.rounds = options.rounds;
    for (const Candidate &each : decision.candidates) {
      forms.candidates.push_back(each.tuning);
      // Tiles are timed where they are, and not what few rows take.
      if (decision.tier == Tier::Amx && decision.name != "few rows")
        forms.candidates.back().leastTileRows = kAlways;
    }
    auto times = timeForms(forms);
    if (!times)
      return times.takeError();
    if (decision.name == "few rows") {
      int64_t least =
          leastTileRows(decision.rows, *times, result.tuning.leastTileRows);
      for (size_t i = 0; i < times->size(); ++i)
        say(decision, decision.rows[i], (*times)[i],
            decision.rows[i] >= least ? 1 : 0);
      if (least != result.tuning.leastTileRows)
        remember(result, formatv("tiles from {0} rows on", least));
      result.tuning.leastTileRows = least;
      return Error::success();
    }
    size_t best = chooseForm(*times, options.margin);
    if (best) {
      // Of many candidates one is lucky: it has to win again.
      TimedForms again = forms;
      again.candidates = {forms.candidates[0], forms.candidates[best]};
      again.rounds = 2 * forms.rounds;
      auto repeated = timeForms(again);
      if (!repeated)
        return repeated.takeError();
      if (chooseForm(*repeated, options.margin))
        for (size_t i = 0; i < times->size(); ++i)
          (*times)[i][best] = (*repeated)[i][1];
      else
        best = 0;
    }
    for (size_t i = 0; i < times->size(); ++i)
      say(decision, decision.rows[i], (*times)[i], best);
    if (best)
      remember(result,
               formatv("{0} {1} {2:F2} times as fast as {3}", decision.name,
                       decision.candidates[best].name, meanGain(*times, best),
                       decision.candidates[0].name));
    result.tuning = decision.candidates[best].tuning;
    return Error::success();
  }

  static void remember(TunedGemm &result, const std::string &what) {
    result.why += (result.why.empty() ? "" : "; ") + what;
  }

  /// One line: the op, its rows, candidates with their share of the peak, or
  /// their speed where there is none, and who won.
  void say(const Decision &decision, int64_t rows,
           const std::vector<FormTime> &times, size_t best) const {
    if (!options.line)
      return;
    std::string text =
        formatv("{0}x{1}{2} w{3}{4}, {5} rows, {6}:", asked.k, asked.n,
                asked.activation == GemmActivation::None
                    ? ""
                    : " " + activationName(asked.activation).str(),
                asked.bits, describeTuned(asked.input), rows, decision.name);
    for (size_t c = 0; c < times.size(); ++c)
      text += formatv("{0} {1} {2:F1} %", c ? "," : "",
                      decision.candidates[c].name, 100 * times[c].share);
    text += formatv("; won: {0}, {1:F2} times {2}, {3:F1} % of peak",
                    decision.candidates[best].name, times[best].gain,
                    decision.candidates[0].name, 100 * times[best].share);
    options.line(text);
  }

  const TuneOptions &options;
  const TuneShape &asked;
  TunedKernel kernel;
};
} // namespace

Expected<TunedMachine> tuneMachine(const TuneOptions &options) {
  if (options.tier == Tier::Scalar)
    return Error("tier scalar: found nothing to tune, expected a tier with dot "
                 "products");
  if (!canRun(options.tier))
    return Error::make("this machine cannot run tier ",
                       getTierName(options.tier).str());
  TunedMachine machine;
  machine.key = hostKey(options.tier);
  for (const TuneShape &shape : options.shapes) {
    Expected<TunedGemm> tuned = ShapeTuner(options, shape).run();
    if (!tuned)
      return tuned.takeError();
    machine.tuning.gemm.push_back(std::move(*tuned));
  }
  return Expected<TunedMachine>(std::move(machine));
}

} // namespace quern
