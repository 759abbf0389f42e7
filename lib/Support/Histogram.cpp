//===- Histogram.cpp - Counts of f32 values by their leading bits ---------===//
//
// Counting, merging and listing; see the header for the bucket rule.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Histogram.h"

#include "lib/Support/Extremes.h"

#include <algorithm>
#include <cstring>

using namespace quern;

namespace {

uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// The f32 with the given sign-less bits; the first pattern after the largest
/// finite value stands for 2^128 and is only ever an upper edge.
double magnitudeOf(uint32_t bits) {
  if (bits == 0x7f800000u)
    return 0x1p128;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

} // namespace

Histogram::Page &Histogram::page(unsigned index) {
  if (!pages[index])
    pages[index] = std::make_unique<Page>(Page{});
  return *pages[index];
}

void Histogram::makeRoom(uint64_t more) {
  if (kept.empty() || total + more <= mostKept)
    return;
  count(kept.data(), kept.size());
  kept = {};
}

void Histogram::count(const float *values, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    uint32_t bits = bitsOf(values[i]);
    if ((bits << 1) == 0) {
      ++zeros;
      continue;
    }
    unsigned index = bits >> 23;
    Page *counts = pages[index].get();
    if (!counts)
      counts = &page(index);
    ++(*counts)[(bits >> 16) & 127];
  }
}

void Histogram::add(const float *values, size_t size) {
  makeRoom(size);
  bool keeps = total + size <= mostKept;
  // Pieces without a value that is not finite are counted as they are.
  size_t from = 0;
  auto take = [&](size_t to) {
    if (keeps)
      kept.insert(kept.end(), values + from, values + to);
    else
      count(values + from, to - from);
    total += to - from;
    from = to + 1;
  };
  Extremes extremes;
  auto takeOne = [&](size_t i) {
    if ((bitsOf(values[i]) & 0x7f800000u) == 0x7f800000u) {
      take(i);
      ++notFinite;
    } else {
      extremes.add(values[i]);
    }
  };
  size_t i = 0;
  for (; i + extremeLanes <= size; i += extremeLanes) {
    if (!holdsNonFinite(values + i)) {
      extremes.addLanes(values + i);
      continue;
    }
    for (size_t lane = 0; lane < extremeLanes; ++lane)
      takeOne(i + lane);
  }
  for (; i < size; ++i)
    takeOne(i);
  take(size);
  smallest = std::min(smallest, extremes.low());
  largest = std::max(largest, extremes.high());
}

void Histogram::merge(const Histogram &other) {
  makeRoom(other.total);
  if (total + other.total <= mostKept) {
    kept.insert(kept.end(), other.kept.begin(), other.kept.end());
  } else {
    count(other.kept.data(), other.kept.size());
    for (unsigned i = 0; i < pages.size(); ++i) {
      if (!other.pages[i])
        continue;
      Page &mine = page(i);
      for (unsigned j = 0; j < mine.size(); ++j)
        mine[j] += (*other.pages[i])[j];
    }
    zeros += other.zeros;
  }
  total += other.total;
  notFinite += other.notFinite;
  smallest = std::min(smallest, other.smallest);
  largest = std::max(largest, other.largest);
}

std::vector<float> Histogram::values() const {
  std::vector<float> sorted = kept;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<Bucket> Histogram::buckets() const {
  std::vector<Bucket> result;
  for (float value : values()) {
    if (!result.empty() && result.back().lo == value)
      ++result.back().count;
    else
      result.push_back({value, value, 1});
  }
  if (!result.empty())
    return result;
  // Negative values from the largest magnitude down, then zero, then up.
  for (unsigned i = 512; i-- > 256;) {
    if (!pages[i])
      continue;
    for (unsigned j = 128; j-- > 0;) {
      uint32_t bits = ((i & 255) << 23) | (j << 16);
      if (uint64_t n = (*pages[i])[j])
        result.push_back({-magnitudeOf(bits + 0x10000), -magnitudeOf(bits), n});
    }
  }
  if (zeros)
    result.push_back({0.0, 0.0, zeros});
  for (unsigned i = 0; i < 256; ++i) {
    if (!pages[i])
      continue;
    for (unsigned j = 0; j < 128; ++j) {
      uint32_t bits = (i << 23) | (j << 16);
      if (uint64_t n = (*pages[i])[j])
        result.push_back({magnitudeOf(bits), magnitudeOf(bits + 0x10000), n});
    }
  }
  if (!result.empty()) {
    result.front().lo = smallest;
    result.back().hi = largest;
    // A single bucket may have both extremes inside.
    result.front().hi = std::max(result.front().hi, result.front().lo);
    result.back().lo = std::min(result.back().lo, result.back().hi);
  }
  return result;
}
