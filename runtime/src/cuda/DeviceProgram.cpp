//===- DeviceProgram.cpp - a module on a GPU ------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/DeviceProgram.h"

#include "runtime/src/DeviceCheck.h"

namespace quern::cuda {

using namespace quern::manifest;

/// Sequences are cut to whole chunks of keys.
static constexpr uint32_t kKeyStep = 32;

DeviceProgram::~DeviceProgram() {
  graphs.clear();
  for (Address address : {constants, memory, taps})
    if (address)
      context.release(address);
  if (code)
    context.unload(code);
}

quern_status DeviceProgram::open(quern_error *error) {
  if (!module.manifest->device())
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "the module has no code for GPUs; compile it with "
                "--target nvptx");
  if (quern_status status = driver.load(error))
    return status;
  // The first that is new enough, or the first one's reason.
  int ordinal = 0;
  for (int i = driver.deviceCount(); i-- > 0;) {
    DeviceInfo info;
    if (!driver.describe(i, info, nullptr) && ptxVariant(info, nullptr))
      ordinal = i;
  }
  if (quern_status status = context.open(ordinal, error))
    return status;
  if (quern_status status = compile(error))
    return status;
  return upload(error);
}

const char *DeviceProgram::codeOf(const char *variant) const {
  for (const DeviceCode *each : *table().code())
    if (strcmp(each->variant()->c_str(), variant) == 0)
      return each->ptx()->c_str();
  return nullptr;
}

quern_status DeviceProgram::compile(quern_error *error) {
  const char *portable = codeOf("sm_80"), *best = nullptr;
  const char *wanted = driver.variantFor(info(), nullptr);
  if (strcmp(wanted, "sm_80") != 0)
    best = codeOf(wanted);
  if (!portable && !best)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "the module has no code for CUDA device %d, %s: expected the "
                "variant sm_80 or %s",
                info().ordinal, info().name, ptxVariant(info(), nullptr));
  if (info().isHopper() && !best && codeOf("sm_90a"))
    fail(&refusal, QUERN_ERROR_UNSUPPORTED,
         "the CUDA driver is too old for the kernels of sm_90a: they need one "
         "for 12.4");
  // A driver that refuses the newer text has the portable one.
  if (best) {
    quern_status status = context.load(best, code, portable ? &refusal : error);
    warpgroups = status == QUERN_OK;
    if (status && !portable)
      return status;
  }
  if (!warpgroups)
    if (quern_status status = context.load(portable, code, error))
      return status;
  return findKernels(error);
}

quern_status DeviceProgram::findKernel(uint32_t index, quern_error *error) {
  if (functions[index])
    return QUERN_OK;
  uint64_t keys = roundUp(module.manifest->model()->max_length(), kKeyStep);
  const DeviceKernel &kernel = *table().kernels()->Get(index);
  uint64_t shared = kernel.shared_bytes() + kernel.shared_per_key() * keys;
  return context.find(code, kernel.name()->c_str(), unsigned(shared),
                      functions[index], error);
}

quern_status DeviceProgram::findKernels(quern_error *error) {
  const auto &steps = *table().steps();
  if (!functions.resize(table().kernels()->size()) ||
      !lastKernels.resize(steps.size()) ||
      !maps.resize(uint64_t(table().steps()->size()) * kMostDeviceMaps))
    return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  for (uint32_t i = 0; i < steps.size(); ++i) {
    const DeviceStep *step = steps.Get(i);
    quern_status status = QUERN_OK;
    lastKernels[i] = step->kernel();
    if (warpgroups && lengthOf(step->warpgroup())) {
      lastKernels[i] = step->warpgroup()->Get(0)->kernel();
      for (const DeviceChoice *choice : *step->warpgroup())
        if (!status)
          status = findKernel(choice->kernel(), error);
    } else {
      status = findKernel(step->kernel(), error);
      if (!status && step->large())
        status = findKernel(step->large()->kernel(), error);
    }
    if (status)
      return status;
  }
  return QUERN_OK;
}

quern_status DeviceProgram::reserve(uint64_t bytes, quern_error *error) {
  if (bytes <= memoryBytes)
    return QUERN_OK;
  Address more = 0;
  if (quern_status status = context.allocate(bytes, more, error))
    return status;
  if (memory)
    context.release(memory);
  memory = more;
  memoryBytes = bytes;
  return QUERN_OK;
}

Address DeviceProgram::addressOf(const HostRun &run, uint32_t buffer) const {
  if (module.manifest->buffers()->Get(buffer)->role() != Role::Tap)
    return memory + uint64_t(run.addresses[buffer] - run.memory);
  // Kernels that write no taps are given some address all the same.
  return run.capture
             ? taps + uint64_t(run.addresses[buffer] - run.capture->data())
             : memory;
}

quern_status DeviceProgram::begin(const HostRun &run, quern_error *error) {
  if (run.capture && run.capture->bytes() > tapBytes) {
    if (taps)
      context.release(taps);
    taps = 0;
    tapBytes = 0;
    if (quern_status status =
            context.allocate(run.capture->bytes(), taps, error)) {
      taps = 0;
      return status;
    }
    tapBytes = run.capture->bytes();
  }
  const auto &buffers = *module.manifest->buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    switch (buffer.role()) {
    case Role::Ids:
    case Role::Types:
    case Role::Positions:
    case Role::Offsets:
    case Role::Patches: {
      uint64_t bytes = (run.launched.rows(buffer.unit()) + QUERN_SLACK_ROWS) *
                       buffer.bytes_per_unit();
      if (quern_status status =
              context.copyIn(addressOf(run, i), run.addresses[i], bytes, error))
        return status;
      break;
    }
    default:
      break;
    }
  }
  return QUERN_OK;
}

uint64_t DeviceProgram::valueOf(const DeviceParam &param,
                                const HostRun &run) const {
  switch (param.kind()) {
  case DeviceParamKind::Buffer:
  case DeviceParamKind::Tap:
    return addressOf(run, param.value());
  case DeviceParamKind::Data:
    return data[param.value()];
  case DeviceParamKind::Weights:
    return weights[param.value()];
  case DeviceParamKind::Table:
    return tables[param.value()];
  case DeviceParamKind::Number:
    return param.value();
  case DeviceParamKind::Tokens:
    return run.launched.tokens;
  case DeviceParamKind::Sequences:
    return run.launched.sequences;
  case DeviceParamKind::Keys:
    return roundUp(run.longest, kKeyStep);
  case DeviceParamKind::Taps:
    return run.capture != nullptr;
  }
  return 0;
}

static unsigned blocksOf(const DeviceCount &count, const HostRun &run) {
  uint64_t base = count.base() == DeviceBase::Tokens ? run.launched.tokens
                  : count.base() == DeviceBase::Sequences
                      ? run.launched.sequences
                  : count.base() == DeviceBase::Longest ? run.longest
                                                        : 1;
  return unsigned((base + count.divide() - 1) / count.divide() *
                  count.multiply());
}

/// Blocks for each multiprocessor from which on larger ones are better: with
/// fewer, one waits for the other, or has none.
static constexpr uint64_t kLargeBlocks = 2;

const char *DeviceProgram::kernelOf(uint32_t step) const {
  if (table().steps()->Get(step)->joined())
    return "";
  return table().kernels()->Get(lastKernels[step])->name()->c_str();
}

uint64_t DeviceProgram::bytesOf(uint32_t index, const RunSize &size) const {
  const auto &buffers = *module.manifest->buffers();
  bool isProduct = module.manifest->steps()->Get(index)->gemm_n();
  uint64_t bytes = 0;
  // What it reads and writes is counted in front of it.
  if (table().steps()->Get(index)->joined())
    return 0;
  for (const DeviceParam *param : *table().steps()->Get(index)->params()) {
    uint32_t which = param->value();
    if (param->kind() == DeviceParamKind::Buffer) {
      const Buffer &buffer = *buffers.Get(which);
      bytes += size.rows(buffer.unit()) * buffer.bytes_per_unit();
    } else if (param->kind() == DeviceParamKind::Weights) {
      const DeviceWeights &each = *table().weights()->Get(which);
      bytes += weightBytes(each, warpgroups && each.warpgroup());
    } else if (param->kind() == DeviceParamKind::Data && isProduct) {
      bytes += module.manifest->data()->Get(which)->bytes();
    }
  }
  return bytes;
}

const DeviceChoice &DeviceProgram::cheapest(const DeviceStep &step,
                                            const HostRun &run) const {
  const DeviceChoice *best = nullptr;
  uint64_t least = 0;
  for (const DeviceChoice *choice : *step.warpgroup()) {
    uint64_t blocks =
        uint64_t(blocksOf(*choice->x(), run)) * blocksOf(*choice->y(), run);
    auto sms = uint64_t(info().multiprocessors);
    uint64_t cost = (blocks + sms - 1) / sms * choice->cost();
    if (!best || cost < least) {
      best = choice;
      least = cost;
    }
  }
  return *best;
}

TileSource DeviceProgram::tilesOf(const HostRun &run, const DeviceStep &step,
                                  const DeviceMap &map) const {
  auto valueAt = [&](uint32_t index) {
    return valueOf(*step.params()->Get(index), run);
  };
  const DeviceParam &address = *step.params()->Get(map.address());
  TileSource source;
  source.address = valueAt(map.address());
  source.boxRows = map.box_rows();
  if (address.kind() == DeviceParamKind::Weights) {
    const DeviceWeights &each = *table().weights()->Get(address.value());
    source.rows = weightRows(each, true);
    source.columns = source.stride = roundUp(each.k(), 64);
    return source;
  }
  source.rows = valueAt(map.rows());
  source.columns = valueAt(map.columns());
  source.stride = valueAt(map.stride());
  return source;
}

quern_status DeviceProgram::addMaps(const HostRun &run, uint32_t index,
                                    const DeviceChoice &choice,
                                    quern_error *error) {
  const DeviceStep &step = *table().steps()->Get(index);
  for (uint32_t i = 0; i < lengthOf(choice.maps()); ++i) {
    KnownMap &known = maps[uint64_t(index) * kMostDeviceMaps + i];
    TileSource source = tilesOf(run, step, *choice.maps()->Get(i));
    if (!(known.source == source)) {
      known.source = TileSource();
      if (quern_status status = context.encode(source, known.map, error))
        return status;
      known.source = source;
    }
    if (!plan.addMap(known.map))
      return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  }
  return QUERN_OK;
}

quern_status DeviceProgram::planStep(const HostRun &run, uint32_t index,
                                     quern_error *error) {
  const DeviceStep &step = *table().steps()->Get(index);
  uint32_t which = step.kernel();
  Grid grid;
  grid.x = blocksOf(*step.x(), run);
  grid.y = blocksOf(*step.y(), run);
  const DeviceChoice *tiles = nullptr;
  if (warpgroups && lengthOf(step.warpgroup())) {
    tiles = &cheapest(step, run);
    which = tiles->kernel();
    grid.x = blocksOf(*tiles->x(), run);
    grid.y = blocksOf(*tiles->y(), run);
  } else if (const DeviceChoice *large = step.large()) {
    unsigned x = blocksOf(*large->x(), run), y = blocksOf(*large->y(), run);
    if (uint64_t(x) * y >= kLargeBlocks * uint64_t(info().multiprocessors)) {
      which = large->kernel();
      grid.x = x;
      grid.y = y;
    }
  }
  lastKernels[index] = which;
  if (step.joined())
    return QUERN_OK;
  const DeviceKernel &kernel = *table().kernels()->Get(which);
  grid.threads = kernel.threads();
  // All kernels of sm_90a begin with a wait for the one before, if it is one.
  grid.early = warpgroups && index > 0;
  grid.sharedBytes =
      unsigned(kernel.shared_bytes() +
               kernel.shared_per_key() * roundUp(run.longest, kKeyStep));
  bool fits = plan.add(functions[which], grid);
  if (fits && tiles)
    if (quern_status status = addMaps(run, index, *tiles, error))
      return status;
  for (uint32_t i = 0; fits && i < step.params()->size(); ++i)
    fits = plan.addValue(valueOf(*step.params()->Get(i), run));
  return fits ? QUERN_OK : fail(error, QUERN_ERROR_MEMORY, "out of memory");
}

quern_status DeviceProgram::launchAll(const HostRun &run, quern_error *error) {
  plan.clear();
  for (uint32_t i = 0; i < table().steps()->size(); ++i)
    if (quern_status status = planStep(run, i, error))
      return status;
  return graphs.launch(plan, error);
}

quern_status DeviceProgram::launch(const HostRun &run, uint32_t index,
                                   quern_error *error) {
  plan.clear();
  if (quern_status status = planStep(run, index, error))
    return status;
  if (quern_status status = plan.launch(context, error))
    return status;
  if (!run.capture)
    return QUERN_OK;
  const Step &source = *module.manifest->steps()->Get(index);
  for (uint32_t i = 0; i < lengthOf(source.sites()); ++i) {
    int32_t buffer =
        module.manifest->sites()->Get(source.sites()->Get(i))->buffer();
    if (buffer >= 0 && keeps(uint32_t(buffer)))
      if (quern_status status = copyBack(run, uint32_t(buffer), error))
        return status;
  }
  return context.synchronize(error);
}

quern_status DeviceProgram::copyBack(const HostRun &run, uint32_t index,
                                     quern_error *error) {
  const Buffer &buffer = *module.manifest->buffers()->Get(index);
  return context.copyOut(run.addresses[index], addressOf(run, index),
                         run.size.rows(buffer.unit()) * buffer.bytes_per_unit(),
                         error);
}

quern_status DeviceProgram::end(const HostRun &run, quern_error *error) {
  const auto &buffers = *module.manifest->buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers.Get(i)->role() == Role::Output)
      if (quern_status status = copyBack(run, i, error))
        return status;
  return context.synchronize(error);
}

bool DeviceProgram::keeps(uint32_t buffer) const {
  if (module.manifest->buffers()->Get(buffer)->role() != Role::Tap)
    return true;
  for (const DeviceStep *step : *table().steps())
    for (const DeviceParam *param : *step->params())
      if (param->kind() == DeviceParamKind::Tap && param->value() == buffer)
        return true;
  return false;
}

} // namespace quern::cuda
