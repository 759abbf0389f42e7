/*===- Program.c - main() of `quern compile --emit exe` ---------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * A program that holds one model: texts or images in, one line of JSON for each
 * out, with the keys that `quern run` writes. Linked with the model's image,
 * which the compiler names quern_program_image, and libquern.a; needs libc and
 * libm.
 *
 *===----------------------------------------------------------------------===*/

#include "runtime/src/Program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const quern_linked_image quern_program_image;

static int usage(const char *name) {
  fprintf(stdout,
          "Usage: %s [--pair] [--strict] [--threads N] [TEXT...]\n\n"
          "Runs the model inside on each TEXT, or on each line of standard "
          "input where there\nis none, and writes one line of JSON a text. "
          "For a vision model a TEXT is the path\nof an image of its size "
          "(PPM, PGM or NumPy), or - for one on standard input.\n\n"
          "  --pair       texts come in pairs: two arguments, or a line with "
          "a tab between\n"
          "  --strict     refuse a text that is too long instead of cutting "
          "it\n"
          "  --threads N  threads; 0 is one per CPU; results do not depend on "
          "it\n\n"
          "Example: %s \"a gripping film\"\n",
          name, name);
  return 0;
}

/** Says what is wrong with the command line. */
static int misuse(const program *p, const char *option, const char *message) {
  fprintf(stderr, "%s: error: %s: %s\n%s --help explains\n", p->name, option,
          message, p->name);
  return 2;
}

int complain(const program *p, const char *message) {
  fprintf(stderr, "%s: error: %s\n", p->name, message);
  return 1;
}

/* Running ------------------------------------------------------------------ */

/** Runs one text, the `number`-th, and prints its result. */
static int runText(const program *p, const quern_text *text, size_t number) {
  quern_error error;
  quern_output output;
  if (quern_run_texts(p->session, text, 1, p->strict ? QUERN_RUN_STRICT : 0,
                      &output, &error)) {
    /* The batch is of one text, whose number there says nothing. */
    const char *batch = "text 0: ", *message = error.message;
    if (strncmp(message, batch, strlen(batch)) == 0)
      message += strlen(batch);
    fprintf(stderr, "%s: error: text %zu: %s\n", p->name, number, message);
    return 1;
  }
  if (output.truncated[0])
    fprintf(stderr, "%s: warning: text %zu was cut to %u tokens\n", p->name,
            number, p->model.max_length);
  return printResult(p, NULL, text, &output);
}

/** Runs a line without its end, the `number`-th. */
static int runLine(const program *p, char *line, size_t length, size_t number) {
  quern_text text = {line, length, NULL, 0};
  char *tab = p->pairs ? memchr(line, '\t', length) : NULL;
  if (p->pairs && !tab) {
    fprintf(stderr,
            "%s: error: line %zu: found no tab, expected two texts "
            "with a tab between\n",
            p->name, number);
    return 1;
  }
  if (tab) {
    text.text_bytes = (size_t)(tab - line);
    text.pair = tab + 1;
    text.pair_bytes = length - text.text_bytes - 1;
  }
  return runText(p, &text, number);
}

static int runLines(const program *p) {
  char *line = NULL;
  size_t room = 0, number = 0;
  ssize_t length;
  int status = 0;
  while (status == 0 && (length = getline(&line, &room, stdin)) >= 0) {
    ++number;
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
      --length;
    line[length] = 0;
    status = p->model.image.channels ? runImage(p, line)
                                     : runLine(p, line, (size_t)length, number);
  }
  if (status == 0 && ferror(stdin))
    status = complain(p, "standard input cannot be read");
  free(line);
  return status;
}

static int runArguments(const program *p, char **texts, int count) {
  int status = 0;
  for (int i = 0; status == 0 && i < count; i += 1 + p->pairs) {
    if (p->model.image.channels) {
      status = runImage(p, texts[i]);
      continue;
    }
    quern_text text = {texts[i], strlen(texts[i]), NULL, 0};
    if (p->pairs) {
      text.pair = texts[i + 1];
      text.pair_bytes = strlen(text.pair);
    }
    status = runText(p, &text, (size_t)i / (size_t)(1 + p->pairs) + 1);
  }
  return status;
}

int main(int argc, char **argv) {
  program p = {argv[0], 0, 0, 0, NULL, NULL, {0}};
  int i = 1;
  for (; i < argc && strncmp(argv[i], "--", 2) == 0; ++i) {
    if (strcmp(argv[i], "--") == 0) {
      ++i;
      break;
    }
    if (strcmp(argv[i], "--help") == 0)
      return usage(p.name);
    if (strcmp(argv[i], "--pair") == 0) {
      p.pairs = 1;
    } else if (strcmp(argv[i], "--strict") == 0) {
      p.strict = 1;
    } else if (strcmp(argv[i], "--threads") == 0) {
      const char *number = ++i < argc ? argv[i] : "";
      char *end;
      unsigned long threads = strtoul(number, &end, 10);
      if (*end || end == number || threads > 256)
        return misuse(&p, "--threads", "expected a number from 0 to 256");
      p.threads = (uint32_t)threads;
    } else {
      return misuse(&p, argv[i], "is no option");
    }
  }
  if (p.pairs && (argc - i) % 2 != 0)
    return misuse(&p, "--pair", "expected an even number of texts");

  quern_error error;
  if (quern_module_open_linked(&quern_program_image, &p.module, &error))
    return complain(&p, error.message);
  quern_module_describe(p.module, &p.model);
  int status;
  if (p.model.image.channels && (p.pairs || p.strict))
    status = complain(&p, "found a vision model, expected a text model for "
                          "--pair and --strict");
  else if (quern_session_create(p.module, p.threads, &p.session, &error))
    status = complain(&p, error.message);
  else
    status = i < argc ? runArguments(&p, argv + i, argc - i) : runLines(&p);
  if (fflush(stdout) != 0 && status == 0)
    status = complain(&p, "standard output cannot be written");
  quern_session_destroy(p.session);
  quern_module_close(p.module);
  return status;
}
