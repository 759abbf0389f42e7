/*===- Program.c - main() of `quern compile --emit exe` ---------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * A program that holds one model: texts in, one line of JSON a text out, with
 * the keys that `quern run` writes. Linked with the model's image, which the
 * compiler names quern_program_image, and libquern.a; needs libc and libm.
 *
 *===----------------------------------------------------------------------===*/

#include "quern/quern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const quern_linked_image quern_program_image;

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

static int usage(const char *name, FILE *stream) {
  fprintf(stream,
          "Usage: %s [--pair] [--strict] [--threads N] [TEXT...]\n\n"
          "Runs the model inside on each TEXT, or on each line of standard "
          "input where there\nis none, and writes one line of JSON a text.\n\n"
          "  --pair       texts come in pairs: two arguments, or a line with "
          "a tab between\n"
          "  --strict     refuse a text that is too long instead of cutting "
          "it\n"
          "  --threads N  threads; 0 is one per CPU; results do not depend on "
          "it\n\n"
          "Example: %s \"a gripping film\"\n",
          name, name);
  return stream == stderr ? 2 : 0;
}

static int complain(const program *p, const char *message) {
  fprintf(stderr, "%s: error: %s\n", p->name, message);
  return 1;
}

/* JSON --------------------------------------------------------------------- */

/** Length of the UTF-8 character at `at`, or 0 where there is none. */
static size_t characterLength(const unsigned char *at, size_t left) {
  size_t length = at[0] < 0x80   ? 1
                  : at[0] < 0xc2 ? 0
                  : at[0] < 0xe0 ? 2
                  : at[0] < 0xf0 ? 3
                  : at[0] < 0xf5 ? 4
                                 : 0;
  if (length > left)
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  /* Overlong forms, surrogates and what lies above U+10FFFF. */
  if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
      (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
    return 0;
  return length;
}

static void printString(const char *text, size_t bytes) {
  const unsigned char *at = (const unsigned char *)text;
  putchar('"');
  for (size_t i = 0; i < bytes;) {
    size_t length = characterLength(at + i, bytes - i);
    if (length == 0)
      fputs("\xef\xbf\xbd", stdout);
    else if (at[i] == '"' || at[i] == '\\')
      printf("\\%c", at[i]);
    else if (at[i] < 0x20)
      printf("\\u%04x", at[i]);
    else
      fwrite(at + i, 1, length, stdout);
    i += length ? length : 1;
  }
  putchar('"');
}

/** The shortest decimal that reads back to the float, or the double. */
static void printNumber(double value, int isFloat) {
  char text[40];
  for (int digits = isFloat ? 6 : 15; digits <= 17; ++digits) {
    snprintf(text, sizeof(text), "%.*g", digits, value);
    if (isFloat ? strtof(text, NULL) == (float)value
                : strtod(text, NULL) == value)
      break;
  }
  /* JSON has no infinities. */
  fputs(isfinite(value) ? text : "null", stdout);
}

static void printFloats(const float *values, uint32_t count) {
  putchar('[');
  for (uint32_t i = 0; i < count; ++i) {
    if (i)
      putchar(',');
    printNumber(values[i], 1);
  }
  putchar(']');
}

static void printLabel(const program *p, uint32_t index) {
  char made[32];
  const char *name = quern_module_label(p->module, index);
  if (!name) {
    snprintf(made, sizeof(made), "LABEL_%u", index);
    name = made;
  }
  printString(name, strlen(name));
}

/* Results ------------------------------------------------------------------ */

/** Index of the largest logit, and its softmax probability. */
static uint32_t bestLabel(const float *logits, uint32_t count, double *score) {
  uint32_t best = 0;
  double sum = 0;
  for (uint32_t i = 1; i < count; ++i)
    if (logits[i] > logits[best])
      best = i;
  for (uint32_t i = 0; i < count; ++i)
    sum += exp((double)logits[i] - logits[best]);
  *score = 1 / sum;
  return best;
}

/** The text that a token was cut from, and the token's place in it. */
static const char *sourceOf(const quern_text *text, const quern_output *out,
                            uint32_t token) {
  return text->pair && out->type_ids[token] ? text->pair : text->text;
}

static void printTokens(const program *p, const quern_text *text,
                        const quern_output *out, uint32_t begin, uint32_t end) {
  printf(",\"tokens\":[");
  for (uint32_t t = begin; t < end; ++t) {
    double score;
    uint32_t from = out->spans[t][0], to = out->spans[t][1];
    uint32_t best =
        bestLabel(out->data + (size_t)t * out->columns, out->columns, &score);
    printf("%s{\"end\":%u,\"label\":", t == begin ? "" : ",", to);
    printLabel(p, best);
    printf(",\"score\":");
    printNumber(score, 0);
    printf(",\"start\":%u,\"token\":", from);
    printString(sourceOf(text, out, t) + from, to - from);
    putchar('}');
  }
  putchar(']');
}

/** The best span of the second text, or of the only one. */
static void printAnswer(const quern_text *text, const quern_output *out,
                        uint32_t begin, uint32_t end) {
  enum { Longest = 30 };
  double best = -INFINITY;
  uint32_t from = begin, to = begin;
  for (uint32_t first = begin; first < end; ++first)
    for (uint32_t last = first; last < end && last < first + Longest; ++last) {
      if (out->spans[last][0] == out->spans[last][1] ||
          (text->pair && out->type_ids[last] != 1))
        break;
      double score = (double)out->data[(size_t)first * out->columns] +
                     out->data[(size_t)last * out->columns + 1];
      if (score > best) {
        best = score;
        from = first;
        to = last;
      }
    }
  if (best == -INFINITY) {
    printf("\"best\":null,");
    return;
  }
  uint32_t start = out->spans[from][0], stop = out->spans[to][1];
  printf("\"best\":{\"answer\":");
  printString(sourceOf(text, out, from) + start, stop - start);
  printf(",\"end\":%u,\"score\":", stop);
  printNumber(best, 0);
  printf(",\"start\":%u},", start);
}

static void printResult(const program *p, const quern_text *text,
                        const quern_output *out) {
  putchar('{');
  if (p->model.rows_are_tokens) {
    int answers = p->model.head == QUERN_HEAD_QUESTION_ANSWERING;
    if (answers && out->columns >= 2)
      printAnswer(text, out, 0, out->tokens);
    printf("\"logits\":[");
    for (uint32_t t = 0; t < out->tokens; ++t) {
      if (t)
        putchar(',');
      printFloats(out->data + (size_t)t * out->columns, out->columns);
    }
    putchar(']');
    if (!answers)
      printTokens(p, text, out, 0, out->tokens);
  } else if (p->model.head == QUERN_HEAD_EMBEDDING) {
    printf("\"embedding\":");
    printFloats(out->data, out->columns);
  } else {
    double score;
    uint32_t best = bestLabel(out->data, out->columns, &score);
    if (p->model.head != QUERN_HEAD_REGRESSION) {
      printf("\"label\":");
      printLabel(p, best);
      putchar(',');
    }
    printf("\"logits\":");
    printFloats(out->data, out->columns);
    printf(",\"score\":");
    if (p->model.head == QUERN_HEAD_REGRESSION)
      printNumber(out->data[0], 1);
    else
      printNumber(score, 0);
  }
  fputs("}\n", stdout);
}

/* Running ------------------------------------------------------------------ */

/** Runs one text, the `number`-th, and prints its result. */
static int runText(const program *p, const quern_text *text, size_t number) {
  quern_error error;
  quern_output output;
  if (quern_run_texts(p->session, text, 1, p->strict ? QUERN_RUN_STRICT : 0,
                      &output, &error)) {
    fprintf(stderr, "%s: error: text %zu: %s\n", p->name, number,
            error.message);
    return 1;
  }
  if (output.truncated[0])
    fprintf(stderr, "%s: warning: text %zu was cut to %u tokens\n", p->name,
            number, p->model.max_length);
  printResult(p, text, &output);
  return ferror(stdout) ? complain(p, "standard output cannot be written") : 0;
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
    quern_text text = {line, (size_t)length, NULL, 0};
    char *tab = p->pairs ? memchr(line, '\t', (size_t)length) : NULL;
    if (p->pairs && !tab) {
      fprintf(stderr,
              "%s: error: line %zu: found no tab, expected two texts "
              "with a tab between\n",
              p->name, number);
      status = 1;
      break;
    }
    if (tab) {
      text.text_bytes = (size_t)(tab - line);
      text.pair = tab + 1;
      text.pair_bytes = (size_t)length - text.text_bytes - 1;
    }
    status = runText(p, &text, number);
  }
  if (status == 0 && ferror(stdin))
    status = complain(p, "standard input cannot be read");
  free(line);
  return status;
}

static int runArguments(const program *p, char **texts, int count) {
  int status = 0;
  for (int i = 0; status == 0 && i < count; i += 1 + p->pairs) {
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
      return usage(p.name, stdout);
    if (strcmp(argv[i], "--pair") == 0) {
      p.pairs = 1;
    } else if (strcmp(argv[i], "--strict") == 0) {
      p.strict = 1;
    } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      char *end;
      unsigned long threads = strtoul(argv[++i], &end, 10);
      if (*end || end == argv[i] || threads > 256)
        return usage(p.name, stderr);
      p.threads = (uint32_t)threads;
    } else {
      return usage(p.name, stderr);
    }
  }
  if (p.pairs && (argc - i) % 2 != 0)
    return usage(p.name, stderr);

  quern_error error;
  if (quern_module_open_linked(&quern_program_image, &p.module, &error))
    return complain(&p, error.message);
  quern_module_describe(p.module, &p.model);
  int status;
  if (quern_session_create(p.module, p.threads, &p.session, &error))
    status = complain(&p, error.message);
  else
    status = i < argc ? runArguments(&p, argv + i, argc - i) : runLines(&p);
  if (fflush(stdout) != 0 && status == 0)
    status = complain(&p, "standard output cannot be written");
  quern_session_destroy(p.session);
  quern_module_close(p.module);
  return status;
}
