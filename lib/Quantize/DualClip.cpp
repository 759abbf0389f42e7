//===- DualClip.cpp - Both ends of each channel's range, learned ----------===//
//
// Everything is stored by channel: the samples, their errors E and G = H E. A
// new range of channel j with errors E_j + d changes the sum by
// H_jj d.d + 2 d.G_j, and G by H_:j d. G is larger than a core's cache: it is
// brought up to date for the changes of a block of channels at once.
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

/// Channels that are chosen before the sums of the others hear of it, and rows
/// of weights that are added at once.
constexpr size_t block = 16;

/// y += a[0] x[0] + a[1] x[1] + a[2] x[2] + a[3] x[3], from the left
QUERN_CLONES void addFour(float *y, const float *const *x, const float *a,
                          size_t size) {
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
  for (size_t i = 0; i < size; ++i)
    y[i] = y[i] + a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i];
}

/// y += sum of a[k] x[k] over `count` vectors x, a multiple of 4.
void addAll(float *y, const float *const *x, const float *a, size_t count,
            size_t size) {
  for (size_t k = 0; k < count; k += 4)
    addFour(y, x + k, a + k, size);
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
        cuts(cols), trial(size), changes(block * size) {
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
    for (size_t j = 0; j < cols; j += block)
      addToSums(e.data() + j * size, j, std::min(block, cols - j), 0, cols);
  }

  double error() const {
    double total = 0;
    for (size_t i = 0; i < cols * size; ++i)
      total += double(e[i]) * g[i];
    return total;
  }

  /// One turn over all channels; the first looks everywhere, others nearby.
  void turn(bool isFirst) {
    for (size_t from = 0; from < cols; from += block) {
      size_t count = std::min(block, cols - from);
      for (size_t k = 0; k < count; ++k) {
        choose(from + k, isFirst, changes.data() + k * size);
        addToSums(changes.data() + k * size, from + k, 1, from, from + count);
      }
      addToSums(changes.data(), from, count, 0, from);
      addToSums(changes.data(), from, count, from + count, cols);
    }
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

  /// G of channels [from, to) with the changes of channels [first, first +
  /// count), which are at most a block.
  void addToSums(const float *changed, size_t first, size_t count, size_t from,
                 size_t to) {
    const float *vectors[block];
    for (size_t k = 0; k < block; ++k)
      vectors[k] = changed + (k < count ? k : 0) * size;
    size_t padded = (count + 3) / 4 * 4;
    for (size_t i = from; i < to; ++i) {
      float weights[block] = {};
      std::copy_n(metric.row(i) + first, count, weights);
      addAll(channel(g, i), vectors, weights, padded, size);
    }
  }

  /// Takes the best range of a channel; `change` becomes that of its errors.
  void choose(size_t j, bool isFirst, float *change) {
    Cut best = cuts[j];
    double least = 0;
    float h = metric.row(j)[j];
    auto consider = [&](Cut cut) {
      if (cut.lo < -0.1 || cut.hi < -0.1 || cut.lo > 0.9 || cut.hi > 0.9)
        return;
      codeErrors(channel(x, j), factors.data(), gridOf(rangeOf(j, cut), params),
                 trial.data(), size);
      double more =
          changeOf(trial.data(), channel(e, j), channel(g, j), h, size);
      if (more < least) {
        least = more;
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
    std::fill_n(change, size, 0.0f);
    if (least == 0)
      return;
    cuts[j] = best;
    codeErrors(channel(x, j), factors.data(), gridOf(rangeOf(j), params),
               trial.data(), size);
    float *before = channel(e, j);
    for (size_t t = 0; t < size; ++t) {
      change[t] = trial[t] - before[t];
      before[t] = trial[t];
    }
  }

  const ClipMetric &metric;
  const std::vector<Range> &extremes;
  const UniformParams &params;
  size_t cols, size;
  std::vector<float> x, e, g, factors;
  std::vector<double> middles;
  std::vector<Cut> cuts;
  std::vector<float> trial, changes;
};

} // namespace

void ClipMetric::addWeights(const float *weights, size_t rows) {
  const std::vector<float> none(cols);
  for (size_t from = 0; from < rows; from += block) {
    const float *some[block];
    for (size_t k = 0; k < block; ++k)
      some[k] = from + k < rows ? weights + (from + k) * cols : none.data();
    for (size_t i = 0; i < cols; ++i) {
      float factors[block];
      for (size_t k = 0; k < block; ++k)
        factors[k] = some[k][i];
      addAll(values.data() + i * cols, some, factors, block, cols);
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
