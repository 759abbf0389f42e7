//===- Driver.cpp - the CUDA driver, where there is one -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/Driver.h"

#include <cstdlib>
#include <dlfcn.h>

namespace quern::cuda {

const char *ptxVariant(const DeviceInfo &device, const char **reason) {
  if (reason)
    *reason = nullptr;
  if (device.isHopper())
    return "sm_90a";
  if (device.major >= 8)
    return "sm_80";
  if (reason)
    *reason = "it is too old: the kernels need compute capability 8.0";
  return nullptr;
}

quern_status Driver::failed(quern_error *error, quern_status status,
                            const char *doing, Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (api.errorName)
    api.errorName(result, &name);
  if (api.errorString)
    api.errorString(result, &text);
  if (!name || !text)
    return fail(error, status, "%s: the CUDA driver returns %d", doing,
                int(result));
  return fail(error, status, "%s: %s: %s", doing, name, text);
}

quern_status Driver::resolve(void *library, quern_error *error) {
#define QUERN_CUDA_RESOLVE(member, symbol, parameters)                         \
  *reinterpret_cast<void **>(&api.member) = dlsym(library, symbol);            \
  if (!api.member)                                                             \
    return fail(error, QUERN_ERROR_UNSUPPORTED,                                \
                "the CUDA driver is too old: it has no %s", symbol);
  QUERN_CUDA_FUNCTIONS(QUERN_CUDA_RESOLVE)
#undef QUERN_CUDA_RESOLVE
  hasGraphs = true;
#define QUERN_CUDA_FIND(member, symbol, parameters)                            \
  *reinterpret_cast<void **>(&api.member) = dlsym(library, symbol);            \
  hasGraphs &= api.member != nullptr;
  QUERN_CUDA_GRAPH_FUNCTIONS(QUERN_CUDA_FIND)
#undef QUERN_CUDA_FIND
  hasTiles = true;
#define QUERN_CUDA_FIND(member, symbol, parameters)                            \
  *reinterpret_cast<void **>(&api.member) = dlsym(library, symbol);            \
  hasTiles &= api.member != nullptr;
  QUERN_CUDA_TILE_FUNCTIONS(QUERN_CUDA_FIND)
#undef QUERN_CUDA_FIND
  return QUERN_OK;
}

quern_status Driver::load(quern_error *error) {
  const char *name = std::getenv("QUERN_CUDA_DRIVER");
  if (!name || !*name)
    name = "libcuda.so.1";
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fail(error, QUERN_ERROR_UNSUPPORTED, "no CUDA driver: %s",
                dlerror());
  if (quern_status status = resolve(library, error))
    return status;
  Result result = api.init(0);
  if (result == ResultNoDevice)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "the CUDA driver finds no device");
  if (result != ResultSuccess)
    return failed(error, QUERN_ERROR_UNSUPPORTED,
                  "the CUDA driver does not start", result);
  if ((result = api.driverVersion(&driverVersion)) != ResultSuccess ||
      (result = api.deviceCount(&count)) != ResultSuccess)
    return failed(error, QUERN_ERROR_UNSUPPORTED,
                  "the CUDA driver does not answer", result);
  if (count == 0)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "the CUDA driver finds no device");
  return QUERN_OK;
}

double peakOf(const DeviceInfo &device) {
  // Of one multiprocessor and clock: data-centre cards, then all others.
  double each = device.major == 8 && device.minor == 0 ? 2048
                : device.major == 9                    ? 4096
                : device.major == 10                   ? 8192
                                                       : 1024;
  return each * device.multiprocessors * device.clock * 1e3;
}

double bandwidthOf(const DeviceInfo &device) {
  // Two transfers to a clock, in all kinds of memory that they have.
  return 2.0 * device.memoryClock * 1e3 * device.memoryBus / 8;
}

quern_status Driver::describe(int ordinal, DeviceInfo &info,
                              quern_error *error) const {
  if (ordinal < 0 || ordinal >= count)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "there is no CUDA device %d; the last one is %d", ordinal,
                count - 1);
  info = {};
  info.ordinal = ordinal;
  Device device;
  size_t memory = 0;
  Result result = api.device(&device, ordinal);
  if (result == ResultSuccess)
    result = api.deviceName(info.name, int(sizeof(info.name)), device);
  if (result == ResultSuccess)
    result = api.deviceMemory(&memory, device);
  info.memory = memory;
  const struct {
    int attribute, *place;
  } attributes[] = {{AttributeMajor, &info.major},
                    {AttributeMinor, &info.minor},
                    {AttributeMultiprocessors, &info.multiprocessors},
                    {AttributeSharedPerBlock, &info.sharedPerBlock}};
  for (auto [attribute, place] : attributes)
    if (result == ResultSuccess)
      result = api.deviceAttribute(place, attribute, device);
  const struct {
    int attribute, *place;
  } unsure[] = {{AttributeClock, &info.clock},
                {AttributeMemoryClock, &info.memoryClock},
                {AttributeMemoryBus, &info.memoryBus}};
  for (auto [attribute, place] : unsure)
    if (result == ResultSuccess &&
        api.deviceAttribute(place, attribute, device) != ResultSuccess)
      *place = 0;
  info.name[sizeof(info.name) - 1] = '\0';
  if (result != ResultSuccess)
    return failed(error, QUERN_ERROR_UNSUPPORTED,
                  "the CUDA driver does not describe its device", result);
  return QUERN_OK;
}

} // namespace quern::cuda
