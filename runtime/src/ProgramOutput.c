/*===- ProgramOutput.c - Results of a program, as JSON ----------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * The keys are those that `quern run` writes, in the order of the alphabet.
 *
 *===----------------------------------------------------------------------===*/

#include "runtime/src/Program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int printResult(const program *p, const char *id, const quern_text *text,
                const quern_output *out) {
  putchar('{');
  if (id) {
    printf("\"id\":");
    printString(id, strlen(id));
    putchar(',');
  }
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
  return ferror(stdout) ? complain(p, "standard output cannot be written") : 0;
}
