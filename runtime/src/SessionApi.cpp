//===- SessionApi.cpp - the C functions on sessions -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Thin: argument checks and hand-over. Documented in quern.h and introspect.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Session.h"

#include <cstdio>

using namespace quern;
using namespace quern::manifest;

namespace {

/// The right to change a session while this lives; false where another call
/// has it. Calls from two threads at once are a mistake that is found here
/// instead of in the results.
class Turn {
public:
  explicit Turn(quern_session &session) : session(session) {
    mine = !session.inUse.exchange(true, std::memory_order_acquire);
  }
  ~Turn() {
    if (mine)
      session.inUse.store(false, std::memory_order_release);
  }
  Turn(const Turn &) = delete;
  Turn &operator=(const Turn &) = delete;
  explicit operator bool() const { return mine; }

private:
  quern_session &session;
  bool mine;
};

quern_status inUse(quern_error *error) {
  return fail(error, QUERN_ERROR_ARGUMENT,
              "the session is in use by another call; give each thread a "
              "session of its own");
}

quern_status checkOptions(uint32_t options, quern_error *error) {
  if (options & ~QUERN_RUN_STRICT)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "options: found 0x%x, expected 0 or QUERN_RUN_STRICT (0x%x)",
                options, QUERN_RUN_STRICT);
  return QUERN_OK;
}

} // namespace

quern_status quern_session_create(const quern_module *module, uint32_t threads,
                                  quern_session **session, quern_error *error) {
  return quern_session_create_on(module, QUERN_DEVICE_CPU, threads, session,
                                 error);
}

quern_status quern_session_create_on(const quern_module *module,
                                     quern_device device, uint32_t threads,
                                     quern_session **session,
                                     quern_error *error) {
  if (session)
    *session = nullptr;
  if (!module || !session)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_create: null");
  quern_session *created = create<quern_session>(*module);
  if (!created)
    return fail(error, QUERN_ERROR_MEMORY, "out of memory");
  if (quern_status status = created->start(device, threads, error)) {
    destroy(created);
    return status;
  }
  *session = created;
  return QUERN_OK;
}

quern_device quern_session_device(const quern_session *session,
                                  const char **about) {
  if (about)
    *about = !session       ? ""
             : session->gpu ? session->gpu->info().name
                            : session->whyCpu.message;
  return session && session->gpu ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU;
}

const char *quern_session_device_note(const quern_session *session) {
  if (!session)
    return "";
  return session->gpu ? session->gpu->whyPortable() : session->whyCpu.message;
}

double quern_session_gpu_peak(const quern_session *session) {
  return session && session->gpu ? cuda::peakOf(session->gpu->info()) : 0;
}

double quern_session_gpu_bandwidth(const quern_session *session) {
  return session && session->gpu ? cuda::bandwidthOf(session->gpu->info()) : 0;
}

void quern_session_destroy(quern_session *session) { destroy(session); }

quern_status quern_session_reserve(quern_session *session, uint32_t tokens,
                                   uint32_t sequences, quern_error *error) {
  if (!session)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_reserve: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  return session->reserve(tokens, sequences, error);
}

quern_status quern_session_set_max_length(quern_session *session,
                                          uint32_t tokens, quern_error *error) {
  if (!session)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "quern_session_set_max_length: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  uint32_t most = session->module.manifest->model()->max_length();
  if (tokens < 1 || tokens > most)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "found a length limit of %u tokens, expected 1 to %u", tokens,
                most);
  session->lengthLimit = tokens;
  return QUERN_OK;
}

quern_status quern_run_texts(quern_session *session, const quern_text *texts,
                             uint32_t count, uint32_t options,
                             quern_output *output, quern_error *error) {
  if (output)
    *output = {};
  if (!session || !output)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_run_texts: null");
  if (quern_status status = checkOptions(options, error))
    return status;
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  if (quern_status status = session->tokenize(texts, count, options, error))
    return status;
  if (quern_status status = session->run(error))
    return status;
  session->describe(*output, /*data=*/true, /*texts=*/true);
  return QUERN_OK;
}

quern_status quern_run_ids(quern_session *session, const int32_t *ids,
                           const int32_t *type_ids, const int32_t *offsets,
                           uint32_t sequences, quern_output *output,
                           quern_error *error) {
  if (output)
    *output = {};
  if (!session || !output)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_run_ids: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  if (quern_status status =
          session->takeIds(ids, type_ids, offsets, sequences, error))
    return status;
  if (quern_status status = session->run(error))
    return status;
  session->describe(*output, /*data=*/true, /*texts=*/false);
  return QUERN_OK;
}

quern_status quern_run_images(quern_session *session, const float *pixels,
                              uint32_t count, quern_output *output,
                              quern_error *error) {
  if (output)
    *output = {};
  if (!session || !output)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_run_images: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  if (quern_status status = session->takeImages(pixels, count, error))
    return status;
  quern_status status = session->run(error);
  session->pixels = nullptr;
  if (status)
    return status;
  session->describe(*output, /*data=*/true, /*texts=*/false);
  return QUERN_OK;
}

quern_status quern_tokenize(quern_session *session, const quern_text *texts,
                            uint32_t count, uint32_t options,
                            quern_output *output, quern_error *error) {
  if (output)
    *output = {};
  if (!session || !output)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_tokenize: null");
  if (quern_status status = checkOptions(options, error))
    return status;
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  if (quern_status status = session->tokenize(texts, count, options, error))
    return status;
  session->describe(*output, /*data=*/false, /*texts=*/true);
  return QUERN_OK;
}

quern_status quern_session_force_tier(quern_session *session, uint32_t tier,
                                      quern_error *error) {
  if (!session)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_force_tier: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  return session->chooseKernels(tier, error);
}

uint32_t quern_session_tier(const quern_session *session) {
  if (!session)
    return 0;
  uint32_t highest = session->gpu ? uint32_t(QUERN_TIER_CUDA) : 0;
  for (const PlannedStep &step : session->steps)
    highest = step.tier > highest ? step.tier : highest;
  return highest;
}

uint32_t quern_session_threads(const quern_session *session) {
  return session ? session->pool.size() : 0;
}

quern_status quern_session_set_affinity(quern_session *session, const int *cpus,
                                        uint32_t count, quern_error *error) {
  if (!session || !cpus)
    return fail(error, QUERN_ERROR_ARGUMENT,
                "quern_session_set_affinity: null");
  Turn turn(*session);
  if (!turn)
    return inUse(error);
  if (count != session->pool.size())
    return fail(error, QUERN_ERROR_ARGUMENT,
                "affinity: found %u CPUs, expected one for each of %u threads",
                count, session->pool.size());
  for (uint32_t i = 0; i < count; ++i)
    if (!session->pool.bind(i, cpus[i]))
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "affinity: CPU %d cannot be used for thread %u", cpus[i], i);
  return QUERN_OK;
}

uint32_t quern_session_step_count(const quern_session *session) {
  return session ? uint32_t(session->steps.size()) : 0;
}

/// See quern_step_info::bytes.
static uint64_t bytesOf(const quern_session &session, const Step &step) {
  const Manifest &manifest = *session.module.manifest;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < lengthOf(step.operands()); ++i) {
    const Operand &operand = *step.operands()->Get(i);
    if (operand.kind() == OperandKind::Buffer) {
      const auto &buffer = *manifest.buffers()->Get(operand.index());
      bytes += session.rowsOf(buffer.unit()) * buffer.bytes_per_unit();
    } else if (operand.kind() == OperandKind::Data && step.gemm_n()) {
      bytes += manifest.data()->Get(operand.index())->bytes();
    }
  }
  return bytes;
}

quern_status quern_session_step(const quern_session *session, uint32_t index,
                                quern_step_info *info, quern_error *error) {
  if (info)
    *info = {};
  if (!session || !info)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_step: null");
  if (index >= session->steps.size())
    return fail(error, QUERN_ERROR_ARGUMENT,
                "step: found %u, expected below "
                "%zu",
                index, session->steps.size());
  const PlannedStep &step = session->steps[index];
  const Step &source = *step.source;
  const Kernel &kernel =
      *session->module.manifest->kernels()->Get(source.kernel());
  info->name = source.name()->c_str();
  info->op = textOf(source.op());
  info->kernel = kernel.name()->c_str();
  info->family = "";
  for (uint32_t i = 0; i < lengthOf(kernel.tiers()); ++i)
    if (kernel.tiers()->Get(i)->tier() == step.tier)
      info->family = textOf(kernel.tiers()->Get(i)->family());
  info->layer = source.layer();
  info->tier = step.tier;
  if (session->gpu) {
    info->kernel = session->gpu->kernelOf(index);
    info->family = "ptx";
    info->tier = QUERN_TIER_CUDA;
  }
  info->gemm_n = source.gemm_n();
  info->gemm_k = source.gemm_k();
  info->nanoseconds = step.nanoseconds;
  info->macs = source.macs_per_token() * session->rowsOf(Unit::Tokens) +
               source.macs_per_pair() * session->rowsOf(Unit::Pairs) +
               source.macs_per_sequence() * session->rowsOf(Unit::Sequences);
  info->chunks = uint64_t(step.chunks);
  info->bytes =
      session->gpu
          ? session->gpu->bytesOf(index, {session->rowsOf(Unit::Tokens),
                                          session->rowsOf(Unit::Sequences),
                                          session->rowsOf(Unit::Pairs)})
          : bytesOf(*session, source);
  return QUERN_OK;
}

void quern_session_set_timing(quern_session *session, int on) {
  if (session)
    session->timing = on != 0;
}

void quern_session_set_callback(quern_session *session,
                                quern_step_callback callback, void *context) {
  if (!session)
    return;
  session->callback = callback;
  session->callbackContext = context;
}

/// Views have the rows of the last input. What was only tokenized may be more
/// than there is memory for.
static quern_status checkRoom(const quern_session &session,
                              quern_error *error) {
  uint64_t tokens = session.input.tokens();
  if (tokens <= session.tokenCapacity &&
      session.input.sequences() <= session.sequenceCapacity)
    return QUERN_OK;
  return fail(error, QUERN_ERROR_ARGUMENT,
              "found %llu tokens that were tokenized only, expected a run",
              static_cast<unsigned long long>(tokens));
}

quern_status quern_session_buffer(const quern_session *session,
                                  const char *name, quern_view *view,
                                  quern_error *error) {
  if (view)
    *view = {};
  if (!session || !name || !view)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_buffer: null");
  if (quern_status status = checkRoom(*session, error))
    return status;
  const auto &buffers = *session->module.manifest->buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const Buffer &buffer = *buffers.Get(i);
    if (strcmp(buffer.name()->c_str(), name) != 0)
      continue;
    if (!session->addresses[i])
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "buffer %s is a tap, and capture is off", name);
    view->data = session->addresses[i];
    view->element = uint32_t(buffer.element());
    view->rows = session->rowsOf(buffer.unit());
    view->columns = buffer.columns();
    view->stride = buffer.bytes_per_unit();
    view->valid_after = -1;
    return QUERN_OK;
  }
  return fail(error, QUERN_ERROR_ARGUMENT, "the module has no buffer %s", name);
}

void quern_session_set_capture(quern_session *session, int on) {
  if (session)
    session->captureWanted = on != 0;
}

quern_status quern_session_site(const quern_session *session, const char *name,
                                quern_view *view, quern_error *error) {
  if (view)
    *view = {};
  if (!session || !name || !view)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_session_site: null");
  if (quern_status status = checkRoom(*session, error))
    return status;
  const Manifest &manifest = *session->module.manifest;
  for (uint32_t i = 0; i < lengthOf(manifest.sites()); ++i) {
    if (strcmp(manifest.sites()->Get(i)->name()->c_str(), name) != 0)
      continue;
    if (!session->capture.on())
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "site %s: capture was off in the last run", name);
    int32_t buffer = manifest.sites()->Get(i)->buffer();
    if (session->gpu && buffer >= 0 && !session->gpu->keeps(uint32_t(buffer)))
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "site %s does not leave its kernel on a GPU", name);
    if (!session->capture.view(manifest, i, session->addresses, *view))
      return fail(error, QUERN_ERROR_ARGUMENT,
                  "site %s is not materialized in this module", name);
    return QUERN_OK;
  }
  return fail(error, QUERN_ERROR_ARGUMENT, "the module has no site %s", name);
}

void quern_session_counters(const quern_session *session,
                            quern_run_counters *counters) {
  if (!counters)
    return;
  *counters = {};
  if (!session)
    return;
  *counters = session->counters;
  counters->arena_bytes = session->memory.size();
  counters->capture_bytes = session->capture.bytes();
}
