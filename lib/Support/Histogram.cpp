//===- Histogram.cpp - Counts of f32 values by their leading bits ---------===//
//
// Counting, merging and listing; see the header for the bucket rule.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Histogram.h"

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

void Histogram::add(const float *values, size_t size) {
  float low = smallest, high = largest;
  for (size_t i = 0; i < size; ++i) {
    float value = values[i];
    uint32_t bits = bitsOf(value);
    if ((bits << 1) == 0) {
      ++zeros;
    } else if ((bits & 0x7f800000u) == 0x7f800000u) {
      ++notFinite;
      continue;
    } else {
      unsigned index = bits >> 23;
      Page *counts = pages[index].get();
      if (!counts)
        counts = &page(index);
      ++(*counts)[(bits >> 16) & 127];
    }
    ++total;
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  smallest = low;
  largest = high;
}

void Histogram::merge(const Histogram &other) {
  for (unsigned i = 0; i < pages.size(); ++i) {
    if (!other.pages[i])
      continue;
    Page &mine = page(i);
    for (unsigned j = 0; j < mine.size(); ++j)
      mine[j] += (*other.pages[i])[j];
  }
  zeros += other.zeros;
  total += other.total;
  notFinite += other.notFinite;
  smallest = std::min(smallest, other.smallest);
  largest = std::max(largest, other.largest);
}

std::vector<Bucket> Histogram::buckets() const {
  std::vector<Bucket> result;
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
