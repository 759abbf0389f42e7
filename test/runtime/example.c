/*===- example.c - the whole C API in a few lines ---------------------------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 *===----------------------------------------------------------------------===*/

#include <quern/quern.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  quern_error error;
  quern_module *module;
  quern_session *session;
  quern_output output;
  quern_text text = {argv[2], strlen(argv[2]), NULL, 0};
  if (quern_module_open(argv[1], &module, &error) ||
      quern_session_create(module, 0, &session, &error) ||
      quern_run_texts(session, &text, 1, 0, &output, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  for (uint32_t i = 0; i < output.columns; i++)
    printf("%s %g\n", quern_module_label(module, i), output.data[i]);
  quern_session_destroy(session);
  quern_module_close(module);
  (void)argc;
  return 0;
}
