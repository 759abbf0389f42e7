//===- DeviceCheck.cpp - is a manifest's GPU part sound? ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/DeviceCheck.h"

#include "runtime/src/CheckReport.h"
#include "runtime/src/ManifestCheck.h"

namespace quern {

using namespace quern::manifest;

namespace {

/// What CUDA allows a block, and more shared memory than any device has.
constexpr uint64_t maxThreads = 1024, maxShared = uint64_t(1) << 20;
/// Blocks for one unit, and sides of a weight matrix.
constexpr uint64_t maxBlocks = uint64_t(1) << 16, maxSide = uint64_t(1) << 20;
constexpr uint64_t maxCost = uint64_t(1) << 24;

class DeviceChecker : CheckReport {
public:
  DeviceChecker(const char *path, const Manifest &manifest, quern_error *error)
      : CheckReport(path, manifest, error), device(*manifest.device()) {}

  quern_status check() {
    if (quern_status status = checkCode())
      return status;
    if (quern_status status = checkKernels())
      return status;
    if (quern_status status = checkWeights())
      return status;
    return checkSteps();
  }

private:
  quern_status bad(const char *what, uint64_t index, const char *field,
                   uint64_t found, uint64_t least, uint64_t most) {
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: manifest: GPU: %s %" PRIu64 ": %s: found %" PRIu64
                ", expected %" PRIu64 " to %" PRIu64,
                path, what, index, field, found, least, most);
  }

  quern_status checkCode() {
    if (device.code()->size() == 0)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: manifest: GPU: found no code, expected PTX", path);
    for (const DeviceCode *code : *device.code())
      if (strlen(code->ptx()->c_str()) != code->ptx()->size() ||
          code->ptx()->size() == 0)
        return fail(error, QUERN_ERROR_FORMAT,
                    "%s: manifest: GPU: code for %s: found %zu characters of "
                    "%u, expected text",
                    path, code->variant()->c_str(),
                    strlen(code->ptx()->c_str()), code->ptx()->size());
    return QUERN_OK;
  }

  quern_status checkKernels() {
    uint64_t longest = roundUp(manifest.model()->max_length(), 32);
    for (uint32_t i = 0; i < device.kernels()->size(); ++i) {
      const DeviceKernel &kernel = *device.kernels()->Get(i);
      if (kernel.threads() < 1 || kernel.threads() > maxThreads)
        return bad("kernel", i, "threads", kernel.threads(), 1, maxThreads);
      uint64_t shared =
          kernel.shared_bytes() + kernel.shared_per_key() * longest;
      if (shared > maxShared)
        return bad("kernel", i, "bytes of shared memory", shared, 0, maxShared);
    }
    return QUERN_OK;
  }

  quern_status checkWeights() {
    for (uint32_t i = 0; i < lengthOf(device.weights()); ++i) {
      const DeviceWeights &weights = *device.weights()->Get(i);
      uint64_t count = manifest.data()->size();
      if (weights.data() >= count)
        return bad("weights", i, "constant", weights.data(), 0, count - 1);
      for (uint64_t side : {weights.n(), weights.k()})
        if (side < 1 || side > maxSide)
          return bad("weights", i, "side", side, 1, maxSide);
      if (weights.bits() != 2 && weights.bits() != 4 && weights.bits() != 8)
        return fail(error, QUERN_ERROR_FORMAT,
                    "%s: manifest: GPU: weights %u: bits: found %u, expected "
                    "2, 4 or 8",
                    path, i, weights.bits());
      uint64_t found = manifest.data()->Get(weights.data())->bytes();
      uint64_t panels = roundUp(weights.n(), 16) / 16;
      uint64_t bytes =
          panels * 16 * roundUp(weights.k(), 64) * weights.bits() / 8;
      if (lengthOf(weights.blocks())) {
        if (quern_status status = checkBlocks(i, weights))
          return status;
        // Whole panels of any depth.
        bytes = found / (panels * 64) * (panels * 64);
      }
      if (found != bytes)
        return bad("weights", i, "bytes", found, bytes, bytes);
    }
    return QUERN_OK;
  }

  quern_status checkBlocks(uint32_t index, const DeviceWeights &weights) {
    uint64_t count = weights.blocks()->size();
    if (weights.k() % 64 != 0 || count != weights.k() / 4)
      return bad("weights", index, "blocks of four columns", count,
                 roundUp(weights.k(), 64) / 4, roundUp(weights.k(), 64) / 4);
    uint64_t perPanel = manifest.data()->Get(weights.data())->bytes() * 8 /
                        weights.bits() / 64 / (roundUp(weights.n(), 16) / 16);
    for (int32_t block : *weights.blocks())
      if (block < -1 || (block >= 0 && uint64_t(block) >= perPanel))
        return bad("weights", index, "block", uint64_t(block), 0,
                   perPanel ? perPanel - 1 : 0);
    return QUERN_OK;
  }

  quern_status checkSteps() {
    uint32_t count = manifest.steps()->size();
    if (device.steps()->size() != count)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: manifest: GPU: steps: found %u, expected %u", path,
                  device.steps()->size(), count);
    for (uint32_t i = 0; i < count; ++i) {
      const DeviceStep &step = *device.steps()->Get(i);
      uint32_t kernels = device.kernels()->size();
      if (i == 0 && step.joined())
        return bad("step", i, "joined", 1, 0, 0);
      if (step.kernel() >= kernels)
        return bad("step", i, "kernel", step.kernel(), 0, kernels - 1);
      for (const DeviceCount *blocks : {step.x(), step.y()})
        if (quern_status status = checkCount(i, blocks))
          return status;
      if (const DeviceChoice *large = step.large()) {
        if (large->kernel() >= kernels)
          return bad("step", i, "large kernel", large->kernel(), 0,
                     kernels - 1);
        for (const DeviceCount *blocks : {large->x(), large->y()})
          if (quern_status status = checkCount(i, blocks))
            return status;
      }
      for (uint32_t c = 0; c < lengthOf(step.warpgroup()); ++c)
        if (quern_status status = checkChoice(i, *step.warpgroup()->Get(c)))
          return status;
      if (lengthOf(step.params()) < 1 ||
          lengthOf(step.params()) > kMostDeviceParams)
        return bad("step", i, "parameters", lengthOf(step.params()), 1,
                   kMostDeviceParams);
      for (const DeviceParam *param : *step.params())
        if (quern_status status = checkParam(i, *param))
          return status;
      for (uint32_t c = 0; c < lengthOf(step.warpgroup()); ++c)
        if (quern_status status = checkMaps(i, step, *step.warpgroup()->Get(c)))
          return status;
    }
    return QUERN_OK;
  }

  quern_status checkChoice(uint32_t step, const DeviceChoice &choice) {
    uint32_t kernels = device.kernels()->size();
    if (choice.kernel() >= kernels)
      return bad("step", step, "kernel of warpgroups", choice.kernel(), 0,
                 kernels - 1);
    if (choice.cost() < 1 || choice.cost() > maxCost)
      return bad("step", step, "cost of a block", choice.cost(), 1, maxCost);
    for (const DeviceCount *blocks : {choice.x(), choice.y()})
      if (quern_status status = checkCount(step, blocks))
        return status;
    if (lengthOf(choice.maps()) > kMostDeviceMaps)
      return bad("step", step, "tensor maps", lengthOf(choice.maps()), 0,
                 kMostDeviceMaps);
    return QUERN_OK;
  }

  /// What the driver would refuse in the middle of a run, and tiles that reach
  /// beyond their buffer.
  quern_status checkMaps(uint32_t index, const DeviceStep &step,
                         const DeviceChoice &choice) {
    for (uint32_t i = 0; i < lengthOf(choice.maps()); ++i) {
      const DeviceMap &map = *choice.maps()->Get(i);
      uint32_t count = step.params()->size();
      for (uint32_t which :
           {map.address(), map.rows(), map.columns(), map.stride()})
        if (which >= count)
          return bad("step", index, "parameter of a tensor map", which, 0,
                     count - 1);
      if (map.box_rows() < 1 || map.box_rows() > 256)
        return bad("step", index, "rows of a tile", map.box_rows(), 1, 256);
      const DeviceParam &address = *step.params()->Get(map.address());
      if (address.kind() == DeviceParamKind::Weights) {
        if (!device.weights()->Get(address.value())->warpgroup())
          return fail(error, QUERN_ERROR_FORMAT,
                      "%s: manifest: GPU: step %u: found a tensor map of "
                      "weights %u, which are not those of warpgroups",
                      path, index, address.value());
        continue;
      }
      if (quern_status status = checkMatrix(index, step, map, address))
        return status;
    }
    return QUERN_OK;
  }

  quern_status checkMatrix(uint32_t index, const DeviceStep &step,
                           const DeviceMap &map, const DeviceParam &address) {
    const DeviceParam &columns = *step.params()->Get(map.columns()),
                      &stride = *step.params()->Get(map.stride()),
                      &rows = *step.params()->Get(map.rows());
    if (address.kind() != DeviceParamKind::Buffer)
      return bad("step", index, "kind of what a tensor map is of",
                 uint64_t(address.kind()), uint64_t(DeviceParamKind::Buffer),
                 uint64_t(DeviceParamKind::Buffer));
    if (rows.kind() != DeviceParamKind::Tokens &&
        rows.kind() != DeviceParamKind::Sequences)
      return bad("step", index, "kind of the rows of a tensor map",
                 uint64_t(rows.kind()), uint64_t(DeviceParamKind::Tokens),
                 uint64_t(DeviceParamKind::Sequences));
    for (const DeviceParam *number : {&columns, &stride})
      if (number->kind() != DeviceParamKind::Number)
        return bad("step", index, "kind of a width of a tensor map",
                   uint64_t(number->kind()), uint64_t(DeviceParamKind::Number),
                   uint64_t(DeviceParamKind::Number));
    uint64_t most = manifest.buffers()->Get(address.value())->bytes_per_unit();
    if (stride.value() < 16 || stride.value() > most || stride.value() % 16)
      return bad("step", index, "bytes from row to row, in sixteens",
                 stride.value(), 16, most);
    if (columns.value() < 1 || columns.value() > stride.value())
      return bad("step", index, "columns of a tensor map", columns.value(), 1,
                 stride.value());
    return QUERN_OK;
  }

  quern_status checkCount(uint32_t step, const DeviceCount *blocks) {
    if (!blocks || blocks->base() > DeviceBase::MAX)
      return bad("step", step, "what its blocks are counted from",
                 blocks ? uint64_t(blocks->base()) : UINT64_MAX, 0,
                 uint64_t(DeviceBase::MAX));
    for (uint64_t factor : {blocks->divide(), blocks->multiply()})
      if (factor < 1 || factor > maxBlocks)
        return bad("step", step, "blocks", factor, 1, maxBlocks);
    return QUERN_OK;
  }

  quern_status checkParam(uint32_t step, const DeviceParam &param) {
    uint64_t limit = uint64_t(1) << 32;
    switch (param.kind()) {
    case DeviceParamKind::Buffer:
    case DeviceParamKind::Tap:
      limit = manifest.buffers()->size();
      break;
    case DeviceParamKind::Data:
      limit = manifest.data()->size();
      break;
    case DeviceParamKind::Weights:
      limit = lengthOf(device.weights());
      break;
    case DeviceParamKind::Table:
      limit = lengthOf(device.tables());
      break;
    case DeviceParamKind::Number:
    case DeviceParamKind::Tokens:
    case DeviceParamKind::Sequences:
    case DeviceParamKind::Keys:
    case DeviceParamKind::Taps:
      break;
    default:
      return bad("step", step, "kind of a parameter", uint64_t(param.kind()), 0,
                 uint64_t(DeviceParamKind::MAX));
    }
    if (param.value() >= limit)
      return bad("step", step, EnumNameDeviceParamKind(param.kind()),
                 param.value(), 0, limit ? limit - 1 : 0);
    bool isTap = param.kind() == DeviceParamKind::Tap;
    if ((isTap || param.kind() == DeviceParamKind::Buffer) &&
        isTap != (manifest.buffers()->Get(param.value())->role() == Role::Tap))
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: manifest: GPU: step %u: found buffer %s as a %s", path,
                  step, manifest.buffers()->Get(param.value())->name()->c_str(),
                  isTap ? "tap" : "buffer that is none");
    return QUERN_OK;
  }

  const Device &device;
};

} // namespace

quern_status checkDevice(const char *path, const Manifest &manifest,
                         quern_error *error) {
  if (!manifest.device())
    return QUERN_OK;
  return DeviceChecker(path, manifest, error).check();
}

} // namespace quern
