/*===- ProgramImages.c - Images of a program with a vision model ------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 *===----------------------------------------------------------------------===*/

#include "runtime/src/Program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const program *p, const char *path, const char *message) {
  fprintf(stderr, "%s: error: %s: %s\n", p->name, path, message);
  return 1;
}

/** The rest of a file, up to `most` bytes and one more; null if memory is out
 *  or it cannot be read. The caller frees it. */
static char *readAll(FILE *file, size_t most, size_t *size) {
  size_t room = 1 << 16;
  char *bytes = malloc(room);
  *size = 0;
  while (bytes) {
    *size += fread(bytes + *size, 1, room - *size, file);
    if (*size < room || room > most)
      break;
    char *larger = realloc(bytes, room *= 2);
    if (!larger)
      free(bytes);
    bytes = larger;
  }
  if (bytes && ferror(file)) {
    free(bytes);
    bytes = NULL;
  }
  return bytes;
}

static int runBytes(const program *p, const char *path, const char *bytes,
                    size_t size) {
  const quern_image_format *format = &p->model.image;
  size_t numbers = (size_t)format->channels * format->height * format->width;
  float *pixels = malloc(numbers * sizeof(float));
  if (!pixels)
    return refuse(p, path, "out of memory for images");
  quern_error error;
  quern_output output;
  int status;
  if (quern_read_image(format, bytes, size, pixels, &error)) {
    status = refuse(p, path, error.message);
  } else if (quern_run_images(p->session, pixels, 1, &output, &error)) {
    /* It is the only one. */
    const char *only = "image 0: ", *message = error.message;
    if (strncmp(message, only, strlen(only)) == 0)
      message += strlen(only);
    status = refuse(p, path, message);
  } else {
    status = printResult(p, path, NULL, &output);
  }
  free(pixels);
  return status;
}

int runImage(const program *p, const char *path) {
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (!file)
    return refuse(p, path, strerror(errno));
  size_t size;
  char *bytes = readAll(file, (size_t)1 << 30, &size);
  int status = bytes ? runBytes(p, path, bytes, size)
                     : refuse(p, path, "the file cannot be read");
  free(bytes);
  if (file != stdin)
    fclose(file);
  return status;
}
