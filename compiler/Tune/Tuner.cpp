//===- Tuner.cpp - The best kernels of this machine -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/Tuner.h"

#include "compiler/Bench/GemmCase.h"
#include "compiler/Emit/KernelJit.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using llvm::formatv;

namespace quern {

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
  return cost(kTilesAlways) < cost(best) - kNoise ? kTilesAlways : best;
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
        forms.candidates.back().leastTileRows = kTilesAlways;
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
  if (isPlain(options.tier))
    return Error::make("tier ", getTierName(options.tier).str(),
                       ": found nothing to tune, expected a tier with dot "
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
