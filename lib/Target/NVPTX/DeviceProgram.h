//===- DeviceProgram.h - A program's launches on a GPU ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Gives every launch of a tk program a kernel of lib/Target/NVPTX: same
// buffers, same constants, same bytes. What a kernel computes is read from the
// attribute `form` of the CPU's kernel (lib/Tile/KernelForms.h). One PTX text
// for each variant holds the kernels of all launches, each once. In that of
// sm_90a products are those of warpgroups, where there are such.
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
  /// With the variant sm_90a, rows are up to 32, as getWgmmaRow orders them.
  bool warpgroup = false;
};

struct DeviceKernel {
  std::string name;
  int64_t threads = 0;
  /// Dynamic shared memory: sharedBytes + sharedPerKey * Keys.
  int64_t sharedBytes = 0, sharedPerKey = 0;
};

/// A matrix that a kernel copies in tiles: by index of the launch's parameters
/// its address, rows, columns, and bytes from row to row.
struct DeviceMap {
  uint8_t address = 0, rows = 0, columns = 0, stride = 0;
  /// Rows of a tile.
  uint16_t boxRows = 0;
};

/// Another kernel for a launch, of the same parameters.
struct DeviceChoice {
  uint32_t kernel = 0;
  DeviceCount gridX, gridY;
  /// Of tensor maps that it has in front of the parameters.
  std::vector<DeviceMap> maps = {};
  /// What a block takes, in units that are those of all choices of a launch.
  uint32_t cost = 1;
};

struct DeviceLaunch {
  /// The kernel of the launch before does this one's work, too: it is the same.
  bool joined = false;
  /// Which of the program's kernels.
  uint32_t kernel = 0;
  DeviceCount gridX, gridY;
  std::vector<DeviceParam> params;
  /// Makes more with each block; for runs that have enough blocks of it to keep
  /// the device busy.
  std::optional<DeviceChoice> large;
  /// With the variant sm_90a, in place of both: kernels of warpgroups, of which
  /// a run takes the one that costs least.
  std::vector<DeviceChoice> warpgroup;
};

/// The kernels as PTX.
struct DeviceText {
  PtxVariant variant = PtxVariant::Sm80;
  std::string ptx;
};

struct DeviceProgram {
  std::vector<DeviceKernel> kernels;
  std::vector<DeviceWeights> weights;
  /// Constants that only GPUs need.
  std::vector<std::vector<int32_t>> tables;
  /// One for each tk.launch, in order.
  std::vector<DeviceLaunch> launches;
  std::vector<DeviceText> code;
};

/// Makes the program of an L3 module, with code for these variants. An error
/// names the first step for which there is no kernel, and why.
Expected<DeviceProgram> buildDeviceProgram(mlir::ModuleOp tiles,
                                           llvm::ArrayRef<PtxVariant> variants);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_DEVICEPROGRAM_H
