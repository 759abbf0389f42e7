//===- Session.cpp - the memory and threads of one caller -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Session.h. Inputs are in SessionInput.cpp, the C functions in
// SessionApi.cpp.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Session.h"

#include "runtime/src/Cpu.h"
#include "runtime/src/cuda/RunBucket.h"

#include <cinttypes>
#include <sys/resource.h>
#include <xmmintrin.h>

using namespace quern;
using namespace quern::manifest;

namespace {

constexpr uint64_t maxUnits = uint64_t(1) << 28;
constexpr int64_t maxChunks = INT32_MAX;

/// A step being run, as the pool's threads see it.
struct Launch {
  quern_kernel kernel;
  void *const *buffers;
  int64_t tokens, sequences, flags;
  char *scratch;
  uint64_t scratchStride;
};

void runChunks(void *context, int64_t begin, int64_t end, uint32_t thread) {
  const Launch &launch = *static_cast<const Launch *>(context);
  launch.kernel(launch.buffers, launch.tokens, launch.sequences, launch.flags,
                begin, end, launch.scratch + thread * launch.scratchStride);
}

uint64_t extent(const Extent *e, uint64_t tokens, uint64_t sequences) {
  return e ? e->per_token() * tokens + e->per_sequence() * sequences +
                 e->constant()
           : 0;
}

uint64_t involuntarySwitches() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return uint64_t(usage.ru_nivcsw);
}

} // namespace

int64_t PlannedStep::chunkCount(int64_t tokens, int64_t sequences) const {
  int64_t base = source->base() == ChunkBase::Tokens      ? tokens
                 : source->base() == ChunkBase::Sequences ? sequences
                                                          : 1;
  int64_t divide = source->divide();
  return (base + divide - 1) / divide * int64_t(source->multiply());
}

quern_status quern_session::start(quern_device device, uint32_t threads,
                                  quern_error *error) {
  if (device == QUERN_DEVICE_CUDA) {
    if (quern_status status = openGpu(error))
      return status;
  } else if (device == QUERN_DEVICE_AUTO) {
    openGpu(&whyCpu);
  } else if (device != QUERN_DEVICE_CPU) {
    return fail(error, QUERN_ERROR_ARGUMENT,
                "device: found %d, expected %d to %d", int(device),
                int(QUERN_DEVICE_CPU), int(QUERN_DEVICE_AUTO));
  }
  mayFallBack = device == QUERN_DEVICE_AUTO;
  // The caller alone, where there is never anything to share.
  if (device == QUERN_DEVICE_CUDA)
    threads = 1;
  if (threads == 0) {
    threads = usableCpuCount();
    threads = threads > Pool::maxThreads ? Pool::maxThreads : threads;
  }
  if (threads > Pool::maxThreads)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "threads: found %u, expected at most %u", threads,
                Pool::maxThreads);
  const Manifest &manifest = *module.manifest;
  uint64_t operandCount = 0;
  for (const Step *step : *manifest.steps()) {
    if (!steps.push({step, nullptr, 0, uint32_t(operandCount), 0, 0}))
      return fail(error, QUERN_ERROR_MEMORY, "out of memory");
    operandCount += lengthOf(step->operands());
  }
  scratchStride = roundUp(manifest.scratch_bytes(), 4096);
  const Model &model = *manifest.model();
  if (!operands.resize(operandCount) ||
      !addresses.resize(manifest.buffers()->size()) ||
      !scratch.allocate(scratchStride * threads) ||
      (module.tokenizer.size() && !encoding.reserve(model.max_length())))
    return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  if (quern_status status = chooseKernels(UINT32_MAX, error))
    return status;
  lengthLimit = model.max_length();
  if (quern_status status = reserve(model.max_length(), 1, error))
    return status;
  if (!pool.start(threads))
    return fail(error, QUERN_ERROR_MEMORY, "cannot start %u threads", threads);
  return QUERN_OK;
}

quern_status quern_session::chooseKernels(uint32_t cap, quern_error *error) {
  int64_t environment = environmentTierCap();
  if (environment < 0)
    return fail(error, QUERN_ERROR_UNSUPPORTED,
                "QUERN_MAX_ISA: found \"%s\", expected scalar, sse2, "
                "sse41, avx2, avxvnni, avx512bw, avx512vnni or amx",
                getenv("QUERN_MAX_ISA"));
  uint32_t usable = module.usableTiers(cap);
  // First see that every step has one, so that failure changes nothing.
  for (bool commit : {false, true}) {
    for (PlannedStep &step : steps) {
      uint32_t tier = 0;
      quern_kernel kernel = module.kernel(step.source->kernel(), usable, tier);
      if (!kernel) {
        const quern_tier &lowest = module.table->tiers[0];
        const char *why = nullptr;
        quern_tier_usable(lowest.id, &why);
        return fail(error, QUERN_ERROR_UNSUPPORTED,
                    "step %s: the module has no kernel that can run here; "
                    "its lowest tier is %s: %s",
                    step.source->name()->c_str(), quern_tier_name(lowest.id),
                    why ? why : "above the cap that was set");
      }
      if (commit) {
        step.kernel = kernel;
        step.tier = tier;
      }
    }
  }
  return QUERN_OK;
}

quern_status quern_session::checkRange(const char *what, uint64_t tokens,
                                       uint64_t sequences,
                                       quern_error *error) const {
  if (tokens > maxUnits || sequences > maxUnits)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "%s: found %" PRIu64 " tokens and %" PRIu64
                " sequences, expected at most %" PRIu64,
                what, tokens, sequences, maxUnits);
  for (const PlannedStep &step : steps)
    if (step.chunkCount(int64_t(tokens), int64_t(sequences)) > maxChunks)
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "%s: too many tokens at once: %" PRIu64
                  "; run smaller batches",
                  what, tokens);
  return QUERN_OK;
}

quern_status quern_session::reserve(uint64_t tokens, uint64_t sequences,
                                    quern_error *error) {
  if (quern_status status = checkRange("reserve", tokens, sequences, error))
    return status;
  tokens = tokens < tokenCapacity ? tokenCapacity : roundUp(tokens, 16);
  sequences = sequences < sequenceCapacity ? sequenceCapacity : sequences;
  if (tokens == tokenCapacity && sequences == sequenceCapacity)
    return QUERN_OK;

  const Manifest &manifest = *module.manifest;
  const auto &buffers = *manifest.buffers();
  RunSize room{tokens, sequences, 0};
  uint64_t total =
      roundUp(extent(manifest.arena(), tokens, sequences), QUERN_DATA_ALIGN);
  uint64_t ownStart = total;
  auto ownBytes = [&](const Buffer &buffer) {
    return roundUp((room.rows(buffer.unit()) + QUERN_SLACK_ROWS) *
                           buffer.bytes_per_unit() +
                       QUERN_SLACK_BYTES,
                   QUERN_DATA_ALIGN);
  };
  uint64_t denseFloats = 0;
  for (const Buffer *buffer : buffers) {
    if (buffer->role() == Role::Arena || buffer->role() == Role::Tap)
      continue;
    total += ownBytes(*buffer);
    if (buffer->role() == Role::Output &&
        buffer->bytes_per_unit() != 4 * uint64_t(buffer->columns()))
      denseFloats = room.rows(buffer->unit()) * buffer->columns();
  }
  quern_error why = {};
  if (gpu && gpu->reserve(total, &why)) {
    if (!mayFallBack)
      return fail(error, why.status, "%s", why.message);
    whyCpu = why;
    destroy(gpu);
    gpu = nullptr;
  }
  if (!input.ids.reserve(tokens) || !input.types.reserve(tokens) ||
      !input.spans.reserve(tokens) || !input.truncated.reserve(sequences) ||
      !input.offsets.reserve(sequences + 1) || !dense.reserve(denseFloats) ||
      !memory.allocate(total))
    return fail(error, QUERN_ERROR_MEMORY,
                "out of memory for %" PRIu64 " tokens in %" PRIu64
                " sequences (%" PRIu64 " bytes)",
                tokens, sequences, total);
  tokenCapacity = tokens;
  sequenceCapacity = sequences;
  result = nullptr;
  uint64_t own = ownStart;
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    if (buffer.role() == Role::Tap)
      continue;
    if (buffer.role() == Role::Arena) {
      addresses[i] = memory.data() + extent(buffer.arena(), tokens, sequences);
      continue;
    }
    addresses[i] = memory.data() + own;
    own += ownBytes(buffer);
  }
  resolveOperands();
  return QUERN_OK;
}

void quern_session::resolveOperands() {
  for (const PlannedStep &step : steps) {
    for (uint32_t i = 0; i < lengthOf(step.source->operands()); ++i) {
      const Operand &operand = *step.source->operands()->Get(i);
      // Kernels take no const pointers; they never write to constants, whose
      // pages are read-only.
      operands[step.firstOperand + i] =
          operand.kind() == OperandKind::Data
              ? const_cast<char *>(module.constants[operand.index()])
              : addresses[operand.index()];
    }
  }
}

quern_status quern_session::run(quern_error *error) {
  uint64_t tokens = input.tokens(), sequences = input.sequences();
  result = nullptr;
  if (tokens > tokenCapacity || sequences > sequenceCapacity) {
    // Half as much again, so that growing batches do not reserve every time.
    uint64_t moreTokens = tokenCapacity + tokenCapacity / 2;
    uint64_t moreSequences = sequenceCapacity + sequenceCapacity / 2;
    if (quern_status status = reserve(
            tokens > moreTokens ? tokens : moreTokens,
            sequences > moreSequences ? sequences : moreSequences, nullptr))
      if ((status = reserve(tokens, sequences, error)))
        return status;
  }
  if (captureWanted) {
    if (!capture.prepare(*module.manifest,
                         {tokens, sequences, rowsOf(Unit::Pairs)}, addresses))
      return fail(error, QUERN_ERROR_MEMORY, "out of memory for capture");
    resolveOperands();
  } else if (capture.on()) {
    capture.release(*module.manifest, addresses);
    resolveOperands();
  }
  RunSize launched = {tokens, sequences, 0};
  // Sites are looked at as they are.
  if (gpu && !capture.on())
    launched = cuda::bucketOf(launched, {tokenCapacity, sequenceCapacity, 0});
  fillInputs(launched);
  if (gpu)
    return runOnGpu(launched, error);
  unsigned rounding = _mm_getcsr();
  _mm_setcsr(plainRounding);
  runSteps();
  _mm_setcsr(rounding);
  packResult();
  return QUERN_OK;
}

void quern_session::runSteps() {
  uint64_t chunksBefore = 0;
  for (uint32_t i = 0; i < pool.size(); ++i)
    chunksBefore += pool.chunksOf(i);
  uint64_t callerBefore = pool.chunksOf(0);
  uint64_t switchesBefore = timing ? involuntarySwitches() : 0;
  uint64_t start = nanoseconds();

  Launch launch = {};
  launch.tokens = input.tokens();
  launch.sequences = input.sequences();
  launch.flags = capture.on() ? QUERN_FLAG_TAPS : 0;
  launch.scratch = scratch.data();
  launch.scratchStride = scratchStride;
  pool.begin();
  for (uint32_t i = 0; i < steps.size(); ++i) {
    PlannedStep &step = steps[i];
    launch.kernel = step.kernel;
    launch.buffers = operands.data() + step.firstOperand;
    step.chunks = step.chunkCount(launch.tokens, launch.sequences);
    uint64_t before = timing ? nanoseconds() : 0;
    pool.run(runChunks, &launch, step.chunks, step.source->grain());
    step.nanoseconds = timing ? nanoseconds() - before : 0;
    if (capture.on())
      capture.afterStep(*module.manifest, i, addresses);
    if (callback)
      callback(callbackContext, i);
  }
  pool.end();

  counters.nanoseconds = nanoseconds() - start;
  counters.chunks = 0;
  for (uint32_t i = 0; i < pool.size(); ++i)
    counters.chunks += pool.chunksOf(i);
  counters.chunks -= chunksBefore;
  counters.chunks_by_caller = pool.chunksOf(0) - callerBefore;
  counters.involuntary_switches =
      timing ? involuntarySwitches() - switchesBefore : 0;
}

quern_status quern_session::openGpu(quern_error *error) {
  gpu = create<cuda::DeviceProgram>(module);
  if (!gpu)
    return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  quern_status status = gpu->open(error);
  if (status) {
    destroy(gpu);
    gpu = nullptr;
  }
  return status;
}

quern_status quern_session::runOnGpu(const RunSize &launched,
                                     quern_error *error) {
  uint64_t start = nanoseconds();
  int32_t longest = 0;
  for (uint32_t s = 0; s < input.sequences(); ++s) {
    int32_t length = input.offsets[s + 1] - input.offsets[s];
    longest = length > longest ? length : longest;
  }
  cuda::HostRun run = {
      addresses,
      memory.data(),
      {input.tokens(), input.sequences(), rowsOf(Unit::Pairs)},
      launched,
      capture.on()
          ? uint32_t(longest)
          : cuda::bucketOfLength(uint32_t(longest),
                                 module.manifest->model()->max_length()),
      capture.on() ? &capture : nullptr};
  if (quern_status status = gpu->begin(run, error))
    return status;
  // Steps that nobody looks at are launched all at once.
  bool unseen = !timing && !capture.on() && !callback;
  if (unseen)
    if (quern_status status = gpu->launchAll(run, error))
      return status;
  for (uint32_t i = 0; i < steps.size(); ++i) {
    steps[i].nanoseconds = steps[i].chunks = 0;
    if (unseen)
      continue;
    uint64_t before = timing ? nanoseconds() : 0;
    if (quern_status status = gpu->launch(run, i, error))
      return status;
    // Launches return at once; a step by itself is measured to its end.
    if (timing)
      if (quern_status status = gpu->wait(error))
        return status;
    steps[i].nanoseconds = timing ? nanoseconds() - before : 0;
    if (capture.on())
      capture.afterStep(*module.manifest, i, addresses);
    if (callback)
      callback(callbackContext, i);
  }
  if (quern_status status = gpu->end(run, error))
    return status;
  counters = {};
  counters.nanoseconds = nanoseconds() - start;
  packResult();
  return QUERN_OK;
}

void quern_session::packResult() {
  const auto &buffers = *module.manifest->buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    if (buffer.role() != Role::Output)
      continue;
    uint64_t rows = rowsOf(buffer.unit());
    uint64_t bytes = 4 * uint64_t(buffer.columns());
    if (buffer.bytes_per_unit() == bytes) {
      result = reinterpret_cast<const float *>(addresses[i]);
      return;
    }
    char *to = reinterpret_cast<char *>(dense.data());
    for (uint64_t row = 0; row < rows; ++row)
      memcpy(to + row * bytes, addresses[i] + row * buffer.bytes_per_unit(),
             bytes);
    result = dense.data();
    return;
  }
}

uint64_t quern_session::rowsOf(Unit unit) const {
  RunSize size{input.tokens(), input.sequences(), 0};
  if (unit == Unit::Pairs)
    for (uint64_t s = 0; s < size.sequences; ++s) {
      uint64_t length = uint64_t(input.offsets[s + 1] - input.offsets[s]);
      size.pairs += length * length;
    }
  return size.rows(unit);
}
