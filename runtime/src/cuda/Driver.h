//===- Driver.h - the CUDA driver, where there is one ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Nothing is linked: the driver is looked for when a device is asked for, and
// every way in which it may be missing has a sentence. QUERN_CUDA_DRIVER names
// another library than libcuda.so.1.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CUDA_DRIVER_H
#define QUERN_RUNTIME_SRC_CUDA_DRIVER_H

#include "runtime/src/Support.h"
#include "runtime/src/cuda/DriverApi.h"

namespace quern::cuda {

/// A device as people see it.
struct DeviceInfo {
  char name[96];
  int ordinal, major, minor, multiprocessors, sharedPerBlock;
  /// The highest clock in kHz; 0 where the driver does not say.
  int clock;
  uint64_t memory;
  /// Of its memory: kHz, and bits of the bus; 0 where the driver does not say.
  int memoryClock, memoryBus;
  /// Whether its kernels are the sm_90a variants; else the sm_80 ones.
  bool isHopper() const { return major == 9 && minor == 0; }
};

/// The variant of PTX that a device takes, or null with a reason: the kernels
/// need compute capability 8.0.
const char *ptxVariant(const DeviceInfo &device, const char **reason);

/// Multiply-adds of 8-bit codes that the tensor cores can do in a second; 0
/// where the clock is not known.
double peakOf(const DeviceInfo &device);

/// Bytes that its memory can give or take in a second; 0 where that is not
/// known.
double bandwidthOf(const DeviceInfo &device);

class Driver {
public:
  Driver() = default;
  Driver(const Driver &) = delete;
  Driver &operator=(const Driver &) = delete;

  /// Loads and starts the driver. Errors: UNSUPPORTED, with the reason. The
  /// library stays loaded for good: it does not survive being unloaded.
  quern_status load(quern_error *error);

  /// 12040 for 12.4, and so on.
  int version() const { return driverVersion; }
  int deviceCount() const { return count; }
  quern_status describe(int ordinal, DeviceInfo &info,
                        quern_error *error) const;

  /// `doing: NAME: what the driver says about it`, as `status`.
  quern_status failed(quern_error *error, quern_status status,
                      const char *doing, Result result) const;

  DriverApi api;
  /// Whether it has all functions for graphs, and for copies of tiles.
  bool hasGraphs = false, hasTiles = false;

  /// Whether it can compile the variant sm_90a, which is PTX 8.4, and run it.
  bool takesWarpgroups() const { return hasTiles && driverVersion >= 12040; }
  /// As ptxVariant, but the portable one where the driver is too old for
  /// the best.
  const char *variantFor(const DeviceInfo &device, const char **reason) const {
    bool old = device.isHopper() && !takesWarpgroups();
    return old ? "sm_80" : ptxVariant(device, reason);
  }

private:
  quern_status resolve(void *library, quern_error *error);

  int driverVersion = 0, count = 0;
};

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_DRIVER_H
