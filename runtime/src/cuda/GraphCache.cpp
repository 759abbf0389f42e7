//===- GraphCache.cpp - runs that a GPU repeats ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/GraphCache.h"

#include "runtime/src/DeviceCheck.h"

#include <cstring>

namespace quern::cuda {

quern_status RunPlan::launch(DeviceContext &context, quern_error *error) {
  void *pointers[kMostDeviceMaps + kMostDeviceParams];
  for (const Launch &each : launches) {
    uint32_t first = each.first;
    for (uint32_t i = 0; i < each.maps; ++i, first += 16)
      pointers[i] = &values[first];
    for (uint32_t i = 0; i < each.count; ++i)
      pointers[each.maps + i] = &values[first + i];
    if (quern_status status =
            context.launch(each.function, each.grid, pointers, error))
      return status;
  }
  return QUERN_OK;
}

bool RunPlan::equals(const RunPlan &other) const {
  if (launches.size() != other.launches.size() ||
      values.size() != other.values.size() ||
      memcmp(values.data(), other.values.data(), values.size() * 8) != 0)
    return false;
  for (size_t i = 0; i < launches.size(); ++i) {
    const Launch &a = launches[i], &b = other.launches[i];
    if (a.function != b.function || a.grid.x != b.grid.x ||
        a.grid.y != b.grid.y || a.grid.threads != b.grid.threads ||
        a.grid.sharedBytes != b.grid.sharedBytes || a.count != b.count ||
        a.maps != b.maps || a.grid.early != b.grid.early)
      return false;
  }
  return true;
}

bool RunPlan::copy(const RunPlan &other) {
  if (!launches.resize(other.launches.size()) ||
      !values.resize(other.values.size()))
    return false;
  memcpy(launches.data(), other.launches.data(),
         launches.size() * sizeof(Launch));
  memcpy(values.data(), other.values.data(), values.size() * 8);
  return true;
}

void GraphCache::clear() {
  for (Entry &entry : entries) {
    if (entry.graph)
      context.destroyGraph(entry.graph);
    entry.graph = nullptr;
    entry.lastUse = 0;
  }
}

GraphCache::Entry &GraphCache::oldest() {
  Entry *found = &entries[0];
  for (Entry &entry : entries)
    if (entry.lastUse < found->lastUse)
      found = &entry;
  return *found;
}

quern_status GraphCache::launch(RunPlan &plan, quern_error *error) {
  if (refused || !context.hasGraphs())
    return plan.launch(context, error);
  ++uses;
  for (Entry &entry : entries) {
    if (!entry.lastUse || !entry.plan.equals(plan))
      continue;
    entry.lastUse = uses;
    if (!entry.graph && context.record(plan, entry.graph)) {
      refused = true;
      return plan.launch(context, error);
    }
    return context.launchGraph(entry.graph, error);
  }
  Entry &entry = oldest();
  if (entry.graph)
    context.destroyGraph(entry.graph);
  entry.graph = nullptr;
  entry.lastUse = entry.plan.copy(plan) ? uses : 0;
  return plan.launch(context, error);
}

} // namespace quern::cuda
