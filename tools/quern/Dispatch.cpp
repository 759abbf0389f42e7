//===- Dispatch.cpp - Parsing, errors and exit codes ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include <cstdio>

namespace quern::cli {

int fail(const std::string &message) {
  std::fprintf(stderr, "quern: error: %s\n", message.c_str());
  return Failed;
}

void warn(const std::string &message) {
  std::fprintf(stderr, "quern: warning: %s\n", message.c_str());
}

int dispatch(CLI::App &app, const Action &action, int argc, char **argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    int code = app.exit(error);
    return code == 0 ? Ok : Usage;
  }
  try {
    return action ? action() : Usage;
  } catch (const std::exception &error) {
    return fail(error.what());
  }
}

} // namespace quern::cli
