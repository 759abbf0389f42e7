/*===- Program.h - The parts of a program with a model inside ---------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * Program.c is main(); it needs libc, libm and libquern.a, as do these.
 *
 *===----------------------------------------------------------------------===*/

#ifndef QUERN_RUNTIME_SRC_PROGRAM_H
#define QUERN_RUNTIME_SRC_PROGRAM_H

#include "quern/quern.h"

/** What the command line and the model say. */
typedef struct program {
  const char *name;
  int pairs;
  int strict;
  uint32_t threads;
  quern_module *module;
  quern_session *session;
  quern_description model;
} program;

/** Writes an error; returns 1, the exit code. */
int complain(const program *p, const char *message);

/** Writes a line of JSON. `id` may be null, and `text` where rows are not
 *  tokens. Returns 0, or 1 after an error. */
int printResult(const program *p, const char *id, const quern_text *text,
                const quern_output *out);

/** Runs the image in a file, or on standard input where the path is "-", and
 *  writes its result. Returns 0, or 1 after an error. */
int runImage(const program *p, const char *path);

#endif /* QUERN_RUNTIME_SRC_PROGRAM_H */
