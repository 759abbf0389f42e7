//===- AdaRound.cpp - Learned rounding of weights -------------------------===//
//
// The rows of a weight are independent problems. Sixteen of them make a block
// that fits the cache with all its state; a vector holds one column of them.
// Blocks are shared out among threads, and each draws the same sample rows.
//
//===----------------------------------------------------------------------===//
#include "lib/Quantize/AdaRound.h"

#include "lib/Support/Parallel.h"
#include "lib/Support/TargetClones.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <random>

using namespace quern;

namespace {

/// One column of a block of rows.
constexpr size_t lanes = 16;
typedef float Reals __attribute__((vector_size(lanes * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(lanes * sizeof(int32_t))));

/// Sample rows that are worked on together, and columns likewise.
constexpr size_t tile = 16;

/// Stretch of the sigmoid: its ends lie beyond 0 and 1 and are cut there.
constexpr float stretch = 1.2f, below = 0.1f;

/// What one step needs besides the samples.
struct Step {
  size_t cols, batch;
  /// 2 / batch; lambda, or 0 while warming up; the regularizer's exponent.
  float gain, lambda;
  unsigned beta;
  /// Length of Adam's step with both bias corrections, and its epsilon.
  float rate, second, epsilon;
};

/// The state of a block, an entry for each column.
struct Block {
  explicit Block(size_t cols)
      : base(new Reals[cols]), width(new Reals[cols]), alpha(new Reals[cols]),
        soft(new Reals[cols]), first(new Reals[cols]), second(new Reals[cols]),
        error(new Reals[cols]) {}

  /// Weight error when rounded down, and what rounding up adds (0 where the
  /// grid leaves no choice).
  std::unique_ptr<Reals[]> base, width;
  /// Rounding before the sigmoid and behind it, and Adam's two moments.
  std::unique_ptr<Reals[]> alpha, soft, first, second;
  /// Weight error of the present rounding.
  std::unique_ptr<Reals[]> error;
};

// Vectors are passed by reference: by value they would go through registers
// that the plain clone does not have.
#define QUERN_INLINE static inline __attribute__((always_inline))

QUERN_INLINE void clampTo(float low, float high, Reals &x) {
  const Reals zero = {}, l = zero + low, h = zero + high;
  x = x < l ? l : x;
  x = x > h ? h : x;
}

/// 1 / (1 + e^-x), to about 1e-6.
QUERN_INLINE void sigmoid(const Reals &x, Reals &result) {
  constexpr float magic = 0x1.8p23f;
  Reals t = -x;
  clampTo(-15.0f, 15.0f, t);
  t = t * 1.44269504f;
  Reals n = (t + magic) - magic;
  Reals f = t - n;
  Reals p = f * 1.3333558e-3f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  result = 1.0f / (1.0f + p * (Reals)power);
}

/// sqrt(x) for x >= 0 by Newton's steps for its inverse.
QUERN_INLINE void root(const Reals &x, Reals &result) {
  Reals r = (Reals)(0x5f3759df - ((Ints)x >> 1));
  for (int i = 0; i < 3; ++i)
    r = r * (1.5f - (0.5f * x * r) * r);
  result = x * r;
}

/// Samples, or columns, whose sums are kept in registers at a time: as many as
/// there are registers for vectors of `lanes`.
constexpr size_t fewSums = 4, manySums = 8;
static_assert(tile % manySums == 0 && manySums % fewSums == 0);

/// sums[b] += sum_k inputs[b][k] * error[k] over columns [from, to).
template <size_t most>
QUERN_INLINE void addProducts(const float *const *inputs, size_t from,
                              size_t to, const Reals *error, Reals *sums) {
  Reals sum[most];
  for (size_t b = 0; b < most; ++b)
    sum[b] = sums[b];
  for (size_t k = from; k < to; ++k) {
    Reals e = error[k];
    for (size_t b = 0; b < most; ++b)
      sum[b] += inputs[b][k] * e;
  }
  for (size_t b = 0; b < most; ++b)
    sums[b] = sum[b];
}

/// sums[b] = sum_k inputs[b][k] * error[k]; `count` is a multiple of tile.
template <size_t most>
QUERN_INLINE void multiplyBy(const float *const *inputs, size_t count,
                             const Reals *error, size_t cols, Reals *sums) {
  // Columns whose errors the first cache keeps while all samples read them.
  constexpr size_t stretchOfColumns = 256;
  const Reals zero = {};
  for (size_t b = 0; b < count; ++b)
    sums[b] = zero;
  for (size_t from = 0; from < cols; from += stretchOfColumns) {
    size_t to = std::min(cols, from + stretchOfColumns);
    for (size_t b = 0; b < count; b += most)
      addProducts<most>(inputs + b, from, to, error, sums + b);
  }
}

/// gradient[k] = sum_b inputs[b][from + k] * sums[b] for a tile of columns.
template <size_t most>
QUERN_INLINE void gradientBy(const float *const *inputs, size_t count,
                             size_t from, const Reals *sums, Reals *gradient) {
  for (size_t first = 0; first < tile; first += most) {
    Reals sum[most] = {};
    for (size_t b = 0; b < count; ++b) {
      Reals e = sums[b];
      const float *x = inputs[b] + from + first;
      for (size_t k = 0; k < most; ++k)
        sum[k] += x[k] * e;
    }
    for (size_t k = 0; k < most; ++k)
      gradient[first + k] = sum[k];
  }
}

/// Adam's step of a column from the gradient of its weights, and the new errors
/// of these.
QUERN_INLINE void moveColumn(Block &block, size_t k, const Reals &gradient,
                             const Step &step) {
  const Reals zero = {}, one = zero + 1.0f;
  Reals s = block.soft[k], h = s * stretch - below, slope, deviation;
  slope = ((h > zero) & (h < one)) ? stretch * (s * (1.0f - s)) : zero;
  clampTo(0.0f, 1.0f, h);
  Reals g = gradient * step.gain * block.width[k];
  // d/dh of lambda * (1 - |2h - 1|^beta): beta is even, so the power is
  // a product.
  if (step.lambda != 0) {
    Reals t = 2.0f * h - 1.0f, power = t, factor = t * t;
    for (unsigned rest = step.beta / 2 - 1; rest; rest >>= 1) {
      if (rest & 1)
        power *= factor;
      factor *= factor;
    }
    g -= power * (2.0f * step.lambda * float(step.beta));
  }
  g *= slope;
  Reals m = 0.9f * block.first[k] + 0.1f * g;
  Reals v = 0.999f * block.second[k] + 0.001f * (g * g);
  block.first[k] = m;
  block.second[k] = v;
  root(v * step.second, deviation);
  Reals a = block.alpha[k] - step.rate * m / (deviation + step.epsilon);
  block.alpha[k] = a;
  sigmoid(a, s);
  block.soft[k] = s;
  h = s * stretch - below;
  clampTo(0.0f, 1.0f, h);
  block.error[k] = block.base[k] + block.width[k] * h;
}

/// One step for all columns, whose number is a multiple of tile: the gradient
/// from the output errors `sums`, Adam, and the new weight errors.
template <size_t most>
QUERN_INLINE void updateBy(const float *const *inputs, const Reals *sums,
                           Block &block, const Step &step) {
  for (size_t from = 0; from < step.cols; from += tile) {
    Reals gradient[tile];
    gradientBy<most>(inputs, step.batch, from, sums, gradient);
    for (size_t k = 0; k < tile; ++k)
      moveColumn(block, from + k, gradient[k], step);
  }
}

// Sixteen registers of half the lanes hold few sums, 32 whole ones hold many.

QUERN_CLONES void multiplyFew(const float *const *inputs, size_t count,
                              const Reals *error, size_t cols, Reals *sums) {
  multiplyBy<fewSums>(inputs, count, error, cols, sums);
}

QUERN_CLONES void multiplyMany(const float *const *inputs, size_t count,
                               const Reals *error, size_t cols, Reals *sums) {
  multiplyBy<manySums>(inputs, count, error, cols, sums);
}

QUERN_CLONES void updateFew(const float *const *inputs, const Reals *sums,
                            Block &block, const Step &step) {
  updateBy<fewSums>(inputs, sums, block, step);
}

QUERN_CLONES void updateMany(const float *const *inputs, const Reals *sums,
                             Block &block, const Step &step) {
  updateBy<manySums>(inputs, sums, block, step);
}

QUERN_CLONES void fillSoft(Block &block, size_t cols) {
  for (size_t k = 0; k < cols; ++k)
    sigmoid(block.alpha[k], block.soft[k]);
}

bool hasManyRegisters() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

/// All that is the same for every block.
class Rounder {
public:
  Rounder(const AdaRoundLayer &layer, const std::vector<float> &scales,
          unsigned bits, const AdaRoundOptions &options)
      : layer(layer), scales(scales), options(options),
        cols((layer.cols + tile - 1) / tile * tile), low(-(1 << (bits - 1))),
        high((1 << (bits - 1)) - 1), codes(layer.rows * layer.cols) {
    // Padded copies: whole tiles of columns, whole batches of samples.
    size_t count = (layer.samples + tile - 1) / tile * tile;
    inputs.resize(count * cols);
    for (size_t i = 0; i < layer.samples; ++i)
      std::copy_n(layer.inputs + i * layer.cols, layer.cols,
                  inputs.data() + i * cols);
    for (size_t i = 0; i < count; ++i)
      all.push_back(inputs.data() + i * cols);
    if (layer.realInputs) {
      shifts.resize(count * cols);
      for (size_t i = 0; i < layer.samples; ++i)
        for (size_t k = 0; k < layer.cols; ++k)
          shifts[i * cols + k] =
              inputs[i * cols + k] - layer.realInputs[i * layer.cols + k];
      for (size_t i = 0; i < count; ++i)
        allShifts.push_back(shifts.data() + i * cols);
    }
    std::mt19937 random(1);
    for (size_t i = 0; i < size_t(options.iterations) * options.batch; ++i) {
      drawnFrom.push_back(random() % layer.samples);
      drawn.push_back(all[drawnFrom.back()]);
    }
  }

  /// Rounds rows [16 * index, 16 * index + 16).
  void round(size_t index) {
    Block block(cols);
    size_t from = index * lanes;
    fill(block, from);
    fillSoft(block, cols);
    std::vector<int8_t> floors = down(from);
    std::vector<Reals> sums(std::max<size_t>(options.batch, all.size()));
    std::vector<Reals> offsets = outputShifts(from);
    for (unsigned i = 0; i < options.iterations; ++i) {
      const float *const *x = drawn.data() + size_t(i) * options.batch;
      multiply(x, options.batch, block.error.get(), cols, sums.data());
      if (!offsets.empty())
        for (size_t b = 0; b < options.batch; ++b)
          sums[b] += offsets[drawnFrom[size_t(i) * options.batch + b]];
      (isWide ? updateMany : updateFew)(x, sums.data(), block, stepAt(i));
    }
    // Down or up for good, then against the nearest codes.
    std::unique_ptr<Reals[]> nearest(new Reals[cols]);
    for (size_t k = 0; k < cols; ++k)
      for (size_t l = 0; l < lanes; ++l) {
        float b = block.base[k][l], w = block.width[k][l];
        nearest[k][l] = -b * 2 >= w ? b + w : b;
        block.error[k][l] = block.alpha[k][l] >= 0 ? b + w : b;
      }
    Reals best = squares(nearest.get(), offsets, sums);
    Reals found = squares(block.error.get(), offsets, sums);
    for (size_t l = 0; l < lanes && from + l < layer.rows; ++l) {
      bool keep = best[l] < found[l];
      const Reals *error = keep ? nearest.get() : block.error.get();
      for (size_t k = 0; k < layer.cols; ++k) {
        bool up = block.width[k][l] != 0 && error[k][l] != block.base[k][l];
        codes[(from + l) * layer.cols + k] =
            int8_t(floors[l * layer.cols + k] + up);
      }
      std::lock_guard<std::mutex> lock(mutex);
      rowErrors.push_back({from + l, {best[l], keep ? best[l] : found[l]}});
    }
  }

  std::vector<int8_t> takeCodes() { return std::move(codes); }

  AdaRoundErrors errors() {
    // In the order of rows, so that threads do not change the sum.
    std::sort(rowErrors.begin(), rowErrors.end(),
              [](const auto &a, const auto &b) { return a.first < b.first; });
    AdaRoundErrors total;
    for (const auto &[row, error] : rowErrors) {
      total.nearest += error.nearest;
      total.chosen += error.chosen;
    }
    return total;
  }

private:
  void multiply(const float *const *inputs, size_t count, const Reals *error,
                size_t cols, Reals *sums) const {
    (isWide ? multiplyMany : multiplyFew)(inputs, count, error, cols, sums);
  }

  float scaleOf(size_t row) const {
    return scales[scales.size() == 1 ? 0 : row];
  }

  float zeroOf(size_t row) const {
    return layer.zeros ? float(layer.zeros[row]) : 0.0f;
  }

  /// Codes of a block rounded down, within the grid.
  std::vector<int8_t> down(size_t from) const {
    std::vector<int8_t> result(lanes * layer.cols);
    for (size_t l = 0; l < lanes && from + l < layer.rows; ++l)
      for (size_t k = 0; k < layer.cols; ++k)
        result[l * layer.cols + k] = int8_t(std::clamp<float>(
            std::floor(layer.weights[(from + l) * layer.cols + k] /
                       scaleOf(from + l)) +
                zeroOf(from + l),
            float(low), float(high)));
    return result;
  }

  void fill(Block &block, size_t from) const {
    for (size_t k = 0; k < cols; ++k) {
      Reals zero = {};
      block.base[k] = block.width[k] = block.alpha[k] = block.first[k] =
          block.second[k] = block.error[k] = zero;
      if (k >= layer.cols)
        continue;
      for (size_t l = 0; l < lanes && from + l < layer.rows; ++l) {
        float scale = scaleOf(from + l);
        float weight = layer.weights[(from + l) * layer.cols + k];
        float zero = zeroOf(from + l);
        float t = weight / scale + zero,
              code = std::floor(weight / scale) + zero;
        bool isFree = code >= float(low) && code < float(high);
        code = std::clamp(code, float(low), float(high));
        block.base[k][l] = (code - zero) * scale - weight;
        block.width[k][l] = isFree ? scale : 0.0f;
        float part = isFree ? t - code : 0.0f;
        block.alpha[k][l] = -std::log(stretch / (part + below) - 1);
        block.error[k][l] = block.base[k][l] + block.width[k][l] * part;
      }
    }
  }

  Step stepAt(unsigned i) const {
    double count = options.iterations, warm = options.warmUp * count;
    Step step;
    step.cols = cols;
    step.batch = options.batch;
    step.gain = float(2.0 / options.batch);
    step.lambda = i < warm ? 0.0f : float(options.lambda);
    double part = i < warm ? 0 : (i - warm) / std::max(count - warm, 1.0);
    double rest = options.isLinear
                      ? 1 - part
                      : 0.5 * (1 + std::cos(part * 3.14159265358979));
    double beta = options.betaTo + (options.betaFrom - options.betaTo) * rest;
    step.beta = 2 * std::max(1u, unsigned(beta / 2 + 0.5));
    step.rate = float(options.rate / (1 - std::pow(0.9, i + 1)));
    step.second = float(1 / (1 - std::pow(0.999, i + 1)));
    step.epsilon = 1e-8f;
    return step;
  }

  /// By sample, how far the rows' outputs are off because the inputs are; none
  /// where these are the float model's.
  std::vector<Reals> outputShifts(size_t from) const {
    std::vector<Reals> result(allShifts.size());
    if (result.empty())
      return result;
    std::unique_ptr<Reals[]> weights(new Reals[cols]);
    for (size_t k = 0; k < cols; ++k)
      for (size_t l = 0; l < lanes; ++l)
        weights[k][l] = k < layer.cols && from + l < layer.rows
                            ? layer.weights[(from + l) * layer.cols + k]
                            : 0.0f;
    multiply(allShifts.data(), allShifts.size(), weights.get(), cols,
             result.data());
    return result;
  }

  /// Mean over all samples of the squared output errors.
  Reals squares(const Reals *error, const std::vector<Reals> &offsets,
                std::vector<Reals> &sums) const {
    multiply(all.data(), all.size(), error, cols, sums.data());
    Reals total = {};
    for (size_t i = 0; i < layer.samples; ++i) {
      if (!offsets.empty())
        sums[i] += offsets[i];
      total += sums[i] * sums[i];
    }
    return total / float(layer.samples);
  }

  const AdaRoundLayer &layer;
  const std::vector<float> &scales;
  const AdaRoundOptions &options;
  size_t cols;
  int low, high;
  bool isWide = hasManyRegisters();
  std::vector<float> inputs, shifts;
  std::vector<const float *> all, allShifts, drawn;
  std::vector<size_t> drawnFrom;
  std::vector<int8_t> codes;
  std::mutex mutex;
  std::vector<std::pair<size_t, AdaRoundErrors>> rowErrors;
};

} // namespace

std::vector<int8_t>
quern::adaRound(const AdaRoundLayer &layer, const std::vector<float> &scales,
                unsigned bits, const AdaRoundOptions &options,
                AdaRoundErrors *errors,
                const std::function<void(double)> &progress) {
  if (!layer.rows || !layer.cols || !layer.samples)
    return std::vector<int8_t>(layer.rows * layer.cols);
  Rounder rounder(layer, scales, bits, options);
  size_t blocks = (layer.rows + lanes - 1) / lanes;
  forEachParallel(
      blocks, options.threads, [&](size_t i) { rounder.round(i); }, progress);
  if (errors)
    *errors = rounder.errors();
  return rounder.takeCodes();
}
