//===- Session.h - the memory and threads of one caller -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A session resolves a module's steps to kernels and addresses once, so that a
// run is a loop over steps. All memory is taken when capacity grows; running
// takes none.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_SESSION_H
#define QUERN_RUNTIME_SRC_SESSION_H

#include "runtime/src/Capture.h"
#include "runtime/src/Module.h"
#include "runtime/src/Pool.h"
#include "runtime/src/cuda/DeviceProgram.h"

#include <atomic>

namespace quern {

/// A step of the manifest with its kernel chosen.
struct PlannedStep {
  const manifest::Step *source;
  quern_kernel kernel;
  uint32_t tier;
  /// Operands, as a range of quern_session::operands.
  uint32_t firstOperand;
  /// Of the last run.
  uint64_t nanoseconds;
  int64_t chunks;

  /// Chunks of a run.
  int64_t chunkCount(int64_t tokens, int64_t sequences) const;
};

/// Token-packed inputs: what the caller gave, or what its texts became. Images
/// have offsets alone.
struct TokenInput {
  Array<int32_t> ids, types, offsets;
  Array<Span> spans;
  Array<uint8_t> truncated;

  void clear();
  uint32_t tokens() const {
    return offsets.empty() ? 0 : uint32_t(offsets[offsets.size() - 1]);
  }
  uint32_t sequences() const {
    return offsets.empty() ? 0 : uint32_t(offsets.size() - 1);
  }
};

} // namespace quern

/// The opaque type of quern.h.
struct quern_session {
  explicit quern_session(const quern_module &module) : module(module) {}
  ~quern_session() { quern::destroy(gpu); }

  /// Finds the device, starts threads and takes the first memory.
  quern_status start(quern_device device, uint32_t threads, quern_error *error);
  /// Chooses a kernel for each step, of tiers up to `cap` and the
  /// environment's cap.
  quern_status chooseKernels(uint32_t cap, quern_error *error);
  /// Makes room; see quern_session_reserve.
  quern_status reserve(uint64_t tokens, uint64_t sequences, quern_error *error);
  /// Tokenizes into `input`.
  quern_status tokenize(const quern_text *texts, uint32_t count,
                        uint32_t options, quern_error *error);
  /// Copies ids into `input` and checks them.
  quern_status takeIds(const int32_t *ids, const int32_t *types,
                       const int32_t *offsets, uint32_t sequences,
                       quern_error *error);
  /// Takes images, which must stay until they have run.
  quern_status takeImages(const float *images, uint32_t count,
                          quern_error *error);
  /// Runs `input`.
  quern_status run(quern_error *error);
  /// Describes the last input, and with `data` the last result.
  void describe(quern_output &output, bool data, bool texts) const;

  /// Rows of `unit` in the last run.
  uint64_t rowsOf(quern::manifest::Unit unit) const;

  const quern_module &module;
  /// A call that changes the session is under way; see Turn in SessionApi.cpp.
  std::atomic<bool> inUse{false};
  quern::Pool pool;
  quern::Array<quern::PlannedStep> steps;
  quern::TokenInput input;
  /// The images of a run of images.
  const float *pixels = nullptr;
  quern::Encoding encoding;

  /// Arena, inputs and output, one after the other.
  quern::Pages memory;
  quern::Pages scratch;
  uint64_t scratchStride = 0;
  uint64_t tokenCapacity = 0, sequenceCapacity = 0;
  /// By buffer index; null for taps while capture is off.
  quern::Array<char *> addresses;
  /// Of all steps, in order; PlannedStep::firstOperand points in.
  quern::Array<void *> operands;
  /// Dense output rows, where the output buffer's are padded.
  quern::Array<float> dense;
  const float *result = nullptr;

  /// Null where the CPU runs.
  quern::cuda::DeviceProgram *gpu = nullptr;
  /// Why the CPU runs although either would have done.
  quern_error whyCpu = {};
  bool mayFallBack = false;

  /// Longest encoding of a text; at most the model's limit.
  uint32_t lengthLimit = 0;

  bool timing = false;
  bool captureWanted = false;
  quern::Capture capture;
  quern_step_callback callback = nullptr;
  void *callbackContext = nullptr;
  quern_run_counters counters = {};

private:
  void resolveOperands();
  /// Lays the inputs out; rows beyond them, up to `size`, are valid, too.
  void fillInputs(const quern::RunSize &size);
  void fillPatches(const quern::manifest::Buffer &buffer, char *rows) const;
  quern_status refuseImages(quern_error *error) const;
  void packResult();
  void runSteps();
  quern_status openGpu(quern_error *error);
  quern_status runOnGpu(const quern::RunSize &launched, quern_error *error);
  quern_status checkRange(const char *what, uint64_t tokens, uint64_t sequences,
                          quern_error *error) const;
};

#endif // QUERN_RUNTIME_SRC_SESSION_H
