//===- Dispatch.cpp - Parsing, errors and exit codes ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include "lib/Support/Unfinished.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <iostream>

namespace quern::cli {

int fail(const std::string &message) {
  std::fprintf(stderr, "quern: error: %s\n", message.c_str());
  return Failed;
}

int misuse(const std::string &message) {
  fail(message);
  return Usage;
}

void warn(const std::string &message) {
  std::fprintf(stderr, "quern: warning: %s\n", message.c_str());
}

/// Prints what is wrong with the command line; returns Usage.
static int misused(const CLI::App &app, const std::string &what) {
  std::string name = app.get_name().empty() ? "quern" : app.get_name();
  for (const CLI::App *used : app.get_subcommands())
    name += " " + used->get_name();
  std::fprintf(stderr, "quern: error: %s\n%s --help explains\n", what.c_str(),
               name.c_str());
  return Usage;
}

/// A program may be started with a standard stream closed. The next file that
/// is opened would take its number: a module be read as standard input, or a
/// message be written into the output. What stands in fails as a closed one.
static void keepStandardStreams() {
  for (int number : {0, 1, 2})
    if (fcntl(number, F_GETFD) < 0 && errno == EBADF)
      if (open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY) < 0)
        return;
}

int dispatch(CLI::App &app, const Action &action, int argc, char **argv) {
  keepStandardStreams();
  // A limit on the size of files is a full disk, not a reason to be killed.
  std::signal(SIGXFSZ, SIG_IGN);
  removeUnfinishedOnSignals();
  if (argc < 2)
    return misused(app, "found no command, expected one of those of --help");
  auto commands = app.get_subcommands(
      [&](const CLI::App *command) { return command->get_name() == argv[1]; });
  if (argv[1][0] != '-' && commands.empty())
    return misused(app, std::string(argv[1]) + ": is no command");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &done) {
    app.exit(done);
    return std::cout.flush() ? Ok : fail("standard output: cannot be written");
  } catch (const CLI::ParseError &error) {
    return misused(app, error.what());
  }
  try {
    int code = action ? action() : Usage;
    if ((std::fflush(stdout) || std::ferror(stdout)) && code == Ok)
      return fail("standard output: cannot be written");
    return code;
  } catch (const std::exception &error) {
    return fail(error.what());
  }
}

} // namespace quern::cli
