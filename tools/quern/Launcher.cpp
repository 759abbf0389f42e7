//===- Launcher.cpp - The program a user meets ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Running a module must not pay for loading LLVM (60 ms and 80 MB): `run`,
// `inspect` and `doctor` are done here, all else by quern-compiler, which lies
// beside this program and takes its place.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include "runtime/include/quern/quern.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <unistd.h>

using namespace quern::cli;

/// Path of quern-compiler: in the folder of this program.
static std::string compilerPath() {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  std::string self = length > 0 ? std::string(path, length) : "quern";
  return self.substr(0, self.find_last_of('/') + 1) + "quern-compiler";
}

int main(int argc, char **argv) {
  auto isCommand = [&](const char *name) {
    return argc > 1 && std::strcmp(argv[1], name) == 0;
  };
  auto hasOption = [&](const char *name) {
    return std::any_of(argv + 1, argv + argc, [&](const char *argument) {
      return std::strcmp(argument, name) == 0;
    });
  };
  // Accuracy is against the float model, which has to be compiled.
  bool inspects = isCommand("inspect") && !hasOption("--accuracy");
  if (!isCommand("run") && !inspects && !isCommand("doctor") &&
      !isCommand("--version")) {
    std::string compiler = compilerPath();
    execv(compiler.c_str(), argv);
    return fail(compiler + ": cannot be started: " + std::strerror(errno));
  }
  CLI::App app{"quern - transformer encoders as integer machine code", "quern"};
  app.set_version_flag("--version", std::string("quern ") + quern_version());
  app.require_subcommand(1);
  Action action;
  addRun(app, action);
  addInspect(app, action);
  addDoctor(app, action);
  return dispatch(app, action, argc, argv);
}
