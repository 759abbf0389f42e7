/*===- two-models.c - Two compiled models in one program -------------------===
 *
 * Runs two models that are linked into the program.
 *
 *===----------------------------------------------------------------------===*/
#include "main.h"
#include "two.h"

#include <stdio.h>
#include <string.h>

static int run(const char *name, const quern_linked_image *image,
               const char *line) {
  quern_module *module;
  quern_session *session;
  quern_output output;
  quern_error error;
  quern_text text = {line, strlen(line), NULL, 0};
  if (quern_module_open_linked(image, &module, &error) ||
      quern_session_create(module, 1, &session, &error) ||
      quern_run_texts(session, &text, 1, 0, &output, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  printf("%s: %u outputs, the first is %g\n", name, output.columns,
         output.data[0]);
  quern_session_destroy(session);
  quern_module_close(module);
  return 0;
}

int main(int argc, char **argv) {
  return argc < 2 || run("main_model", &main_model, argv[1]) ||
         run("two_model", &two_model, argv[1]);
}
