//===- Device.h - kernels and memory on one device ------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The primary context of a device, which other libraries of the program share,
// and one stream. What the driver refuses becomes a sentence, a failed
// compilation with the compiler's own words.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CUDA_DEVICE_H
#define QUERN_RUNTIME_SRC_CUDA_DEVICE_H

#include "runtime/src/cuda/Driver.h"

namespace quern::cuda {

/// Blocks and threads of a launch.
struct Grid {
  unsigned x = 1, y = 1, threads = 32, sharedBytes = 0;
  /// May begin before the launch in front of it has ended; the kernel waits for
  /// that itself.
  bool early = false;
};

/// A matrix of bytes in memory of the device, of which kernels copy tiles of
/// `boxRows` rows and 128 columns; columns that are not there are zeros.
struct TileSource {
  Address address = 0;
  uint64_t rows = 0, columns = 0, stride = 0;
  uint32_t boxRows = 0;

  bool operator==(const TileSource &other) const {
    return address == other.address && rows == other.rows &&
           columns == other.columns && stride == other.stride &&
           boxRows == other.boxRows;
  }
};

class RunPlan;

class DeviceContext {
public:
  /// The driver must be loaded, and outlive this.
  explicit DeviceContext(const Driver &driver) : driver(driver) {}
  DeviceContext(const DeviceContext &) = delete;
  DeviceContext &operator=(const DeviceContext &) = delete;
  /// Waits for the stream; modules and memory must have been released.
  ~DeviceContext();

  /// Errors: ARGUMENT (no such device), UNSUPPORTED (too old, or the driver
  /// refuses).
  quern_status open(int ordinal, quern_error *error);
  const DeviceInfo &info() const { return device; }

  /// Has the driver compile PTX, which ends with a 0. Errors: UNSUPPORTED.
  quern_status load(const char *ptx, Module &module, quern_error *error);
  void unload(Module module);
  /// A kernel that may use so many bytes of dynamic shared memory.
  quern_status find(Module module, const char *name, unsigned sharedBytes,
                    Function &function, quern_error *error);

  /// The tensor map of a matrix, with the swizzle of 128 bytes. Errors:
  /// UNSUPPORTED.
  quern_status encode(const TileSource &source, TensorMap &map,
                      quern_error *error);

  /// Errors: MEMORY. The owner calls release().
  quern_status allocate(size_t bytes, Address &address, quern_error *error);
  void release(Address address);

  /// These are done in the order of the calls; memory of the host must stay as
  /// it is until synchronize() returns.
  quern_status copyIn(Address to, const void *from, size_t bytes,
                      quern_error *error);
  quern_status copyOut(void *to, Address from, size_t bytes,
                       quern_error *error);
  quern_status launch(Function function, const Grid &grid, void **parameters,
                      quern_error *error);
  quern_status synchronize(quern_error *error);

  /// Whether the driver has graphs.
  bool hasGraphs() const { return driver.hasGraphs; }
  /// Makes a graph of a run, which is not launched. False if it did; on failure
  /// nothing is left of it.
  bool record(RunPlan &plan, GraphRun &graph);
  quern_status launchGraph(GraphRun graph, quern_error *error);
  void destroyGraph(GraphRun graph);

private:
  class Current;
  quern_status check(Result result, const char *doing, quern_error *error);

  const Driver &driver;
  DeviceInfo device = {};
  Device handle = -1;
  Context context = nullptr;
  Stream stream = nullptr;
};

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_DEVICE_H
