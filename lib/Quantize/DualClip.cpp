//===- DualClip.cpp - Both ends of each channel's range, learned ----------===//
//
// Everything is stored by channel: the samples, their errors E and G = H E. A
// new range of channel j with errors E_j + d changes the sum by
// H_jj d.d + 2 d.G_j, and G by H_:j d.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/DualClip.h"

#include "lib/Support/TargetClones.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// Partial sums, so that their order does not depend on the machine.
constexpr size_t lanes = 16;

/// y += factor * x
QUERN_CLONES void addScaled(float *y, const float *x, float factor,
                            size_t size) {
  for (size_t i = 0; i < size; ++i)
    y[i] += factor * x[i];
}

/// y += a[0] x[0] + a[1] x[1] + a[2] x[2] + a[3] x[3], from the left
QUERN_CLONES void addFour(float *y, const float *const *x, const float *a,
                          size_t size) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
  for (size_t i = 0; i < size; ++i)
    y[i] = y[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i];
}

/// How a channel is coded.
struct Grid {
  float inverse, shift, low, high, step;
};

Grid gridOf(Range range, const UniformParams &params) {
  double scale = std::max((range.hi - range.lo) / 2, 1e-12);
  Grid grid;
  grid.step = static_cast<float>(scale * params.scale);
  grid.inverse = static_cast<float>(1 / (scale * params.scale));
  grid.shift = static_cast<float>((range.hi + range.lo) / 2);
  grid.low = static_cast<float>(params.qmin - params.zero);
  grid.high = static_cast<float>(params.qmax - params.zero);
  return grid;
}

/// errors = factor * (what the code of x stands for - x)
QUERN_CLONES void codeErrors(const float *x, const float *factors, Grid grid,
                             float *errors, size_t size) {
  constexpr float magic = 0x1.8p23f;
  for (size_t i = 0; i < size; ++i) {
    float t = (x[i] - grid.shift) * grid.inverse;
    t = t > grid.high ? grid.high : t;
    t = t < grid.low ? grid.low : t;
    float code = (t + magic) - magic;
    errors[i] = factors[i] * (code * grid.step + grid.shift - x[i]);
  }
}

/// sum of d (h d + 2 g) with d = now - before; size is a multiple of `lanes`.
QUERN_CLONES double changeOf(const float *now, const float *before,
                             const float *g, float h, size_t size) {
  float sums[lanes] = {};
  for (size_t from = 0; from < size; from += lanes)
    for (size_t l = 0; l < lanes; ++l) {
      float d = now[from + l] - before[from + l];
      sums[l] += d * (h * d + 2 * g[from + l]);
    }
  double total = 0;
  for (float sum : sums)
    total += sum;
  return total;
}

class Search {
public:
  Search(const ClipSamples &samples, const ClipMetric &metric,
         const std::vector<Range> &extremes, const UniformParams &params)
      : metric(metric), extremes(extremes), params(params),
        cols(metric.columns()),
        size((samples.rows + lanes - 1) / lanes * lanes), x(cols * size),
        e(cols * size), g(cols * size), factors(size), middles(cols),
        cuts(cols), trial(size) {
    std::copy(samples.rowFactors.begin(), samples.rowFactors.end(),
              factors.begin());
    for (size_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (size_t t = 0; t < samples.rows; ++t) {
        x[j * size + t] = samples.values[t * cols + j];
        sum += samples.values[t * cols + j];
      }
      middles[j] = std::clamp(sum / double(std::max<size_t>(samples.rows, 1)),
                              extremes[j].lo, extremes[j].hi);
      codeErrors(channel(x, j), factors.data(), gridOf(rangeOf(j), params),
                 channel(e, j), size);
    }
    for (size_t i = 0; i < cols; ++i)
      for (size_t j = 0; j < cols; ++j)
        addScaled(channel(g, i), channel(e, j), metric.row(i)[j], size);
  }

  double error() const {
    double total = 0;
    for (size_t i = 0; i < cols * size; ++i)
      total += double(e[i]) * g[i];
    return total;
  }

  /// One turn over all channels; the first looks everywhere, others nearby.
  void turn(bool isFirst) {
    for (size_t j = 0; j < cols; ++j)
      choose(j, isFirst);
  }

  std::vector<Range> ranges() const {
    std::vector<Range> result;
    for (size_t j = 0; j < cols; ++j)
      result.push_back(rangeOf(j));
    return result;
  }

private:
  /// Parts of the way from each extreme to the middle that are cut off.
  struct Cut {
    double lo = 0, hi = 0;
  };

  float *channel(std::vector<float> &values, size_t j) {
    return values.data() + j * size;
  }

  Range rangeOf(size_t j, Cut cut) const {
    const Range &all = extremes[j];
    return {all.lo + (middles[j] - all.lo) * cut.lo,
            all.hi + (middles[j] - all.hi) * cut.hi};
  }
  Range rangeOf(size_t j) const { return rangeOf(j, cuts[j]); }

  void choose(size_t j, bool isFirst) {
    Cut best = cuts[j];
    double least = 0;
    float h = metric.row(j)[j];
    auto consider = [&](Cut cut) {
      if (cut.lo < -0.1 || cut.hi < -0.1 || cut.lo > 0.9 || cut.hi > 0.9)
        return;
      codeErrors(channel(x, j), factors.data(), gridOf(rangeOf(j, cut), params),
                 trial.data(), size);
      double change =
          changeOf(trial.data(), channel(e, j), channel(g, j), h, size);
      if (change < least) {
        least = change;
        best = cut;
      }
    };
    if (isFirst) {
      for (int i = 1; i <= 16; ++i)
        consider({0.05 * i, 0.05 * i});
      for (int i = 0; i <= 16; ++i)
        consider({0.05 * i, best.hi});
      for (int i = 0; i <= 16; ++i)
        consider({best.lo, 0.05 * i});
    } else {
      Cut now = cuts[j];
      for (double step : {-0.1, -0.05, -0.025, 0.025, 0.05, 0.1}) {
        consider({now.lo + step, now.hi});
        consider({now.lo, now.hi + step});
        consider({now.lo + step, now.hi + step});
      }
    }
    if (least == 0)
      return;
    cuts[j] = best;
    codeErrors(channel(x, j), factors.data(), gridOf(rangeOf(j), params),
               trial.data(), size);
    float *before = channel(e, j);
    for (size_t t = 0; t < size; ++t) {
      float now = trial[t];
      trial[t] = now - before[t];
      before[t] = now;
    }
    for (size_t i = 0; i < cols; ++i)
      addScaled(channel(g, i), trial.data(), metric.row(j)[i], size);
  }

  const ClipMetric &metric;
  const std::vector<Range> &extremes;
  const UniformParams &params;
  size_t cols, size;
  std::vector<float> x, e, g, factors;
  std::vector<double> middles;
  std::vector<Cut> cuts;
  std::vector<float> trial;
};

} // namespace

void ClipMetric::addWeights(const float *weights, size_t rows) {
  const std::vector<float> none(cols);
  for (size_t from = 0; from < rows; from += 4) {
    const float *four[4];
    for (size_t i = 0; i < 4; ++i)
      four[i] = from + i < rows ? weights + (from + i) * cols : none.data();
    for (size_t i = 0; i < cols; ++i) {
      const float factors[] = {four[0][i], four[1][i], four[2][i], four[3][i]};
      addFour(values.data() + i * cols, four, factors, cols);
    }
  }
}

void ClipMetric::addIdentity(double share) {
  double trace = 0;
  for (size_t i = 0; i < cols; ++i)
    trace += values[i * cols + i];
  for (size_t i = 0; i < cols; ++i)
    values[i * cols + i] += static_cast<float>(share * trace / double(cols));
}

std::vector<Range> quern::dualClip(const ClipSamples &samples,
                                   const ClipMetric &metric,
                                   const std::vector<Range> &extremes,
                                   const UniformParams &params,
                                   ClipErrors *errors) {
  Search search(samples, metric, extremes, params);
  ClipErrors found;
  found.before = search.error();
  constexpr int turns = 3;
  for (int i = 0; i < turns; ++i)
    search.turn(i == 0);
  found.after = search.error();
  if (errors)
    *errors = found;
  return search.ranges();
}
