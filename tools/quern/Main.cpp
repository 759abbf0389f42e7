//===- Main.cpp - All subcommands -----------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Only dispatches: every subcommand has a file of its own. This is the program
// quern-compiler, which Launcher.cpp starts for what needs the compiler.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/InspectAccuracy.h"

#include "runtime/include/quern/quern.h"

using namespace quern::cli;

int main(int argc, char **argv) {
  CLI::App app{"quern - transformer encoders as integer machine code"};
  app.set_version_flag("--version", std::string("quern ") + quern_version());
  app.require_subcommand(1);
  app.footer("quern COMMAND --help explains a command, with an example.");

  Action action;
  addCompile(app, action);
  addRun(app, action);
  addEval(app, action);
  addInspect(app, action, inspectAccuracy);
  addVerify(app, action);
  addTokenize(app, action);
  addBench(app, action);
  addTune(app, action);
  addDoctor(app, action);

  return dispatch(app, action, argc, argv);
}
