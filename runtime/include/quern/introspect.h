/*===- introspect.h - a module and a session from the inside, for tools -----===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * For inspect, verify, bench and tests: step names and times, buffers, sites
 * and taps of a run, and modules read without executing anything of them. C,
 * like quern.h, and under the same rules; less stable.
 *
 *===----------------------------------------------------------------------===*/

#ifndef QUERN_INTROSPECT_H
#define QUERN_INTROSPECT_H

#include "quern/quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A module file that was checked but not loaded. */
typedef struct quern_inspection quern_inspection;

/**
 * Maps and checks a file as quern_module_open does, but never loads or
 * executes its code. `*inspection` is the caller's; free it with
 * quern_inspect_close. Errors as quern_module_open.
 */
QUERN_API quern_status quern_inspect_open(const char *path,
                                          quern_inspection **inspection,
                                          quern_error *error);
QUERN_API void quern_inspect_close(quern_inspection *inspection);

/** The file's trailer. Lives as long as the inspection. */
QUERN_API const quern_trailer *
quern_inspect_trailer(const quern_inspection *inspection);

/** Bytes of a section (quern_section_id), e.g. the manifest (a verified
 * FlatBuffer of runtime/src/manifest.fbs). Live as long as the inspection. Null
 *  for a section that does not exist. */
QUERN_API const void *quern_inspect_section(const quern_inspection *inspection,
                                            uint32_t section, uint64_t *bytes);

/** The module's manifest: a verified FlatBuffer that lives as long as it. */
QUERN_API const void *quern_module_manifest(const quern_module *module,
                                            uint64_t *bytes);

/** First byte of the constant at `index` of the manifest's table `data`,
 *  wherever it lies; it is there as long as the module. Null for an index
 *  beyond the table. */
QUERN_API const void *quern_module_constant(const quern_module *module,
                                            uint32_t index);

/** Where the constants of an opened module lie, but for those in the mapped
 *  file. */
typedef struct quern_weights_info {
  uint64_t read_bytes; /**< matrices that were read into memory */
  uint64_t made_bytes; /**< constants that follow from others */
  uint64_t huge_bytes; /**< of both, those in huge pages now */
  const char *reason;  /**< why matrices stay in the mapped file, or null */
} quern_weights_info;

/** Fills `info`. Asks the kernel, which takes a millisecond. Thread-safe. */
QUERN_API void quern_module_weights(const quern_module *module,
                                    quern_weights_info *info);

/** Value of `name` ("sse2", "avx512vnni", ...), or -1. */
QUERN_API int quern_tier_from_name(const char *name);

/** Name of a tier, or "unknown". Static. */
QUERN_API const char *quern_tier_name(uint32_t tier);

/** 1 if this machine, its operating system and QUERN_MAX_ISA let code of the
 *  tier run; otherwise 0, and `*reason` (may be null) says why. Static. */
QUERN_API int quern_tier_usable(uint32_t tier, const char **reason);

/**
 * Caps the tier of a session's kernels. The highest usable tier of the module
 * up to `tier` is taken. Errors: UNSUPPORTED (the module has none).
 */
QUERN_API quern_status quern_session_force_tier(quern_session *session,
                                                uint32_t tier,
                                                quern_error *error);

/** Highest tier among the kernels that the session runs. */
QUERN_API uint32_t quern_session_tier(const quern_session *session);

/** Threads of the session, the caller included. */
QUERN_API uint32_t quern_session_threads(const quern_session *session);

/**
 * Binds thread i of the session to cpus[i]; thread 0 is the calling thread,
 * which is bound too. Errors: ARGUMENT (count is not the thread count, or a
 * CPU cannot be used).
 */
QUERN_API quern_status quern_session_set_affinity(quern_session *session,
                                                  const int *cpus,
                                                  uint32_t count,
                                                  quern_error *error);

/** Bytes that the memory of the session's GPU can give or take in a second, by
 *  the driver's account of the device; 0 on the CPU, or where the driver does
 *  not say. */
QUERN_API double quern_session_gpu_bandwidth(const quern_session *session);

/** Why the session runs slower than it might: why QUERN_DEVICE_AUTO came to the
 *  CPU, or why a GPU that could have kernels of its own has the portable ones;
 *  "" where there is nothing to say. Lives as long as the session and its next
 *  run. */
QUERN_API const char *quern_session_device_note(const quern_session *session);

/** A step of the module, and what it came to in the session's last run. */
typedef struct quern_step_info {
  const char *name;
  const char *op;
  const char *kernel;   /**< on a GPU the last; "" if the step before did it */
  const char *family;   /**< instruction family of the tier in use */
  int32_t layer;        /**< -1 outside the layers */
  uint32_t tier;        /**< tier of the kernel in use */
  uint32_t gemm_n;      /**< 0: not a GEMM */
  uint32_t gemm_k;      /**< depth of the GEMM */
  uint64_t nanoseconds; /**< 0 unless timing is on */
  uint64_t macs;        /**< multiply-adds of the mathematics */
  uint64_t chunks;      /**< chunks executed */
  uint64_t bytes;       /**< that it must read and write at least: the rows of
                             its buffers once, and a GEMM's constants once */
} quern_step_info;

QUERN_API uint32_t quern_session_step_count(const quern_session *session);

/** Describes step `index`. Strings live as long as the module. Errors:
 *  ARGUMENT. */
QUERN_API quern_status quern_session_step(const quern_session *session,
                                          uint32_t index, quern_step_info *info,
                                          quern_error *error);

/** Turns timing of steps on (two clock reads a step) or off. */
QUERN_API void quern_session_set_timing(quern_session *session, int on);

/** Called after step `index` on the thread that runs the session. */
typedef void (*quern_step_callback)(void *context, uint32_t index);

/** Sets the callback; null removes it. Buffers may be read inside it. */
QUERN_API void quern_session_set_callback(quern_session *session,
                                          quern_step_callback callback,
                                          void *context);

/** Values of a buffer, a constant or a site. */
typedef struct quern_view {
  const void *data;    /**< first element of row 0 */
  uint32_t element;    /**< quern.manifest.Element: I8 U8 I16 U16 I32 F32 ... */
  uint64_t rows;       /**< units of the last run: tokens, sequences, pairs */
  uint64_t columns;    /**< elements of a row that mean something */
  uint64_t stride;     /**< bytes from row to row */
  int32_t valid_after; /**< step after which it held, -1: always */
  const void *ranges;  /**< scale (f32) and zero point (i32) of row 0's codes,
                            `stride` bytes from row to row; null where rows
                            have none of their own */
} quern_view;

/** Memory of the buffer `name` as it is now: the arena is shared, so it holds
 *  what the last writer of that place left. Valid until the capacity grows.
 *  Errors: ARGUMENT (no such buffer, a tap while capture is off, or more was
 *  tokenized since than has run). */
QUERN_API quern_status quern_session_buffer(const quern_session *session,
                                            const char *name, quern_view *view,
                                            quern_error *error);

/**
 * Turns capture on or off: taps are allocated and written, and every site in
 * an arena buffer is copied when its step is done, so that after a run
 * quern_session_site gives every site. Costs memory and time; off at first.
 * Takes effect with the next run.
 */
QUERN_API void quern_session_set_capture(quern_session *session, int on);

/** Codes of the site `name` in the last run with capture on. Valid until the
 *  next run. Errors: ARGUMENT (no such site, not materialized, or capture was
 *  off). */
QUERN_API quern_status quern_session_site(const quern_session *session,
                                          const char *name, quern_view *view,
                                          quern_error *error);

/** Counters of the last run. */
typedef struct quern_run_counters {
  uint64_t nanoseconds;          /**< whole run without tokenization */
  uint64_t chunks;               /**< chunks executed by all threads */
  uint64_t chunks_by_caller;     /**< of these by the calling thread */
  uint64_t involuntary_switches; /**< of the process; 0 unless timing is on */
  uint64_t arena_bytes;          /**< of the session at its capacity */
  uint64_t capture_bytes;        /**< taps and copies */
} quern_run_counters;

QUERN_API void quern_session_counters(const quern_session *session,
                                      quern_run_counters *counters);

#ifdef __cplusplus
}
#endif

#endif /* QUERN_INTROSPECT_H */
