//===- DeviceConstants.cpp - what a GPU is given once ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Weights row by row, tables, and the constants that are as they are in the
// module: one allocation.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/DeviceProgram.h"

namespace quern::cuda {

using namespace quern::manifest;

/// Between constants; more than any access of a kernel needs.
static constexpr uint64_t kConstantAlign = 256;

/// The row that lies `place`-th for products of warpgroups.
static uint64_t warpgroupRow(uint64_t place) {
  uint64_t within = place % 32;
  return place - within + within / 2 % 4 * 8 + within / 8 * 2 + within % 2;
}

uint64_t weightRows(const DeviceWeights &weights, bool warpgroup) {
  return roundUp(weights.n(), warpgroup ? 32 : 16);
}

void unpackWeights(const DeviceWeights &weights, const char *packed,
                   uint64_t packedBytes, char *rows, bool warpgroup) {
  uint64_t n = roundUp(weights.n(), 16), k = roundUp(weights.k(), 64);
  uint32_t bits = weights.bits(), perByte = 8 / bits, unused = 8 - bits;
  uint64_t panelBytes = packedBytes / (n / 16);
  const auto *blocks = lengthOf(weights.blocks()) ? weights.blocks() : nullptr;
  for (uint64_t place = 0; place < weightRows(weights, warpgroup); ++place) {
    uint64_t row = warpgroup ? warpgroupRow(place) : place;
    const char *panel = packed + row / 16 * panelBytes + row % 16 * 4;
    for (uint64_t column = 0; column < k; ++column) {
      int64_t group =
          blocks ? blocks->Get(uint32_t(column / 4)) : int64_t(column / 4);
      if (group < 0 || row >= n) {
        rows[place * k + column] = 0;
        continue;
      }
      auto byte = uint8_t(panel[group / perByte * 64 + column % 4]);
      // The code to the top of a byte, and down again with its sign.
      auto code = int8_t(byte << (unused - uint32_t(group % perByte) * bits));
      rows[place * k + column] = char(code >> unused);
    }
  }
}

uint64_t weightBytes(const DeviceWeights &weights, bool warpgroup) {
  return weightRows(weights, warpgroup) * roundUp(weights.k(), 64);
}

quern_status DeviceProgram::upload(quern_error *error) {
  const auto &all = *module.manifest->data();
  uint32_t count = lengthOf(table().weights());
  uint32_t tableCount = lengthOf(table().tables());
  if (!data.resize(all.size()) || !weights.resize(count) ||
      !tables.resize(tableCount))
    return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  // Places first, weights and tables in front: those are made in memory of the
  // host.
  uint64_t made = 0;
  for (uint32_t i = 0; i < count; ++i) {
    weights[i] = made;
    const DeviceWeights &each = *table().weights()->Get(i);
    made += roundUp(weightBytes(each, warpgroups && each.warpgroup()),
                    kConstantAlign);
  }
  for (uint32_t i = 0; i < tableCount; ++i) {
    tables[i] = made;
    made +=
        roundUp(table().tables()->Get(i)->values()->size() * 4, kConstantAlign);
  }
  uint64_t total = made;
  // Address 0 is that of weights, or of nothing.
  total += kConstantAlign;
  for (const DeviceStep *step : *table().steps())
    for (const DeviceParam *param : *step->params())
      if (param->kind() == DeviceParamKind::Data && !data[param->value()]) {
        data[param->value()] = total;
        total += roundUp(all.Get(param->value())->bytes() + QUERN_SLACK_BYTES,
                         kConstantAlign);
      }
  Pages rows;
  if (!rows.allocate(made + 1))
    return fail(error, QUERN_ERROR_MEMORY, "out of memory for %llu bytes",
                (unsigned long long)made);
  if (quern_status status = context.allocate(total, constants, error)) {
    constants = 0;
    return status;
  }
  for (uint32_t i = 0; i < count; ++i) {
    const DeviceWeights &each = *table().weights()->Get(i);
    unpackWeights(each, module.constants[each.data()],
                  all.Get(each.data())->bytes(), rows.data() + weights[i],
                  warpgroups && each.warpgroup());
    weights[i] += constants;
  }
  for (uint32_t i = 0; i < tableCount; ++i) {
    const auto &values = *table().tables()->Get(i)->values();
    memcpy(rows.data() + tables[i], values.data(), values.size() * 4);
    tables[i] += constants;
  }
  quern_status status = context.copyIn(constants, rows.data(), made, error);
  for (uint32_t i = 0; i < all.size() && status == QUERN_OK; ++i) {
    if (!data[i])
      continue;
    data[i] += constants;
    status = context.copyIn(data[i], module.constants[i], all.Get(i)->bytes(),
                            error);
  }
  // The copies read memory of this function until then.
  quern_status waited = context.synchronize(status ? nullptr : error);
  return status ? status : waited;
}

} // namespace quern::cuda
