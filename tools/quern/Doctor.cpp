//===- Doctor.cpp - quern doctor: what this machine can run ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include "runtime/include/quern/quern.h"

#include <memory>
#include <vector>

namespace quern::cli {

static int doctor(bool json) {
  std::vector<char> text(quern_doctor(json, nullptr, 0) + 1);
  quern_doctor(json, text.data(), text.size());
  std::fputs(text.data(), stdout);
  return Ok;
}

void addDoctor(CLI::App &app, Action &action) {
  auto json = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand(
      "doctor", "Show the CPU features found and which tiers will run");
  command->add_flag("--json", *json, "As one JSON object");
  command->footer("Example: quern doctor");
  command->callback(
      [json, &action] { action = [json] { return doctor(*json); }; });
}

} // namespace quern::cli
