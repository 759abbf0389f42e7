//===- DriverApi.h - the part of the CUDA driver that is used -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Prototypes written down here, since a user's machine has the driver but not
// its headers. Handles are opaque, results are CUresult: 0 is success.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CUDA_DRIVERAPI_H
#define QUERN_RUNTIME_SRC_CUDA_DRIVERAPI_H

#include <cstddef>
#include <cstdint>

namespace quern::cuda {

using Result = int;
using Device = int;
/// An address in the memory of the device.
using Address = unsigned long long;
using Context = struct ContextHandle *;
using Module = struct ModuleHandle *;
using Function = struct FunctionHandle *;
using Stream = struct StreamHandle *;
using Graph = struct GraphHandle *;
/// A graph that can be launched.
using GraphRun = struct GraphRunHandle *;

/// CUtensorMap: what a kernel needs to copy tiles; kernels take it as a whole.
/// The driver writes it at a multiple of 64.
struct TensorMap {
  uint64_t words[16];
};

/// Values of CUresult that are told apart.
enum : Result {
  ResultSuccess = 0,
  ResultOutOfMemory = 2,
  ResultNoDevice = 100,
  ResultInvalidPtx = 218,
  ResultUnsupportedPtx = 222,
};

/// Values of CUdevice_attribute.
enum : int {
  AttributeClock = 13,
  AttributeMultiprocessors = 16,
  AttributeMemoryClock = 36,
  AttributeMemoryBus = 37,
  AttributeMajor = 75,
  AttributeMinor = 76,
  AttributeSharedPerBlock = 97,
};

/// Values of CUjit_option.
enum : int {
  JitErrorLog = 5,
  JitErrorLogSize = 6,
  JitTargetFromContext = 8,
};

/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
inline constexpr int FunctionDynamicShared = 8;
/// CU_STREAM_NON_BLOCKING
inline constexpr unsigned StreamNonBlocking = 1;

/// CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_SWIZZLE_128B,
/// CU_TENSOR_MAP_L2_PROMOTION_L2_256B; 0 for no interleave and zeros outside.
inline constexpr int MapOfBytes = 0, MapSwizzle128 = 3, MapPromote256 = 3;

/// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
inline constexpr int CaptureThread = 1;

/// CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
inline constexpr int LaunchEarly = 6;

/// CUlaunchAttribute, of which `value` is used as an int.
struct alignas(8) LaunchAttribute {
  int id, unused;
  union {
    int value;
    char room[64];
  };
};

/// CUlaunchConfig
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// member, symbol, parameters
#define QUERN_CUDA_FUNCTIONS(F)                                                \
  F(init, "cuInit", (unsigned flags))                                          \
  F(driverVersion, "cuDriverGetVersion", (int *version))                       \
  F(errorName, "cuGetErrorName", (Result result, const char **name))           \
  F(errorString, "cuGetErrorString", (Result result, const char **text))       \
  F(deviceCount, "cuDeviceGetCount", (int *count))                             \
  F(device, "cuDeviceGet", (Device * device, int ordinal))                     \
  F(deviceName, "cuDeviceGetName", (char *name, int size, Device device))      \
  F(deviceMemory, "cuDeviceTotalMem_v2", (size_t *bytes, Device device))       \
  F(deviceAttribute, "cuDeviceGetAttribute",                                   \
    (int *value, int attribute, Device device))                                \
  F(retainContext, "cuDevicePrimaryCtxRetain",                                 \
    (Context * context, Device device))                                        \
  F(releaseContext, "cuDevicePrimaryCtxRelease_v2", (Device device))           \
  F(pushContext, "cuCtxPushCurrent_v2", (Context context))                     \
  F(popContext, "cuCtxPopCurrent_v2", (Context * context))                     \
  F(loadModule, "cuModuleLoadDataEx",                                          \
    (Module * module, const void *image, unsigned count, int *options,         \
     void **values))                                                           \
  F(unloadModule, "cuModuleUnload", (Module module))                           \
  F(function, "cuModuleGetFunction",                                           \
    (Function * function, Module module, const char *name))                    \
  F(setFunction, "cuFuncSetAttribute",                                         \
    (Function function, int attribute, int value))                             \
  F(allocate, "cuMemAlloc_v2", (Address * address, size_t bytes))              \
  F(release, "cuMemFree_v2", (Address address))                                \
  F(copyIn, "cuMemcpyHtoDAsync_v2",                                            \
    (Address to, const void *from, size_t bytes, Stream stream))               \
  F(copyOut, "cuMemcpyDtoHAsync_v2",                                           \
    (void *to, Address from, size_t bytes, Stream stream))                     \
  F(createStream, "cuStreamCreate", (Stream * stream, unsigned flags))         \
  F(destroyStream, "cuStreamDestroy_v2", (Stream stream))                      \
  F(synchronize, "cuStreamSynchronize", (Stream stream))                       \
  F(launch, "cuLaunchKernel",                                                  \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ,        \
     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,  \
     Stream stream, void **parameters, void **extra))

/// Those that old drivers lack, and that can be done without.
#define QUERN_CUDA_GRAPH_FUNCTIONS(F)                                          \
  F(beginCapture, "cuStreamBeginCapture_v2", (Stream stream, int mode))        \
  F(endCapture, "cuStreamEndCapture", (Stream stream, Graph * graph))          \
  F(makeGraphRun, "cuGraphInstantiateWithFlags",                               \
    (GraphRun * run, Graph graph, unsigned long long flags))                   \
  F(launchGraph, "cuGraphLaunch", (GraphRun run, Stream stream))               \
  F(destroyGraph, "cuGraphDestroy", (Graph graph))                             \
  F(destroyGraphRun, "cuGraphExecDestroy", (GraphRun run))

/// Of drivers for sm_90: both, or the portable kernels.
#define QUERN_CUDA_TILE_FUNCTIONS(F)                                           \
  F(encodeMap, "cuTensorMapEncodeTiled",                                       \
    (TensorMap * map, int type, uint32_t rank, void *address,                  \
     const uint64_t *extents, const uint64_t *strides, const uint32_t *box,    \
     const uint32_t *steps, int interleave, int swizzle, int promotion,        \
     int fill))                                                                \
  F(launchWith, "cuLaunchKernelEx",                                            \
    (const LaunchConfig *config, Function function, void **parameters,         \
     void **extra))

/// Entry points of the driver.
struct DriverApi {
#define QUERN_CUDA_MEMBER(member, symbol, parameters)                          \
  Result(*member) parameters = nullptr;
  QUERN_CUDA_FUNCTIONS(QUERN_CUDA_MEMBER)
  QUERN_CUDA_GRAPH_FUNCTIONS(QUERN_CUDA_MEMBER)
  QUERN_CUDA_TILE_FUNCTIONS(QUERN_CUDA_MEMBER)
#undef QUERN_CUDA_MEMBER
};

} // namespace quern::cuda

#endif // QUERN_RUNTIME_SRC_CUDA_DRIVERAPI_H
