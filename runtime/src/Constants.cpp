//===- Constants.cpp - where the constants of a module lie ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Constants.h. Sizes have been checked with the manifest; here only what
// the stored parts hold can be wrong.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Constants.h"

#include "quern/expand.h"
#include "quern/huffman.h"

#include <cinttypes>
#include <xmmintrin.h>

using namespace quern;
using namespace quern::manifest;

/// Bytes between made constants: kernels read whole vectors past an end.
static uint64_t roomOf(const Data &data) {
  return roundUp(data.bytes() + QUERN_SLACK_BYTES, QUERN_DATA_ALIGN);
}

quern_status Constants::open(const char *path, const Manifest &manifest,
                             const char *weights, quern_error *error) {
  const auto &table = *manifest.data();
  uint64_t total = 0;
  for (const Data *data : table)
    if (data->making() != Making::Stored)
      total += roomOf(*data);
  if (!places.resize(table.size()) || (total && !memory.allocate(total)))
    return fail(error, QUERN_ERROR_MEMORY,
                "%s: out of memory for %" PRIu64 " bytes of constants", path,
                total);
  for (uint32_t i = 0; i < table.size(); ++i)
    if (table.Get(i)->making() == Making::Stored)
      places[i] = weights + table.Get(i)->offset();
  // Others may be made of coded ones.
  for (bool isCoded : {true, false}) {
    char *to = memory.data();
    for (uint32_t i = 0; i < table.size(); ++i) {
      const Data &data = *table.Get(i);
      if (data.making() == Making::Stored)
        continue;
      places[i] = to;
      to += roomOf(data);
      if ((data.making() == Making::Coded) != isCoded)
        continue;
      if (quern_status status =
              make(path, manifest, data, to - roomOf(data), error))
        return status;
    }
  }
  return QUERN_OK;
}

quern_status Constants::make(const char *path, const Manifest &manifest,
                             const Data &data, char *to,
                             quern_error *error) const {
  const char *parts[2] = {};
  uint64_t counts[2] = {};
  for (uint32_t i = 0; i < data.from()->size(); ++i) {
    const Data &part = *manifest.data()->Get(data.from()->Get(i));
    parts[i] = places[data.from()->Get(i)];
    counts[i] = part.bytes() / elementBytes(part.element());
  }
  auto bytes = reinterpret_cast<const uint8_t *>(parts[0]);
  auto integers = reinterpret_cast<int32_t *>(to);
  switch (data.making()) {
  case Making::Stored:
    break;
  case Making::Widened:
    quern_expand_widened(reinterpret_cast<const int16_t *>(parts[0]), counts[0],
                         integers);
    break;
  case Making::Picked: {
    uint64_t done = quern_expand_picked(
        bytes, counts[0], reinterpret_cast<const uint32_t *>(parts[1]),
        counts[1], reinterpret_cast<uint32_t *>(to));
    if (done != counts[0])
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: constant %s: index of element %" PRIu64
                  ": found %u, expected below %" PRIu64,
                  path, data.name()->c_str(), done, bytes[done], counts[1]);
    break;
  }
  case Making::Marked:
    quern_expand_marked(bytes, counts[0], data.bytes() / counts[0],
                        reinterpret_cast<int8_t *>(to));
    break;
  case Making::Outer: {
    // A program built with -ffast-math may have set another rounding.
    unsigned rounding = _mm_getcsr();
    _mm_setcsr(plainRounding);
    quern_expand_outer(reinterpret_cast<const float *>(parts[0]), counts[0],
                       reinterpret_cast<const float *>(parts[1]), counts[1],
                       reinterpret_cast<float *>(to));
    _mm_setcsr(rounding);
    break;
  }
  case Making::Sums:
    quern_expand_sums(bytes, data.bytes() / (4 * QUERN_PANEL * counts[1]),
                      manifest.data()->Get(data.from()->Get(0))->bits(),
                      reinterpret_cast<const uint32_t *>(data.blocks()->data()),
                      reinterpret_cast<const int32_t *>(parts[1]), counts[1],
                      integers);
    break;
  case Making::Coded:
    if (!quern_expand_coded(bytes, counts[0], reinterpret_cast<uint8_t *>(to),
                            data.bytes()))
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: constant %s: its Huffman code is malformed", path,
                  data.name()->c_str());
    break;
  }
  return QUERN_OK;
}
