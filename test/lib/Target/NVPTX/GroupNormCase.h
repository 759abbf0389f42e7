//===- GroupNormCase.h - LayerNorm over groups of channels ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Operands of GroupNorm, and its formula one channel at a time: sums of a group
// are integers, those of all groups f64 in ascending order.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_GROUPNORMCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_GROUPNORMCASE_H

#include "lib/Target/NVPTX/GroupNorm.h"
#include "test/lib/Target/NVPTX/RowCase.h"

#include <numeric>

namespace quern::nvptx::test {

struct ChannelGroup {
  double scale;
  int64_t zero;
};

/// (u - zero) * scale of every channel, normalized; before rounding.
inline void groupNorm(const std::vector<uint16_t> &u,
                      const std::vector<size_t> &map,
                      const std::vector<ChannelGroup> &groups,
                      const std::vector<float> &gamma,
                      const std::vector<float> &beta, std::vector<float> &y) {
  double first = 0, second = 0, d = double(u.size());
  for (size_t g = 0; g != groups.size(); ++g) {
    int64_t n = 0, sum = 0, squares = 0, z = groups[g].zero;
    for (size_t j = 0; j != u.size(); ++j)
      if (map[j] == g) {
        ++n;
        sum += u[j];
        squares += int64_t(u[j]) * u[j];
      }
    double s = groups[g].scale;
    first += s * double(sum - n * z);
    double square = s * s;
    second += square * double(squares - 2 * z * sum + n * z * z);
  }
  double mean = first / d, spread = second / d;
  spread -= mean * mean;
  double variance = (spread < 0 ? 0 : spread) + kEps;
  auto rs = float(1.0 / std::sqrt(variance));
  auto middle = float(mean);
  for (size_t j = 0; j != u.size(); ++j) {
    const ChannelGroup &group = groups[map[j]];
    float v = float(u[j]) - float(group.zero);
    v = v * float(group.scale);
    v = v - middle;
    v = v * rs;
    v = v * gamma[j];
    y.push_back(v + beta[j]);
  }
}

class GroupNormCase {
public:
  /// Channel j is of group map[j]; no groups for a plain sum.
  GroupNormCase(const GroupNormForm &form, std::vector<ChannelGroup> groups,
                std::vector<size_t> map, int64_t m)
      : form(form), groups(groups), map(map), m(m), d(form.norm.d),
        stride((d + 15) / 16 * 16 + 16), random(uint32_t(d + m)),
        sumHi(highest(form.norm.sum)),
        outHi(form.norm.out == Stored::F32 ? 0 : highest(form.norm.out)) {
    a = random.codes<uint16_t>(size_t(m * stride),
                               uint32_t(highest(form.norm.a)) + 1);
    b = random.codes<uint16_t>(size_t(m * stride),
                               uint32_t(highest(form.norm.b)) + 1);
    ma = random.reals(size_t(d), 0.2f, sumHi / 2 / highest(form.norm.a));
    mb = random.reals(size_t(d), 0.2f, sumHi / 2 / highest(form.norm.b));
    mo = random.reals(size_t(d), -20.0f, 20.0f);
    float spread = outHi > 0 ? outHi / 4 : 1.0f;
    gamma = random.reals(size_t(d), 0.5f * spread, spread);
    beta = random.reals(size_t(d), spread, 3 * spread);
    order.resize(size_t(d));
    std::iota(order.begin(), order.end(), 0);
    if (form.ordered)
      for (size_t j = order.size(); j-- > 1;)
        std::swap(order[j], order[random.below(uint32_t(j + 1))]);
  }

  /// Rows of one code in all channels, the largest of which is `code`.
  void makeFlat(uint16_t code) {
    std::fill(ma.begin(), ma.end(), 1.0f);
    std::fill(mb.begin(), mb.end(), 0.0f);
    std::fill(mo.begin(), mo.end(), 0.0f);
    for (int64_t i = 0; i != m; ++i)
      std::fill_n(a.begin() + i * stride, d, uint16_t(code - i));
  }

  /// Empty if results and taps are those of the formula.
  std::string run(Runner &runner) {
    size_t size = size_t(storageBytes(form.norm.out));
    size_t tapSize = size_t(storageBytes(form.norm.sum));
    std::vector<uint8_t> out(size_t(m * stride) * size, 0xa5), want = out;
    std::vector<uint8_t> tap(size_t(m * stride) * tapSize, 0x5a), kept = tap;
    for (int64_t i = 0; i != m; ++i) {
      std::vector<uint16_t> u = sums(i);
      std::vector<uint8_t> bytes = pack(u, form.norm.sum);
      std::copy(bytes.begin(), bytes.end(),
                kept.begin() + int64_t(size_t(i * stride) * tapSize));
      std::vector<float> y, ordered;
      if (form.grouped)
        groupNorm(u, map, groups, gamma, beta, y);
      else
        quern::test::codeNorm(u, 0.037f, kEps, gamma, beta, y);
      for (int32_t channel : order)
        ordered.push_back(y[size_t(channel)]);
      store(ordered, form.norm.out, &want[size_t(i * stride) * size]);
    }
    std::string problem = launch(runner, out, tap);
    if (!problem.empty())
      return problem;
    for (size_t i = 0; i != out.size(); ++i)
      if (out[i] != want[i])
        return "byte " + std::to_string(i) + " of the result: expected " +
               std::to_string(want[i]) + ", got " + std::to_string(out[i]);
    return tap == kept ? "" : "the tap differs";
  }

private:
  std::vector<uint16_t> sums(int64_t row) const {
    std::vector<uint16_t> u;
    for (int64_t j = 0; j != d; ++j) {
      float x = float(a[size_t(row * stride + j)]) * ma[size_t(j)];
      float y = float(b[size_t(row * stride + j)]) * mb[size_t(j)];
      float v = x + y;
      v = v + mo[size_t(j)];
      u.push_back(uint16_t(qm_round_code(v, 0.0f, sumHi)));
    }
    return u;
  }

  template <typename T> static void append(std::vector<uint8_t> &to, T value) {
    to.resize(to.size() + sizeof value);
    std::memcpy(&to[to.size() - sizeof value], &value, sizeof value);
  }

  /// As groupNormParams of lib/Tile/GroupNorm.h.
  std::vector<uint8_t> params() const {
    std::vector<uint8_t> bytes;
    if (!form.grouped) {
      for (double v : normOf(0.037f, d))
        append(bytes, v);
      return bytes;
    }
    append(bytes, kEps);
    append(bytes, double(d));
    for (size_t g = 0; g != groups.size(); ++g) {
      int64_t n = std::count(map.begin(), map.end(), g), z = groups[g].zero;
      append(bytes, groups[g].scale);
      append(bytes, groups[g].scale * groups[g].scale);
      append(bytes, n * z);
      append(bytes, 2 * z);
      append(bytes, n * z * z);
    }
    return bytes;
  }

  std::string launch(Runner &runner, std::vector<uint8_t> &out,
                     std::vector<uint8_t> &tap) {
    std::vector<uint8_t> aBytes = pack(a, form.norm.a),
                         bBytes = pack(b, form.norm.b), norm = params();
    int64_t maskStride = (d + 63) / 64 * 64;
    std::vector<uint8_t> masks(groups.size() * size_t(maskStride));
    std::vector<float> zeros, scales;
    for (size_t j = 0; j != map.size(); ++j) {
      masks[map[j] * size_t(maskStride) + j] = 1;
      zeros.push_back(float(groups[map[j]].zero));
      scales.push_back(float(groups[map[j]].scale));
    }
    DeviceCall call;
    call.kernel = getGroupNormName(form);
    call.launchRows(m);
    call.input("a", aBytes);
    call.input("b", bBytes);
    call.input("ma", ma);
    call.input("mb", mb);
    call.input("mo", mo);
    call.input("gamma", gamma);
    call.input("beta", beta);
    call.input("norm", norm);
    if (form.grouped) {
      call.input("masks", masks);
      call.input("zeros", zeros);
      call.input("scales", scales);
    }
    if (form.ordered)
      call.input("order", order);
    call.output("out", out);
    call.output("tap", tap);
    call.integers({m, stride, stride, stride, stride});
    if (form.grouped)
      call.integers({maskStride, int64_t(groups.size())});
    call.integers({1});
    call.reals({0.0f, sumHi, 0.0f, outHi});
    SecondOutput second(form.norm.second, m, stride);
    second.addTo(call);
    std::string problem = runner.run(call);
    return problem.empty() ? second.check(out, form.norm.out, d) : problem;
  }

  GroupNormForm form;
  std::vector<ChannelGroup> groups;
  std::vector<size_t> map;
  int64_t m, d, stride;
  Random random;
  float sumHi, outHi;
  std::vector<uint16_t> a, b;
  std::vector<float> ma, mb, mo, gamma, beta;
  std::vector<int32_t> order;
};

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_GROUPNORMCASE_H
