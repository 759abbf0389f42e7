//===- Commands.h - The subcommands of quern --------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Each subcommand registers its options with CLI11 and leaves the function to
// run in `Command::action`. Exit codes: 0 ok, 1 error, 2 usage, 3 mismatch.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_COMMANDS_H
#define QUERN_TOOLS_QUERN_COMMANDS_H

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace quern::cli {

enum ExitCode { Ok = 0, Failed = 1, Usage = 2, Mismatch = 3 };

/// The function of the subcommand that the user chose; set while parsing.
using Action = std::function<int()>;

void addCompile(CLI::App &app, Action &action);
void addRun(CLI::App &app, Action &action);
void addEval(CLI::App &app, Action &action);
/// What `inspect --accuracy` does; null in the program without the compiler.
struct InspectOptions;
using AccuracyCommand = int (*)(const InspectOptions &options);
void addInspect(CLI::App &app, Action &action,
                AccuracyCommand accuracy = nullptr);
void addVerify(CLI::App &app, Action &action);
void addTokenize(CLI::App &app, Action &action);
void addBench(CLI::App &app, Action &action);
void addTune(CLI::App &app, Action &action);
void addDoctor(CLI::App &app, Action &action);

/// Parses the command line and runs the action it chose. Returns the exit code.
int dispatch(CLI::App &app, const Action &action, int argc, char **argv);

/// Prints `quern: error: MESSAGE` to standard error; returns Failed.
int fail(const std::string &message);

/// The same for a wrong command line; returns Usage.
int misuse(const std::string &message);

/// Prints `quern: warning: MESSAGE` to standard error.
void warn(const std::string &message);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_COMMANDS_H
