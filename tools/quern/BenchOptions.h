//===- BenchOptions.h - Command line of quern bench -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHOPTIONS_H
#define QUERN_TOOLS_QUERN_BENCHOPTIONS_H

#include "tools/quern/BenchInput.h"
#include "tools/quern/BenchPeers.h"
#include "tools/quern/Placement.h"

#include "compiler/Bench/BenchReport.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace quern::cli {

/// What a user asks of `quern bench`.
struct BenchOptions {
  std::vector<std::string> modules, tiers;
  std::string gridText, html, markdown, match, device = "cpu";
  std::vector<int64_t> tokens;
  BenchGrid grid;
  BenchTexts texts;
  unsigned runs = 30, warmup = 5;
  PeerOptions peers;
  Placement placement;
  bool kernels = false, overhead = false, asJson = false, ops = false;

  /// Declares all flags of `command`, whose values go here.
  void addTo(CLI::App &command);
  /// Defaults that depend on other flags, once `command` is parsed.
  void settle(const CLI::App &command);

  bool onGpu() const { return device == "cuda"; }
  quern_device deviceId() const {
    return onGpu() ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU;
  }
  bool needsOps() const {
    return ops || asJson || !html.empty() || !markdown.empty();
  }

private:
  void addKernels(CLI::App &command);
  void addInputs(CLI::App &command);
  void addPeers(CLI::App &command);
  void addReports(CLI::App &command);
};

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHOPTIONS_H
