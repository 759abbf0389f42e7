//===- DeviceProgram.h - A program's launches on a GPU ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Gives every launch of a tk program a kernel of lib/Target/NVPTX: same
// buffers, same constants, same bytes. What a kernel computes is read from the
// attribute `form` of the CPU's kernel (lib/Tile/KernelForms.h). One PTX text
// holds the kernels of all launches, each once.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_DEVICEPROGRAM_H
#define QUERN_LIB_TARGET_NVPTX_DEVICEPROGRAM_H

#include "lib/Target/NVPTX/Ptx.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::nvptx {

/// What a number of blocks or rows is counted from. Longest is the length of
/// the longest sequence of a run.
enum class CountOf { One, Tokens, Sequences, Longest };

/// ceil(base / divide) * multiply.
struct DeviceCount {
  CountOf base = CountOf::One;
  int64_t divide = 1, multiply = 1;
};

/// What a parameter of a kernel is.
struct DeviceParam {
  enum Kind {
    /// The address of a tk.buffer or tk.data.
    Buffer,
    Data,
    /// The address of a tap, or of anything while there are no taps.
    Tap,
    /// The address of weights by rows, see DeviceWeights.
    Weights,
    /// An i32, or the bits of an f32.
    Number,
    /// Tokens or sequences of the run.
    Tokens,
    Sequences,
    /// Length of the longest sequence, rounded up to 32.
    Keys,
    /// 1 if taps are to be written, else 0.
    Taps,
    /// The address of one of the program's tables.
    Table
  } kind = Number;
  /// Of a buffer, tap or constant.
  std::string symbol;
  /// A number, or which of the program's weights or tables.
  uint32_t value = 0;
};

/// Packed weights (packGemmWeights of lib/Tile/GemmWeights.h) that the device
/// has row by row: [n up to 16][k up to 64], a byte each.
struct DeviceWeights {
  std::string symbol;
  int64_t n = 0, k = 0, bits = 8;
  /// If not empty: for each four columns, which four of the packed ones they
  /// are, or -1 for zeros.
  std::vector<int32_t> blocks;
};

struct DeviceKernel {
  std::string name;
  int64_t threads = 0;
  /// Dynamic shared memory: sharedBytes + sharedPerKey * Keys.
  int64_t sharedBytes = 0, sharedPerKey = 0;
};

/// Another kernel for a launch, of the same parameters.
struct DeviceChoice {
  uint32_t kernel = 0;
  DeviceCount gridX, gridY;
};

struct DeviceLaunch {
  /// Which of the program's kernels.
  uint32_t kernel = 0;
  DeviceCount gridX, gridY;
  std::vector<DeviceParam> params;
  /// Makes more with each block; for runs that have enough blocks of it to keep
  /// the device busy.
  std::optional<DeviceChoice> large;
};

struct DeviceProgram {
  std::vector<DeviceKernel> kernels;
  std::vector<DeviceWeights> weights;
  /// Constants that only GPUs need.
  std::vector<std::vector<int32_t>> tables;
  /// One for each tk.launch, in order.
  std::vector<DeviceLaunch> launches;
  std::string ptx;
};

/// Makes the program of an L3 module. An error names the first step for which
/// there is no kernel, and why.
Expected<DeviceProgram> buildDeviceProgram(mlir::ModuleOp tiles,
                                           PtxVariant variant);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_DEVICEPROGRAM_H
