//===- Device.cpp - kernels and memory on one device ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/Device.h"

#include "runtime/src/cuda/GraphCache.h"

namespace quern::cuda {

/// Makes the context current on this thread for as long as it lives.
class DeviceContext::Current {
public:
  explicit Current(const DeviceContext &owner)
      : api(owner.driver.api), result(api.pushContext(owner.context)) {}
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;
  ~Current() {
    Context old;
    if (result == ResultSuccess)
      api.popContext(&old);
  }

private:
  const DriverApi &api;

public:
  const Result result;
};

quern_status DeviceContext::check(Result result, const char *doing,
                                  quern_error *error) {
  if (result == ResultSuccess)
    return QUERN_OK;
  quern_status status = result == ResultOutOfMemory ? QUERN_ERROR_MEMORY
                                                    : QUERN_ERROR_UNSUPPORTED;
  return driver.failed(error, status, doing, result);
}

quern_status DeviceContext::open(int ordinal, quern_error *error) {
  if (quern_status status = driver.describe(ordinal, device, error))
    return status;
  const char *reason;
  if (!ptxVariant(device, &reason))
    return fail(error, QUERN_ERROR_UNSUPPORTED, "CUDA device %d, %s: %s",
                ordinal, device.name, reason);
  Result result = driver.api.device(&handle, ordinal);
  if (result == ResultSuccess)
    result = driver.api.retainContext(&context, handle);
  if (result != ResultSuccess)
    context = nullptr;
  if (quern_status status = check(result, "the CUDA context", error))
    return status;
  Current current(*this);
  result = current.result;
  if (result == ResultSuccess)
    result = driver.api.createStream(&stream, StreamNonBlocking);
  return check(result, "the CUDA stream", error);
}

DeviceContext::~DeviceContext() {
  if (!context)
    return;
  {
    Current current(*this);
    if (stream) {
      driver.api.synchronize(stream);
      driver.api.destroyStream(stream);
    }
  }
  driver.api.releaseContext(handle);
}

quern_status DeviceContext::load(const char *ptx, Module &module,
                                 quern_error *error) {
  Current current(*this);
  if (current.result != ResultSuccess)
    return check(current.result, "the CUDA context", error);
  char log[4096] = {};
  int options[] = {JitErrorLog, JitErrorLogSize, JitTargetFromContext};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1), nullptr};
  Result result = driver.api.loadModule(&module, ptx, 3, options, values);
  if (result == ResultSuccess)
    return QUERN_OK;
  module = nullptr;
  quern_error said = {};
  driver.failed(&said, QUERN_ERROR_UNSUPPORTED,
                "the CUDA driver cannot compile the kernels", result);
  // One sentence: the log's lines are joined.
  for (char *c = log; *c; ++c)
    if (*c == '\n' || *c == '\r')
      *c = c[1] ? ' ' : '\0';
  return fail(error, QUERN_ERROR_UNSUPPORTED, "%s%s%s", said.message,
              *log ? "; " : "", log);
}

void DeviceContext::unload(Module module) {
  Current current(*this);
  if (current.result == ResultSuccess)
    driver.api.unloadModule(module);
}

quern_status DeviceContext::find(Module module, const char *name,
                                 unsigned sharedBytes, Function &function,
                                 quern_error *error) {
  Current current(*this);
  if (int64_t(sharedBytes) > device.sharedPerBlock)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "kernel %s needs %u bytes of shared memory, %s has %d", name,
                sharedBytes, device.name, device.sharedPerBlock);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.function(&function, module, name);
  if (result == ResultSuccess)
    result = driver.api.setFunction(function, FunctionDynamicShared,
                                    int(sharedBytes));
  return check(result, name, error);
}

quern_status DeviceContext::encode(const TileSource &source, TensorMap &map,
                                   quern_error *error) {
  if (!driver.hasTiles)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "the CUDA driver is too old: it has no cuTensorMapEncodeTiled");
  const uint64_t extents[] = {source.columns, source.rows};
  const uint32_t box[] = {128, source.boxRows}, steps[] = {1, 1};
  alignas(64) TensorMap made = {};
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.encodeMap(
        &made, MapOfBytes, 2, reinterpret_cast<void *>(source.address), extents,
        &source.stride, box, steps, 0, MapSwizzle128, MapPromote256, 0);
  map = made;
  return check(result, "a tensor map", error);
}

quern_status DeviceContext::allocate(size_t bytes, Address &address,
                                     quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.allocate(&address, bytes);
  if (result == ResultOutOfMemory)
    return fail(error, QUERN_ERROR_MEMORY,
                "CUDA device %d, %s: out of memory for %llu bytes",
                device.ordinal, device.name, (unsigned long long)bytes);
  return check(result, "memory of the device", error);
}

void DeviceContext::release(Address address) {
  Current current(*this);
  if (current.result == ResultSuccess)
    driver.api.release(address);
}

quern_status DeviceContext::copyIn(Address to, const void *from, size_t bytes,
                                   quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.copyIn(to, from, bytes, stream);
  return check(result, "a copy to the device", error);
}

quern_status DeviceContext::copyOut(void *to, Address from, size_t bytes,
                                    quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.copyOut(to, from, bytes, stream);
  return check(result, "a copy from the device", error);
}

quern_status DeviceContext::launch(Function function, const Grid &grid,
                                   void **parameters, quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess && grid.early) {
    LaunchAttribute attribute = {};
    attribute.id = LaunchEarly;
    attribute.value = 1;
    LaunchConfig config = {grid.x, grid.y,           1,      grid.threads, 1,
                           1,      grid.sharedBytes, stream, &attribute,   1};
    result = driver.api.launchWith(&config, function, parameters, nullptr);
  } else if (result == ResultSuccess)
    result = driver.api.launch(function, grid.x, grid.y, 1, grid.threads, 1, 1,
                               grid.sharedBytes, stream, parameters, nullptr);
  return check(result, "the launch of a kernel", error);
}

quern_status DeviceContext::synchronize(quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.synchronize(stream);
  return check(result, "kernels on the device", error);
}

bool DeviceContext::record(RunPlan &plan, GraphRun &graph) {
  Current current(*this);
  const DriverApi &api = driver.api;
  if (current.result != ResultSuccess ||
      api.beginCapture(stream, CaptureThread) != ResultSuccess)
    return true;
  bool failed = plan.launch(*this, nullptr) != QUERN_OK;
  Graph made = nullptr;
  failed |= api.endCapture(stream, &made) != ResultSuccess || !made;
  failed = failed || api.makeGraphRun(&graph, made, 0) != ResultSuccess;
  if (made)
    api.destroyGraph(made);
  if (failed)
    graph = nullptr;
  return failed;
}

quern_status DeviceContext::launchGraph(GraphRun graph, quern_error *error) {
  Current current(*this);
  Result result = current.result;
  if (result == ResultSuccess)
    result = driver.api.launchGraph(graph, stream);
  return check(result, "the launch of a graph", error);
}

void DeviceContext::destroyGraph(GraphRun graph) {
  Current current(*this);
  if (current.result == ResultSuccess)
    driver.api.destroyGraphRun(graph);
}

} // namespace quern::cuda
