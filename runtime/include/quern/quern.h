/*===- quern.h - run a compiled model: the public C API ---------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * In ten lines:
 *
 *   quern_error error;
 *   quern_module *module;
 *   quern_session *session;
 *   quern_output output;
 *   if (quern_module_open("m.qbm", &module, &error) ||
 *       quern_session_create(module, 2, &session, &error))
 *     return fprintf(stderr, "%s\n", error.message), 1;
 *   quern_text text = {"a fine film", 11, NULL, 0};
 *   if (quern_run_texts(session, &text, 1, 0, &output, &error)) ...
 *   for (uint32_t i = 0; i < output.columns; i++) printf("%g\n",
 *                                                       output.data[i]);
 *
 * A module is immutable and may be shared by any number of threads. A session
 * belongs to one thread at a time: a call that changes it while another thread
 * is in such a call is refused (ARGUMENT), but outputs and what describes the
 * last run are not guarded. A child of fork() must not use its parent's
 * sessions: their threads stay behind. Loading a module executes its code: open
 * only modules that you compiled or trust (introspect.h reads without
 * executing).
 *
 * Errors: functions that can fail return a status, 0 for success, and write a
 * sentence into the caller's quern_error, which may be null. Nothing aborts,
 * nothing prints. On failure output arguments are set to null or zero. A null
 * module, session or output where one is needed is ARGUMENT; of functions that
 * return no status it is 0, null or "". What C cannot see is undefined: arrays
 * shorter than their counts say, and handles that were freed, freed twice or
 * are freed while another thread is in a call with them.
 *
 *===----------------------------------------------------------------------===*/

#ifndef QUERN_QUERN_H
#define QUERN_QUERN_H

#include <stddef.h>
#include <stdint.h>

#include "quern/module_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QUERN_API __attribute__((visibility("default")))
#else
#define QUERN_API
#endif

/** What a function came to. */
typedef enum quern_status {
  QUERN_OK = 0,
  QUERN_ERROR_ARGUMENT = 1,    /**< the caller's arguments are wrong */
  QUERN_ERROR_FILE = 2,        /**< cannot be opened or read */
  QUERN_ERROR_FORMAT = 3,      /**< not a module, damaged, or lying */
  QUERN_ERROR_VERSION = 4,     /**< written for another runtime */
  QUERN_ERROR_UNSUPPORTED = 5, /**< this machine cannot run it */
  QUERN_ERROR_MEMORY = 6,      /**< out of memory or threads */
  QUERN_ERROR_TOO_LONG = 7     /**< a text is too long (strict) */
} quern_status;

/** A status and a sentence that ends without a newline. Owned by the caller;
 *  written only on failure. */
typedef struct quern_error {
  quern_status status;
  char message[508];
} quern_error;

typedef struct quern_module quern_module;
typedef struct quern_session quern_session;

/** What the outputs mean. */
typedef enum quern_head {
  QUERN_HEAD_EMBEDDING = 0,
  QUERN_HEAD_CLASSIFICATION = 1,
  QUERN_HEAD_REGRESSION = 2,
  QUERN_HEAD_TOKEN_CLASSIFICATION = 3, /**< a row of logits per token */
  QUERN_HEAD_QUESTION_ANSWERING = 4    /**< start and end logit per token */
} quern_head;

/** The images that a vision module sees. mean and deviation have a value for
 *  each channel and live as long as the module; they are null where the module
 *  does not say how the bytes of a file become numbers. */
typedef struct quern_image_format {
  uint32_t channels; /**< 0: the module takes texts */
  uint32_t height, width;
  double rescale;
  const float *mean, *deviation;
} quern_image_format;

/** A module's description. Strings live as long as the module. */
typedef struct quern_description {
  quern_head head;
  const char *name;    /**< the model's own name, or "" */
  const char *family;  /**< "bert", ... */
  const char *problem; /**< "single_label", "multi_label", "regression", "" */
  const char *recipe;  /**< name of the quantization recipe */
  const char *pooling; /**< "none", "cls", "mean" */
  int normalized;      /**< embeddings have length one */
  uint32_t layers, hidden, heads, vocabulary;
  uint32_t max_length;      /**< tokens of a sequence, special ones included */
  uint32_t columns;         /**< floats of an output row */
  int rows_are_tokens;      /**< a row per token, otherwise per sequence */
  uint32_t label_count;     /**< see quern_module_label */
  int has_tokenizer;        /**< texts can be run, not only ids */
  quern_image_format image; /**< what a vision module takes instead */
} quern_description;

/** A text or a pair, UTF-8, not necessarily terminated. `pair` may be null, and
 *  `text` where text_bytes is 0. Any bytes are a text: what is no UTF-8 is read
 *  as U+FFFD, and zeros do not end it; models that clean texts drop both.
 *  An empty text has the special tokens alone. */
typedef struct quern_text {
  const char *text;
  size_t text_bytes;
  const char *pair;
  size_t pair_bytes;
} quern_text;

/** Bits of quern_run_texts' options. */
#define QUERN_RUN_STRICT 1u /**< refuse a text that would be truncated */

/**
 * The result of a run. All memory belongs to the session and is valid until
 * its next run or its destruction.
 *
 * data       rows * columns floats, row after row
 * rows       sequences, or all tokens of all sequences
 * ids, type_ids, tokens  the token-packed input that was run
 * offsets    sequences + 1 token positions: sequence s has the tokens
 *            [offsets[s], offsets[s + 1]); an image is a sequence, and has no
 *            ids
 * truncated  one flag a sequence; null when ids were given
 * spans      per token the bytes [begin, end) of its text (of the pair for
 *            type id 1), both 0 for special tokens; null when ids were given
 */
typedef struct quern_output {
  const float *data;
  uint32_t rows;
  uint32_t columns;
  uint32_t sequences;
  uint32_t tokens;
  const int32_t *ids;
  const int32_t *type_ids;
  const int32_t *offsets;
  const uint8_t *truncated;
  const uint32_t (*spans)[2];
} quern_output;

/** Version of the runtime, "0.1.0". Static. */
QUERN_API const char *quern_version(void);

/**
 * Opens a module file: maps it, checks its layout, checksums and manifest, and
 * only then loads its code. Matrices of 4 MB and more in all are read into
 * memory in huge pages, on threads that end before this returns; with
 * QUERN_WEIGHTS=mapped in the environment they stay in the file's mapping,
 * which processes share. `*module` is the caller's; free it with
 * quern_module_close after its sessions. Thread-safe.
 * Errors: FILE, FORMAT, VERSION, UNSUPPORTED, MEMORY; the message names the
 * file, what was found and what was expected.
 */
QUERN_API quern_status quern_module_open(const char *path,
                                         quern_module **module,
                                         quern_error *error);

/**
 * Opens a module that is linked into the program. The image and what it points
 * to must outlive the module; nothing is copied. Ownership of `*module` and
 * errors as quern_module_open.
 */
QUERN_API quern_status quern_module_open_linked(const quern_linked_image *image,
                                                quern_module **module,
                                                quern_error *error);

/** Frees a module and unloads its code. All sessions must be gone: they run
 *  that code, and neither call nor destroy can do without the module, which
 *  nothing checks. Null is allowed. */
QUERN_API void quern_module_close(quern_module *module);

/** Fills `description`. Cannot fail. Thread-safe. */
QUERN_API void quern_module_describe(const quern_module *module,
                                     quern_description *description);

/** Name of label `index`, or null beyond label_count. Lives as long as the
 *  module. Thread-safe. */
QUERN_API const char *quern_module_label(const quern_module *module,
                                         uint32_t index);

/** Text of token `id` of the module's tokenizer, `*bytes` long (which may be
 *  null) and not terminated, or null where there is none. Lives as long as
 *  the module. Thread-safe. */
QUERN_API const char *quern_module_token(const quern_module *module, int32_t id,
                                         size_t *bytes);

/**
 * Creates a session with `threads` threads, the caller of run being one of
 * them; 0 takes one per usable CPU. Results do not depend on the number.
 * `*session` is the caller's; free it with quern_session_destroy.
 * Errors: ARGUMENT (more than 256 threads), MEMORY. Thread-safe.
 */
QUERN_API quern_status quern_session_create(const quern_module *module,
                                            uint32_t threads,
                                            quern_session **session,
                                            quern_error *error);

/** Where a session runs. */
typedef enum quern_device {
  QUERN_DEVICE_CPU = 0,
  QUERN_DEVICE_CUDA = 1, /**< the first NVIDIA GPU; its driver is looked for */
  QUERN_DEVICE_AUTO = 2  /**< that GPU, or the CPU where it cannot be used */
} quern_device;

/**
 * Creates a session on a device: results are the same bytes. Modules for GPUs
 * are compiled with `--target nvptx`. With QUERN_DEVICE_CUDA `threads` does not
 * matter. Errors: those of quern_session_create, and, not with
 * QUERN_DEVICE_AUTO, UNSUPPORTED (the module has no code for GPUs, no driver,
 * no device, too old a device, the driver cannot compile the kernels) and
 * MEMORY (of the device). Thread-safe.
 */
QUERN_API quern_status quern_session_create_on(const quern_module *module,
                                               quern_device device,
                                               uint32_t threads,
                                               quern_session **session,
                                               quern_error *error);

/** Where the session runs: CPU or CUDA. Writes the device's name or, after
 *  QUERN_DEVICE_AUTO came to the CPU, why; otherwise "". `about` may be null,
 *  the string lives as long as the session and its next run. */
QUERN_API quern_device quern_session_device(const quern_session *session,
                                            const char **about);

/** Multiply-adds of 8-bit codes that the tensor cores of the session's GPU can
 *  do in a second, by the driver's account of the device; 0 on the CPU, or
 *  where the driver does not say. */
QUERN_API double quern_session_gpu_peak(const quern_session *session);

/** Stops the session's threads and frees its memory. Null is allowed. */
QUERN_API void quern_session_destroy(quern_session *session);

/**
 * Makes room for runs of up to `tokens` tokens in up to `sequences`
 * sequences. Runs within the capacity allocate nothing; a larger run calls
 * this itself, before its first step. Capacity never shrinks. Reserving
 * invalidates earlier outputs. Errors: ARGUMENT, MEMORY (capacity unchanged).
 */
QUERN_API quern_status quern_session_reserve(quern_session *session,
                                             uint32_t tokens,
                                             uint32_t sequences,
                                             quern_error *error);

/**
 * Cuts later texts to `tokens` tokens instead of the model's limit, special
 * tokens included. Errors: ARGUMENT (0, or more than the model's limit).
 */
QUERN_API quern_status quern_session_set_max_length(quern_session *session,
                                                    uint32_t tokens,
                                                    quern_error *error);

/**
 * Tokenizes and runs `count` texts or pairs as one batch. Texts longer than
 * the model's limit are truncated (see quern_output.truncated) or, with
 * QUERN_RUN_STRICT, refused. Texts are only read. `*output` points into the
 * session. Errors: ARGUMENT (no text, unknown options, no tokenizer in the
 * module, one that takes images, a pair for a model of one token type, a limit
 * that leaves no room for text, more tokens at once than the module can
 * number), TOO_LONG (also a text of 4 GB), FORMAT (the tokenizer has words that
 * the model has not), MEMORY; the message says which text.
 */
QUERN_API quern_status quern_run_texts(quern_session *session,
                                       const quern_text *texts, uint32_t count,
                                       uint32_t options, quern_output *output,
                                       quern_error *error);

/**
 * Runs token ids: sequence s is ids[offsets[s] .. offsets[s + 1]), special
 * tokens included. `type_ids` may be null: all 0. Positions count from 0 in
 * each sequence. `offsets` has sequences + 1 values, the first of them 0.
 * Arrays are only read. Errors: ARGUMENT (no sequence, offsets that do not
 * ascend, an id or type id outside the model's, an empty sequence), TOO_LONG (a
 * sequence of more tokens than the model's limit), MEMORY.
 */
QUERN_API quern_status quern_run_ids(quern_session *session, const int32_t *ids,
                                     const int32_t *type_ids,
                                     const int32_t *offsets, uint32_t sequences,
                                     quern_output *output, quern_error *error);

/**
 * Turns the bytes of an image, [height][width][channels], into what
 * quern_run_images takes of it, [channels][height][width]: (byte * rescale -
 * mean) / deviation. Both arrays are the caller's. Thread-safe. Errors:
 * ARGUMENT (null, or a format without mean and deviation).
 */
QUERN_API quern_status quern_normalize_image(const quern_image_format *format,
                                             const uint8_t *bytes,
                                             float *pixels, quern_error *error);

/**
 * Reads an image out of the `bytes` bytes of a file: binary PPM, or PGM where
 * the format has one channel, whose pixels are normalized; or a NumPy array of
 * f32 [channels][height][width], whose numbers are taken as they are. `pixels`
 * has room for what the format says, and is what quern_run_images takes.
 * Nothing is resized. Thread-safe. Errors: ARGUMENT (null, a file of another
 * kind or size, or pixels that the module does not say how to normalize).
 */
QUERN_API quern_status quern_read_image(const quern_image_format *format,
                                        const void *file, size_t bytes,
                                        float *pixels, quern_error *error);

/**
 * Runs `count` images as one batch through a vision module. `pixels` are the
 * images one after the other, each [channels][height][width] as
 * quern_description.image says, normalized; they are only read. Errors:
 * ARGUMENT (no image, a module that takes texts, a pixel that is not finite),
 * MEMORY.
 */
QUERN_API quern_status quern_run_images(quern_session *session,
                                        const float *pixels, uint32_t count,
                                        quern_output *output,
                                        quern_error *error);

/**
 * Tokenizes without running: fills the token fields of `*output` (data is
 * null), which point into the session. Errors as quern_run_texts.
 */
QUERN_API quern_status quern_tokenize(quern_session *session,
                                      const quern_text *texts, uint32_t count,
                                      uint32_t options, quern_output *output,
                                      quern_error *error);

/** What this machine can run and why it cannot run the rest, as text for
 *  people or as one JSON object. Writes at most `size` bytes, the terminating
 *  zero among them, into `buffer` (null: nothing); returns the length that the
 *  whole has without the zero. Thread-safe. */
QUERN_API size_t quern_doctor(int json, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* QUERN_QUERN_H */
