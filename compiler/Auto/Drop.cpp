//===- Drop.cpp - What a recipe costs in accuracy, without labels ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Auto/Drop.h"

#include <algorithm>
#include <cmath>

namespace quern {

void Outputs::add(const quern_output &output) {
  columns = output.columns;
  values.insert(values.end(), output.data,
                output.data + uint64_t(output.rows) * output.columns);
  uint64_t before = offsets.back();
  bool tokens = output.rows == output.tokens && output.offsets;
  if (tokens && output.rows != output.sequences)
    for (uint32_t s = 1; s <= output.sequences; ++s)
      offsets.push_back(before + uint64_t(output.offsets[s]));
  else
    for (uint32_t row = 1; row <= output.rows; ++row)
      offsets.push_back(before + row);
}

namespace {

/// Sums over decisions.
struct Decisions {
  double lost = 0;
  uint64_t count = 0, same = 0;

  /// One decision among the elements at `first`, `first + stride`, ...
  void add(const float *real, const float *ours, uint64_t size,
           uint64_t stride) {
    uint64_t best = 0, chosen = 0;
    for (uint64_t i = 1; i < size; ++i) {
      if (real[i * stride] > real[best * stride])
        best = i;
      if (ours[i * stride] > ours[chosen * stride])
        chosen = i;
    }
    double top = real[best * stride], sum = 0;
    for (uint64_t i = 0; i < size; ++i)
      sum += std::exp(real[i * stride] - top);
    lost += (1 - std::exp(real[chosen * stride] - top)) / sum;
    same += best == chosen;
    ++count;
  }

  /// A label that holds or not, by the sign of its logit.
  void addBinary(float real, float ours) {
    bool differs = (real > 0) != (ours > 0);
    double p = 1 / (1 + std::exp(-std::fabs(double(real))));
    lost += differs ? 2 * p - 1 : 0;
    same += !differs;
    ++count;
  }
};

} // namespace

/// 1 - Lin's concordance of two columns; 0 for equal ones.
static double discordance(const Outputs &real, const Outputs &ours) {
  double n = double(real.values.size()), a = 0, b = 0;
  for (size_t i = 0; i < real.values.size(); ++i) {
    a += real.values[i] / n;
    b += ours.values[i] / n;
  }
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < real.values.size(); ++i) {
    double da = real.values[i] - a, db = ours.values[i] - b;
    aa += da * da;
    bb += db * db;
    ab += da * db;
  }
  double whole = aa + bb + n * (a - b) * (a - b);
  return whole > 0 ? 1 - 2 * ab / whole : 0;
}

static double meanCosine(const Outputs &real, const Outputs &ours) {
  uint64_t d = real.columns, rows = real.values.size() / d;
  double sum = 0;
  for (uint64_t row = 0; row < rows; ++row) {
    double aa = 0, bb = 0, ab = 0;
    for (uint64_t j = row * d; j < (row + 1) * d; ++j) {
      aa += double(real.values[j]) * real.values[j];
      bb += double(ours.values[j]) * ours.values[j];
      ab += double(real.values[j]) * ours.values[j];
    }
    sum += ab / std::sqrt(std::max(aa * bb, 1e-300));
  }
  return sum / double(rows);
}

Drop measureDrop(const Outputs &real, const Outputs &ours, quern_head head,
                 const std::string &problem) {
  Drop drop;
  if (real.values.empty() || real.values.size() != ours.values.size())
    return {100, 0, 0, INFINITY};
  for (size_t i = 0; i < real.values.size(); ++i)
    drop.difference += std::fabs(double(real.values[i]) - ours.values[i]);
  drop.difference /= double(real.values.size());

  Decisions decisions;
  uint64_t d = real.columns, rows = real.values.size() / d;
  const float *a = real.values.data(), *b = ours.values.data();
  if (head == QUERN_HEAD_EMBEDDING) {
    drop.points = 100 * (1 - meanCosine(real, ours));
    return drop;
  }
  if (head == QUERN_HEAD_REGRESSION || (d == 1 && problem == "regression")) {
    drop.points = 100 * discordance(real, ours);
    return drop;
  }
  if (head == QUERN_HEAD_QUESTION_ANSWERING) {
    // Where an answer starts and where it ends, among the tokens.
    for (size_t s = 0; s + 1 < real.offsets.size(); ++s)
      for (uint64_t j = 0; j < d; ++j)
        decisions.add(a + real.offsets[s] * d + j, b + real.offsets[s] * d + j,
                      real.offsets[s + 1] - real.offsets[s], d);
  } else if (problem == "multi_label" || d == 1) {
    for (size_t i = 0; i < real.values.size(); ++i)
      decisions.addBinary(a[i], b[i]);
  } else {
    for (uint64_t row = 0; row < rows; ++row)
      decisions.add(a + row * d, b + row * d, d, 1);
  }
  drop.points = 100 * decisions.lost / double(decisions.count);
  drop.agreement = double(decisions.same) / double(decisions.count);
  drop.decisions = decisions.count;
  return drop;
}

} // namespace quern
