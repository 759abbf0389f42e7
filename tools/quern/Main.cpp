//===- Main.cpp - The program a user meets --------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Only dispatches: every subcommand has a file of its own.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include "runtime/include/quern/quern.h"

#include <cstdio>

using namespace quern::cli;

int quern::cli::fail(const std::string &message) {
  std::fprintf(stderr, "quern: error: %s\n", message.c_str());
  return Failed;
}

void quern::cli::warn(const std::string &message) {
  std::fprintf(stderr, "quern: warning: %s\n", message.c_str());
}

int main(int argc, char **argv) {
  CLI::App app{"quern - transformer encoders as integer machine code"};
  app.set_version_flag("--version", std::string("quern ") + quern_version());
  app.require_subcommand(1);
  app.footer("quern COMMAND --help explains a command, with an example.");

  Action action;
  addCompile(app, action);
  addRun(app, action);
  addEval(app, action);
  addInspect(app, action);
  //addVerify(app, action);
  addTokenize(app, action);
  addBench(app, action);
  addDoctor(app, action);

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
