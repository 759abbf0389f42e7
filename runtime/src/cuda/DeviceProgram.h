//===- DeviceProgram.h - a module on a GPU --------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The steps of a module as launches on a device. Its memory there mirrors that
// of a session: the same buffers at the same distances, so that planning stays
// in one place. Inputs go in, the output comes back; with capture on, so does
// every site.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CUDA_DEVICEPROGRAM_H
#define QUERN_RUNTIME_SRC_CUDA_DEVICEPROGRAM_H

#include "runtime/src/Capture.h"
#include "runtime/src/Module.h"
#include "runtime/src/cuda/GraphCache.h"

namespace quern::cuda {

/// A run as the session has laid it out in memory of the host.
struct HostRun {
  /// By buffer index; those but taps lie in `memory`.
  const Array<char *> &addresses;
  const char *memory;
  RunSize size;
  /// What it is launched as: its own size, or that of its bucket. The inputs
  /// have as many rows.
  RunSize launched;
  /// Of what is launched, the most that a sequence may have.
  uint32_t longest;
  /// Set while sites are captured.
  Capture *capture;
};

class DeviceProgram {
public:
  explicit DeviceProgram(const quern_module &module)
      : module(module), context(driver), graphs(context) {}
  DeviceProgram(const DeviceProgram &) = delete;
  DeviceProgram &operator=(const DeviceProgram &) = delete;
  ~DeviceProgram();

  /// Finds a device, has its driver compile the kernels and gives it the
  /// constants. Errors: UNSUPPORTED (no code in the module, no driver, no
  /// device, too old a device, a failed compilation), MEMORY.
  quern_status open(quern_error *error);
  const DeviceInfo &info() const { return context.info(); }

  /// Takes as much memory as the session's own. On failure the old memory
  /// stays. Errors: MEMORY.
  quern_status reserve(uint64_t bytes, quern_error *error);

  /// Copies the inputs to the device.
  quern_status begin(const HostRun &run, quern_error *error);
  /// Launches a step; with capture on, waits for it and brings back its sites.
  quern_status launch(const HostRun &run, uint32_t step, quern_error *error);
  /// Launches all steps, as a graph where their bucket has come before.
  quern_status launchAll(const HostRun &run, quern_error *error);
  /// Waits for what was launched.
  quern_status wait(quern_error *error) { return context.synchronize(error); }
  /// Waits, and brings back the output.
  quern_status end(const HostRun &run, quern_error *error);

  /// Whether a site of this buffer is there after a run: the kernels of a GPU
  /// write fewer taps.
  bool keeps(uint32_t buffer) const;
  /// The name of the kernel that a step had in the last run; "" if that of the
  /// step before did it.
  const char *kernelOf(uint32_t step) const;
  /// What a step must read and write at least in a run of this size: the rows
  /// of its buffers once, and the weights and constants of a product once.
  uint64_t bytesOf(uint32_t step, const RunSize &size) const;
  /// The variant of the kernels that was taken: "sm_80" or "sm_90a".
  const char *variant() const { return warpgroups ? "sm_90a" : "sm_80"; }
  /// Why those of sm_90a were not, on a device that has them; "" otherwise.
  const char *whyPortable() const { return refusal.message; }

private:
  const manifest::Device &table() const { return *module.manifest->device(); }
  /// PTX of a variant, or null.
  const char *codeOf(const char *variant) const;
  quern_status compile(quern_error *error);
  quern_status findKernels(quern_error *error);
  quern_status findKernel(uint32_t index, quern_error *error);
  quern_status upload(quern_error *error);
  quern_status copyBack(const HostRun &run, uint32_t buffer,
                        quern_error *error);
  /// Appends the launch of a step.
  quern_status planStep(const HostRun &run, uint32_t step, quern_error *error);
  /// Where there are several kernels for a step, which one it is to be.
  const manifest::DeviceChoice &cheapest(const manifest::DeviceStep &step,
                                         const HostRun &run) const;
  quern_status addMaps(const HostRun &run, uint32_t step,
                       const manifest::DeviceChoice &choice,
                       quern_error *error);
  TileSource tilesOf(const HostRun &run, const manifest::DeviceStep &step,
                     const manifest::DeviceMap &map) const;
  Address addressOf(const HostRun &run, uint32_t buffer) const;
  uint64_t valueOf(const manifest::DeviceParam &param,
                   const HostRun &run) const;

  const quern_module &module;
  Driver driver;
  DeviceContext context;
  GraphCache graphs;
  RunPlan plan;
  Module code = nullptr;
  /// The kernels are those of sm_90a.
  bool warpgroups = false;
  quern_error refusal = {};
  /// By kernel; null for those that this variant has no use for.
  Array<Function> functions;
  /// By step, the kernel of the last run.
  Array<uint32_t> lastKernels;
  /// Tensor maps as they were last, by step and map: the driver takes its time.
  struct KnownMap {
    TileSource source;
    TensorMap map;
  };
  Array<KnownMap> maps;
  /// All constants; then by index of the manifest's data and weights.
  Address constants = 0;
  Array<Address> data, weights, tables;
  Address memory = 0, taps = 0;
  uint64_t memoryBytes = 0, tapBytes = 0;
};

/// Rows and bytes of weights that the device has row by row; see unpackWeights.
uint64_t weightRows(const manifest::DeviceWeights &weights, bool warpgroup);
uint64_t weightBytes(const manifest::DeviceWeights &weights, bool warpgroup);

/// Lays packed weights out row by row, [n up to 16][k up to 64] bytes; with
/// `warpgroup`, [n up to 32], in the order that products of warpgroups want.
void unpackWeights(const manifest::DeviceWeights &weights, const char *packed,
                   uint64_t packedBytes, char *rows, bool warpgroup = false);

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_DEVICEPROGRAM_H
