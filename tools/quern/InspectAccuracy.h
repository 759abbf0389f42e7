//===- InspectAccuracy.h - quern inspect --accuracy -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The half of `inspect` that runs the module, and its float model beside it.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_INSPECTACCURACY_H
#define QUERN_TOOLS_QUERN_INSPECTACCURACY_H

#include "tools/quern/Explain.h"

#include <string>

namespace quern::cli {

/// Options of `inspect`; most are for --accuracy.
struct InspectOptions {
  std::string module;
  bool json = false;
  bool accuracy = false;
  std::string text, model, html, front;
  unsigned samples = 32, threads = 0;
  bool pairs = false, quiet = false;
  /// For --explain.
  bool explain = false;
  ExplainOptions explanation;
};

/// Prints how far the module is from its float model. Returns an exit code.
int inspectAccuracy(const InspectOptions &options);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_INSPECTACCURACY_H
