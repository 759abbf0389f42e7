//===- RangeSearch.cpp - Ranges and parameters of uniform quantizers ------===//
//
// The searches of RangeSearch.h. All minimize the same loss; they differ in
// the candidates they look at.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/RangeSearch.h"

#include <algorithm>
#include <cmath>

using namespace quern;

namespace {

/// Scales below this would make multipliers overflow; the paper's floor.
constexpr double minimumScale = 1e-8;
constexpr double goldenRatio = 0.6180339887498949;

/// Nearest integer, ties to even, without a libm call on baseline x86-64.
double nearest(double value) {
  constexpr double magic = 0x1.8p52;
  return std::fabs(value) < 0x1p51 ? (value + magic) - magic : value;
}

/// Antiderivative of (t - Q(t))^2 with Q(t) the nearest integer in [lo, hi]:
/// 1/12 for each whole cell and a cubic in the distance to the code.
double errorIntegral(double t, double lo, double hi) {
  double code = std::min(std::max(nearest(t), lo), hi);
  double rest = t - code;
  return code * (1.0 / 12) + rest * rest * rest * (1.0 / 3);
}

/// Minimizes f over [lo, hi] by golden section; returns the best point seen.
template <typename Function>
double goldenMinimum(double lo, double hi, unsigned steps, Function &&f) {
  double a = hi - goldenRatio * (hi - lo), b = lo + goldenRatio * (hi - lo);
  double fa = f(a), fb = f(b);
  for (unsigned i = 0; i < steps; ++i) {
    if (fa <= fb) {
      hi = b;
      b = a;
      fb = fa;
      a = hi - goldenRatio * (hi - lo);
      fa = f(a);
    } else {
      lo = a;
      a = b;
      fa = fb;
      b = lo + goldenRatio * (hi - lo);
      fb = f(b);
    }
  }
  return fa <= fb ? a : b;
}

/// The loss as a function of the fractions kept of both ends.
class Objective {
public:
  Objective(const Histogram &histogram, unsigned bits, GridKind kind)
      : buckets(histogram.buckets()), bits(bits), kind(kind) {
    full.lo = std::min<double>(histogram.min(), 0);
    full.hi = std::max<double>(histogram.max(), 0);
    if (kind == GridKind::Symmetric) {
      full.hi = std::max(-full.lo, full.hi);
      full.lo = 0;
    }
  }

  Range at(double lo, double hi) const {
    if (kind == GridKind::Symmetric)
      return {-full.hi * hi, full.hi * hi};
    return {full.lo * lo, full.hi * hi};
  }

  double loss(double lo, double hi) const {
    Range range = at(lo, hi);
    return quantizationLoss(buckets, kind == GridKind::Symmetric
                                         ? symmetricParams(range, bits)
                                         : asymmetricParams(range, bits));
  }

  /// Whether both ends can move.
  bool twoSided() const { return full.lo < 0 && full.hi > 0; }
  bool lowerOnly() const { return full.lo < 0 && full.hi == 0; }

private:
  std::vector<Bucket> buckets;
  unsigned bits;
  GridKind kind;
  Range full;
};

/// The best pair of fractions so far.
struct Best {
  double lo = 1, hi = 1, loss;

  explicit Best(const Objective &objective) : loss(objective.loss(1, 1)) {}

  void look(const Objective &objective, double atLo, double atHi) {
    double value = objective.loss(atLo, atHi);
    if (value < loss)
      *this = Best(atLo, atHi, value);
  }

private:
  Best(double lo, double hi, double loss) : lo(lo), hi(hi), loss(loss) {}
};

} // namespace

UniformParams quern::asymmetricParams(Range range, unsigned bits) {
  double lo = std::min(range.lo, 0.0), hi = std::max(range.hi, 1e-8);
  double top = std::ldexp(1.0, static_cast<int>(bits)) - 1;
  UniformParams params;
  params.scale = static_cast<float>(std::max((hi - lo) / top, minimumScale));
  params.qmin = 0;
  params.qmax = static_cast<int32_t>(top);
  double zero = nearest(-lo / params.scale);
  params.zero = static_cast<int32_t>(std::min(std::max(zero, 0.0), top));
  return params;
}

UniformParams quern::symmetricParams(Range range, unsigned bits) {
  double magnitude = std::max(std::fabs(range.lo), std::fabs(range.hi));
  double top = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
  UniformParams params;
  params.scale = static_cast<float>(std::max(magnitude / top, minimumScale));
  params.zero = 0;
  params.qmin = -static_cast<int32_t>(top) - 1;
  params.qmax = static_cast<int32_t>(top);
  return params;
}

UniformParams quern::centredParams(Range range, unsigned bits) {
  if (range.lo >= 0)
    return asymmetricParams(range, bits);
  UniformParams params = symmetricParams(range, bits);
  params.zero = -params.qmin;
  params.qmax -= params.qmin;
  params.qmin = 0;
  return params;
}

double quern::quantizationLoss(const std::vector<Bucket> &buckets,
                               const UniformParams &params) {
  double inverse = 1.0 / params.scale;
  double lo = params.qmin - params.zero, hi = params.qmax - params.zero;
  double sum = 0;
  for (const Bucket &bucket : buckets) {
    double a = bucket.lo * inverse, b = bucket.hi * inverse;
    double width = b - a, mean;
    if (width < 1e-6) {
      // Too narrow for a difference of integrals; a point does as well.
      double rest = a - std::min(std::max(nearest(a), lo), hi);
      mean = rest * rest;
    } else {
      mean = (errorIntegral(b, lo, hi) - errorIntegral(a, lo, hi)) / width;
    }
    sum += mean * static_cast<double>(bucket.count);
  }
  return sum * params.scale * params.scale;
}

/// The value at a fraction of sorted values, between neighbours.
static double valueAt(const std::vector<float> &sorted, double fraction) {
  double at = fraction * static_cast<double>(sorted.size() - 1);
  size_t below = static_cast<size_t>(at);
  if (below + 1 >= sorted.size())
    return sorted.back();
  double rest = at - static_cast<double>(below);
  return sorted[below] + rest * (double(sorted[below + 1]) - sorted[below]);
}

Range quern::percentileRange(const Histogram &histogram, double percent) {
  if (std::vector<float> sorted = histogram.values(); !sorted.empty())
    return {valueAt(sorted, 1 - percent / 100), valueAt(sorted, percent / 100)};
  std::vector<Bucket> buckets = histogram.buckets();
  double total = static_cast<double>(histogram.count());
  double tail = total * (1.0 - percent / 100);
  auto inside = [](const Bucket &bucket, double part) {
    return part / static_cast<double>(bucket.count) * (bucket.hi - bucket.lo);
  };
  Range range;
  double left = tail;
  for (const Bucket &bucket : buckets) {
    range.lo = bucket.lo;
    if (left <= static_cast<double>(bucket.count)) {
      range.lo += inside(bucket, left);
      break;
    }
    left -= static_cast<double>(bucket.count);
  }
  left = tail;
  for (auto it = buckets.rbegin(); it != buckets.rend(); ++it) {
    range.hi = it->hi;
    if (left <= static_cast<double>(it->count)) {
      range.hi -= inside(*it, left);
      break;
    }
    left -= static_cast<double>(it->count);
  }
  return range;
}

Range quern::mseGridRange(const Histogram &histogram, unsigned bits,
                          GridKind kind, unsigned candidates) {
  Objective objective(histogram, bits, kind);
  Best best(objective);
  if (!objective.twoSided()) {
    // The end that does not move is zero, so both may take one fraction.
    double parts = candidates;
    for (unsigned i = 1; i < candidates; ++i)
      best.look(objective, i / parts, i / parts);
    return objective.at(best.lo, best.hi);
  }
  // Coarse steps of a tenth of what is left, denser towards the small
  // fractions that outliers call for; then hundredths around the best.
  static constexpr double coarse[] = {0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3,
                                      0.4,  0.5,  0.6,  0.7, 0.8,  0.9, 1.0};
  for (double lo : coarse)
    for (double hi : coarse)
      best.look(objective, lo, hi);
  for (double span = 0.1; span * candidates > 1.5; span /= 5) {
    Best centre = best;
    for (int i = -5; i <= 5; ++i)
      for (int j = -5; j <= 5; ++j) {
        double lo = centre.lo + i * span / 5, hi = centre.hi + j * span / 5;
        double least = 1.0 / candidates;
        if (lo >= least && lo <= 1 && hi >= least && hi <= 1)
          best.look(objective, lo, hi);
      }
  }
  return objective.at(best.lo, best.hi);
}

Range quern::mseGoldenRange(const Histogram &histogram, unsigned bits,
                            GridKind kind) {
  Objective objective(histogram, bits, kind);
  Best best(objective);
  auto inner = [&](double hi) {
    return goldenMinimum(0.01, 1.0, 12,
                         [&](double lo) { return objective.loss(lo, hi); });
  };
  if (objective.twoSided()) {
    double hi = goldenMinimum(0.01, 1.0, 12, [&](double at) {
      return objective.loss(inner(at), at);
    });
    best.look(objective, inner(hi), hi);
    best.look(objective, inner(1.0), 1.0);
  } else {
    double at = goldenMinimum(0.01, 1.0, 16, [&](double fraction) {
      return objective.loss(fraction, fraction);
    });
    best.look(objective, at, at);
  }
  return objective.at(best.lo, best.hi);
}

namespace {

/// Rows of logits and their softmax.
class LogitRows {
public:
  LogitRows(const float *rows, size_t count, size_t size)
      : rows(rows), count(count), size(size), target(count * size) {
    for (size_t i = 0; i < count; ++i) {
      const float *x = rows + i * size;
      double top = *std::max_element(x, x + size), sum = 0;
      for (size_t j = 0; j < size; ++j)
        sum += target[i * size + j] = std::exp(x[j] - top);
      for (size_t j = 0; j < size; ++j)
        target[i * size + j] /= sum;
    }
  }

  /// Cross entropy of the softmax of the quantized rows.
  double loss(const UniformParams &params) const {
    std::vector<double> row(size);
    double inverse = 1.0 / params.scale, all = 0;
    for (size_t i = 0; i < count; ++i) {
      double top = -HUGE_VAL;
      for (size_t j = 0; j < size; ++j) {
        double code = nearest(rows[i * size + j] * inverse) + params.zero;
        code =
            std::min(std::max(code, double(params.qmin)), double(params.qmax));
        row[j] = params.scale * (code - params.zero);
        top = std::max(top, row[j]);
      }
      double sum = 0, dot = 0;
      for (size_t j = 0; j < size; ++j) {
        sum += std::exp(row[j] - top);
        dot += target[i * size + j] * (row[j] - top);
      }
      all += std::log(sum) - dot;
    }
    return all;
  }

private:
  const float *rows;
  size_t count, size;
  std::vector<double> target;
};

} // namespace

Range quern::crossEntropyRange(const float *rows, size_t count, size_t size,
                               unsigned bits, GridKind kind,
                               unsigned candidates) {
  Range full;
  for (size_t i = 0; i < count * size; ++i) {
    full.lo = std::min<double>(full.lo, rows[i]);
    full.hi = std::max<double>(full.hi, rows[i]);
  }
  LogitRows logits(rows, count, size);
  Range best = full;
  double least = HUGE_VAL, parts = candidates;
  bool isCentred = kind == GridKind::Symmetric;
  if (isCentred)
    full.lo = -(full.hi = std::max(-full.lo, full.hi));
  auto look = [&](Range range) {
    double loss = logits.loss(isCentred ? centredParams(range, bits)
                                        : asymmetricParams(range, bits));
    if (loss < least) {
      least = loss;
      best = range;
    }
  };
  for (unsigned lo = candidates; lo > 0; --lo) {
    for (unsigned hi = isCentred ? lo : candidates; hi > 0; --hi) {
      look({full.lo * lo / parts, full.hi * hi / parts});
      if (isCentred || full.hi == 0)
        break;
    }
    if (full.lo == 0)
      break;
  }
  return best;
}

namespace {

/// The squared error of a short vector by its clip value.
class ClipLoss {
public:
  ClipLoss(const float *values, size_t size, unsigned bits)
      : values(values), size(size),
        top(std::ldexp(1.0f, static_cast<int>(bits) - 1) - 1) {
    for (size_t i = 0; i < size; ++i)
      largest = std::max(largest, std::fabs(values[i]));
  }

  /// Sixteen sums side by side: vectorizable and the same everywhere.
  double operator()(double clip) const {
    float scale = static_cast<float>(clip / top), inverse = 1 / scale;
    float sums[16] = {};
    constexpr float magic = 0x1.8p23f;
    size_t whole = size / 16 * 16;
    for (size_t i = 0; i < whole; i += 16)
      for (size_t l = 0; l < 16; ++l) {
        float t = values[i + l] * inverse;
        float c = t > top ? top : t;
        c = c < -top - 1 ? -top - 1 : c;
        float rest = t - ((c + magic) - magic);
        sums[l] += rest * rest;
      }
    for (size_t i = whole; i < size; ++i) {
      float t = values[i] * inverse;
      float c = std::max(std::min(t, top), -top - 1);
      float rest = t - ((c + magic) - magic);
      sums[i - whole] += rest * rest;
    }
    double sum = 0;
    for (float part : sums)
      sum += part;
    return sum * scale * scale;
  }

  const float *values;
  size_t size;
  float top, largest = 0;
};

} // namespace

double quern::mseClip(const float *values, size_t size, unsigned bits) {
  ClipLoss loss(values, size, bits);
  double largest = loss.largest;
  if (largest == 0)
    return 0;
  // With few codes and an outlier the loss has several valleys, of which a
  // golden section alone may take a bad one.
  constexpr double ratio = 0.8;
  double best = largest, least = loss(largest);
  for (double clip = ratio * largest; clip > 0.01 * largest; clip *= ratio)
    if (double here = loss(clip); here < least) {
      least = here;
      best = clip;
    }
  double clip =
      goldenMinimum(best * ratio, std::min(best / ratio, largest), 8, loss);
  return loss(clip) < least ? clip : best;
}

double quern::mseGridClip(const float *values, size_t size, unsigned bits,
                          unsigned candidates) {
  ClipLoss loss(values, size, bits);
  double largest = loss.largest;
  if (largest == 0)
    return 0;
  double best = largest, least = loss(largest), parts = candidates;
  for (unsigned i = 1; i < candidates; ++i)
    if (double here = loss(largest * i / parts); here < least) {
      least = here;
      best = largest * i / parts;
    }
  return best;
}

double quern::mseGoldenClip(const float *values, size_t size, unsigned bits) {
  ClipLoss loss(values, size, bits);
  double largest = loss.largest;
  if (largest == 0)
    return 0;
  double clip = goldenMinimum(0.01 * largest, largest, 16, loss);
  return loss(clip) < loss(largest) ? clip : largest;
}
