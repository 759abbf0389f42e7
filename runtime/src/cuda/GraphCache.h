//===- GraphCache.h - runs that a GPU repeats -------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A run of few texts is half launches. A run whose launches are those of an
// earlier one, down to every parameter, is one graph, which the driver launches
// as a whole: those of one bucket are (RunBucket.h). It is made when a run is
// seen for the second time: large ones may never come again.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_RUNTIME_SRC_CUDA_GRAPHCACHE_H
#define QUERN_RUNTIME_SRC_CUDA_GRAPHCACHE_H

#include "runtime/src/cuda/Device.h"

namespace quern::cuda {

/// All launches of a run, one after the other.
class RunPlan {
public:
  void clear() {
    launches.clear();
    values.clear();
  }
  /// Appends a launch; its tensor maps, then its other parameters are added
  /// next. False when memory is out.
  bool add(Function function, const Grid &grid) {
    return launches.push({function, grid, uint32_t(values.size()), 0, 0});
  }
  bool addMap(const TensorMap &map) {
    ++launches[launches.size() - 1].maps;
    for (uint64_t word : map.words)
      if (!values.push(word))
        return false;
    return true;
  }
  bool addValue(uint64_t value) {
    ++launches[launches.size() - 1].count;
    return values.push(value);
  }
  /// Launches all of it.
  quern_status launch(DeviceContext &context, quern_error *error);

  bool equals(const RunPlan &other) const;
  /// False when memory is out.
  bool copy(const RunPlan &other);

private:
  struct Launch {
    Function function;
    Grid grid;
    uint32_t first, count, maps;
  };
  Array<Launch> launches;
  Array<uint64_t> values;
};

/// The graphs of the runs that came last.
class GraphCache {
public:
  explicit GraphCache(DeviceContext &context) : context(context) {}
  GraphCache(const GraphCache &) = delete;
  GraphCache &operator=(const GraphCache &) = delete;
  ~GraphCache() { clear(); }

  /// Forgets all graphs; to be called while their kernels are still loaded.
  void clear();

  /// Launches a run, as a graph where it is known.
  quern_status launch(RunPlan &plan, quern_error *error);

private:
  struct Entry {
    RunPlan plan;
    GraphRun graph = nullptr;
    /// 0: free.
    uint64_t lastUse = 0;
  };
  Entry &oldest();

  DeviceContext &context;
  static constexpr int kEntries = 16;
  Entry entries[kEntries];
  uint64_t uses = 0;
  /// The driver refused one; launches do without from then on.
  bool refused = false;
};

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_GRAPHCACHE_H
