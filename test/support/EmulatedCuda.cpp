//===- EmulatedCuda.cpp - a CUDA driver whose device is the emulator ------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A library that the runtime takes for libcuda: it compiles PTX with the parser
// of test/support/ptx and runs it on the CPU. One device of capability 8.0, or
// of EMULATED_CUDA_CAPABILITY (such as 90), and a driver of version 12040, or
// of EMULATED_CUDA_VERSION. Its memory is EMULATED_CUDA_MEMORY bytes, if that
// is set; its clock EMULATED_CUDA_CLOCK kHz, or not known; it does not compile
// text for EMULATED_CUDA_REFUSES, such as sm_90a. What the emulator finds wrong
// is what the driver says of CUDA_ERROR_LAUNCH_FAILED.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/DriverApi.h"
#include "test/support/ptx/Machine.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

using namespace quern;

namespace {

enum : int {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  InvalidPtx = 218,
  NotFound = 500,
  LaunchFailed = 719
};

struct LoadedModule {
  ptx::Program program;
};
struct LoadedFunction {
  LoadedModule *module;
  const ptx::Kernel *kernel;
};

/// What the emulator writes into the 128 bytes of a tensor map.
constexpr uint64_t kMapMagic = 0x70616d20726f736e;
struct EncodedMap {
  uint64_t magic = kMapMagic;
  ptx::TensorMap map;
};
static_assert(sizeof(EncodedMap) <= 128, "a tensor map has room for it");

/// A launch that a graph repeats.
struct RecordedLaunch {
  LoadedFunction *function;
  ptx::Launch launch;
  std::vector<uint64_t> arguments;
  /// Tensor maps in front of them.
  std::vector<ptx::TensorMap> maps;
};
using Graph = std::vector<RecordedLaunch>;

/// Allocations, with what they may take together.
struct Device {
  ptx::Machine machine;
  std::map<uint64_t, std::vector<uint8_t>> memory;
  size_t used = 0;
  std::deque<LoadedFunction> functions;
  std::string fault;
  /// The graph that launches go to while the stream is captured.
  std::unique_ptr<Graph> capture;
  size_t graphs = 0, graphLaunches = 0, earlyLaunches = 0;
};

Device &device() {
  static Device one;
  return one;
}

/// Bytes of the device as the host sees them, or null.
uint8_t *bytesAt(unsigned long long address, size_t bytes) {
  auto after = device().memory.upper_bound(address);
  if (after == device().memory.begin())
    return nullptr;
  auto &[base, data] = *std::prev(after);
  if (address - base > data.size() || data.size() - (address - base) < bytes)
    return nullptr;
  return data.data() + (address - base);
}

int runNow(const RecordedLaunch &recorded) {
  const std::string &name = recorded.function->kernel->name;
  std::vector<uint64_t> arguments;
  for (const ptx::TensorMap &map : recorded.maps)
    arguments.push_back(device().machine.addMap(map));
  arguments.insert(arguments.end(), recorded.arguments.begin(),
                   recorded.arguments.end());
  Error error = device().machine.run(recorded.function->module->program, name,
                                     recorded.launch, arguments);
  device().machine.forgetMaps();
  if (!error)
    return Success;
  device().fault = name + ": " + error.message();
  return LaunchFailed;
}

} // namespace

extern "C" {

int cuInit(unsigned) { return Success; }
int cuDriverGetVersion(int *version) {
  const char *old = std::getenv("EMULATED_CUDA_VERSION");
  *version = old ? std::atoi(old) : 12040;
  return Success;
}
int cuGetErrorName(int result, const char **name) {
  *name = result == OutOfMemory    ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == InvalidPtx   ? "CUDA_ERROR_INVALID_PTX"
          : result == NotFound     ? "CUDA_ERROR_NOT_FOUND"
          : result == LaunchFailed ? "CUDA_ERROR_LAUNCH_FAILED"
                                   : "CUDA_ERROR_INVALID_VALUE";
  return Success;
}
int cuGetErrorString(int result, const char **text) {
  *text = result == LaunchFailed ? device().fault.c_str() : "emulated";
  return Success;
}
int cuDeviceGetCount(int *count) {
  *count = 1;
  return Success;
}
int cuDeviceGet(int *handle, int ordinal) {
  *handle = ordinal;
  return ordinal == 0 ? Success : InvalidValue;
}
int cuDeviceGetName(char *name, int size, int) {
  std::strncpy(name, "PTX emulator", size_t(size));
  return Success;
}
int cuDeviceTotalMem_v2(size_t *bytes, int) {
  const char *limit = std::getenv("EMULATED_CUDA_MEMORY");
  *bytes = limit ? size_t(std::atoll(limit)) : size_t(1) << 30;
  return Success;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
  const char *capability = std::getenv("EMULATED_CUDA_CAPABILITY");
  int version = capability ? std::atoi(capability) : 80;
  // Its memory gives 32 MB a second.
  const char *clock = std::getenv("EMULATED_CUDA_CLOCK");
  *value = attribute == 13   ? (clock ? std::atoi(clock) : 0)
           : attribute == 16 ? 1
           : attribute == 36 ? 1000
           : attribute == 37 ? 128
           : attribute == 75 ? version / 10
           : attribute == 76 ? version % 10
           : attribute == 97 ? (version == 90 ? 232448 : 166912)
                             : 0;
  return Success;
}
int cuDevicePrimaryCtxRetain(void **context, int) {
  *context = &device();
  return Success;
}
int cuDevicePrimaryCtxRelease_v2(int) { return Success; }
int cuCtxPushCurrent_v2(void *) { return Success; }
int cuCtxPopCurrent_v2(void **context) {
  *context = &device();
  return Success;
}

int cuModuleLoadDataEx(void **module, const void *image, unsigned count,
                       int *options, void **values) {
  auto program = ptx::parseProgram(static_cast<const char *>(image));
  int major = 0, minor = 0;
  cuDeviceGetAttribute(&major, 75, 0);
  cuDeviceGetAttribute(&minor, 76, 0);
  // A variant that ends with an `a` is for one generation alone.
  if (program && program->target == "sm_90a" && (major != 9 || minor != 0))
    program = Error("sm_90a: the device is another one");
  const char *refused = std::getenv("EMULATED_CUDA_REFUSES");
  if (program && refused && program->target == refused)
    program = Error("refused");
  if (!program) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == 5)
        std::strncpy(static_cast<char *>(values[i]), program.message().c_str(),
                     1024);
    return InvalidPtx;
  }
  *module = new LoadedModule{std::move(*program)};
  return Success;
}
int cuModuleUnload(void *module) {
  delete static_cast<LoadedModule *>(module);
  return Success;
}
int cuModuleGetFunction(void **function, void *handle, const char *name) {
  auto *module = static_cast<LoadedModule *>(handle);
  auto found = module->program.kernels.find(name);
  if (found == module->program.kernels.end())
    return NotFound;
  device().functions.push_back({module, &found->second});
  *function = &device().functions.back();
  return Success;
}
int cuFuncSetAttribute(void *, int, int) { return Success; }

int cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  size_t total;
  cuDeviceTotalMem_v2(&total, 0);
  if (bytes == 0)
    return InvalidValue;
  if (device().used + bytes > total)
    return OutOfMemory;
  // As memory that nobody has written yet.
  std::vector<uint8_t> data(bytes, 0xcd);
  *address = device().machine.memory.lend("device memory", data.data(), bytes);
  device().memory.emplace(*address, std::move(data));
  device().used += bytes;
  return Success;
}
int cuMemFree_v2(unsigned long long address) {
  auto found = device().memory.find(address);
  if (found == device().memory.end() ||
      !device().machine.memory.remove(address))
    return InvalidValue;
  device().used -= found->second.size();
  device().memory.erase(found);
  return Success;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes,
                         void *) {
  uint8_t *place = bytesAt(to, bytes);
  if (!place)
    return InvalidValue;
  std::memcpy(place, from, bytes);
  return Success;
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes,
                         void *) {
  const uint8_t *place = bytesAt(from, bytes);
  if (!place)
    return InvalidValue;
  std::memcpy(to, place, bytes);
  return Success;
}
int cuStreamCreate(void **stream, unsigned) {
  *stream = &device();
  return Success;
}
int cuStreamDestroy_v2(void *) { return Success; }
int cuStreamSynchronize(void *) { return Success; }

static int launchKernel(void *handle, unsigned gridX, unsigned gridY,
                        unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes,
                        void **parameters, bool early) {
  auto *function = static_cast<LoadedFunction *>(handle);
  const ptx::Kernel &kernel = *function->kernel;
  if (gridX == 0 || gridY == 0 || gridZ != 1 || blockY != 1 || blockZ != 1 ||
      int(blockX) != kernel.threads)
    return InvalidValue;
  std::vector<uint64_t> arguments;
  std::vector<ptx::TensorMap> maps;
  for (size_t i = 0; i != kernel.params.size(); ++i) {
    if (kernel.params[i].bytes == 128) {
      EncodedMap encoded;
      std::memcpy(&encoded, parameters[i], sizeof encoded);
      if (encoded.magic != kMapMagic || !arguments.empty())
        return InvalidValue;
      maps.push_back(encoded.map);
      continue;
    }
    uint64_t value = 0;
    std::memcpy(&value, parameters[i], size_t(kernel.params[i].type.bytes()));
    arguments.push_back(value);
  }
  RecordedLaunch now = {
      function, {gridX, gridY, sharedBytes, early}, arguments, maps};
  if (!device().capture)
    return runNow(now);
  device().capture->push_back(std::move(now));
  return Success;
}

int cuLaunchKernel(void *handle, unsigned gridX, unsigned gridY, unsigned gridZ,
                   unsigned blockX, unsigned blockY, unsigned blockZ,
                   unsigned sharedBytes, void *, void **parameters, void **) {
  return launchKernel(handle, gridX, gridY, gridZ, blockX, blockY, blockZ,
                      sharedBytes, parameters, false);
}
int cuLaunchKernelEx(const cuda::LaunchConfig *c, void *handle,
                     void **parameters, void **) {
  if (c->attributeCount != 1 || c->attributes->id != cuda::LaunchEarly)
    return InvalidValue;
  ++device().earlyLaunches;
  return launchKernel(handle, c->gridX, c->gridY, c->gridZ, c->blockX,
                      c->blockY, c->blockZ, c->sharedBytes, parameters,
                      c->attributes->value == 1);
}

int cuTensorMapEncodeTiled(void *to, int type, uint32_t rank, void *address,
                           const uint64_t *extents, const uint64_t *strides,
                           const uint32_t *box, const uint32_t *steps,
                           int interleave, int swizzle, int, int fill) {
  EncodedMap encoded;
  ptx::TensorMap &map = encoded.map;
  if (reinterpret_cast<uintptr_t>(to) % 64 || type != 0 || interleave != 0 ||
      fill != 0 || rank < 1 || rank > ptx::TensorMap::kMostDimensions)
    return InvalidValue;
  map.address = reinterpret_cast<uint64_t>(address);
  map.rank = rank;
  map.swizzle = uint32_t(swizzle);
  for (uint32_t i = 0; i != rank; ++i) {
    if (steps[i] != 1)
      return InvalidValue;
    map.extents[i] = extents[i];
    map.box[i] = box[i];
    if (i + 1 != rank)
      map.strides[i] = strides[i];
  }
  if (!map.check().empty())
    return InvalidValue;
  std::memset(to, 0, 128);
  std::memcpy(to, &encoded, sizeof encoded);
  return Success;
}

int cuStreamBeginCapture_v2(void *, int mode) {
  if (device().capture || mode != 1)
    return InvalidValue;
  device().capture = std::make_unique<Graph>();
  return Success;
}
int cuStreamEndCapture(void *, void **graph) {
  *graph = device().capture.release();
  return *graph ? Success : InvalidValue;
}
int cuGraphInstantiateWithFlags(void **run, void *graph, unsigned long long) {
  *run = new Graph(*static_cast<Graph *>(graph));
  ++device().graphs;
  return Success;
}
int cuGraphLaunch(void *run, void *) {
  ++device().graphLaunches;
  for (const RecordedLaunch &each : *static_cast<Graph *>(run))
    if (int result = runNow(each))
      return result;
  return Success;
}
int cuGraphDestroy(void *graph) {
  delete static_cast<Graph *>(graph);
  return Success;
}
int cuGraphExecDestroy(void *run) {
  delete static_cast<Graph *>(run);
  return Success;
}

/// Not of the driver: graphs made so far.
size_t emulatedCudaGraphs() { return device().graphs; }

/// Not of the driver: launches of graphs so far.
size_t emulatedCudaGraphLaunches() { return device().graphLaunches; }

/// Not of the driver: launches so far that need not wait for others.
size_t emulatedCudaEarlyLaunches() { return device().earlyLaunches; }

/// Not of the driver: bytes that are allocated.
size_t emulatedCudaMemory() { return device().used; }

} // extern "C"
