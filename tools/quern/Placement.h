//===- Placement.h - Which CPUs a command's threads run on ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_PLACEMENT_H
#define QUERN_TOOLS_QUERN_PLACEMENT_H

#include "lib/Support/Status.h"
#include "quern/introspect.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace quern::cli {

/// The CPUs of a list like "0-3,8", in its order and without repeats.
Expected<std::vector<int>> parseCpus(const std::string &text);

/// The flags --cpus and --numa, and what follows from them.
class Placement {
public:
  void addOptions(CLI::App &command);

  /// Keeps the process to the CPUs asked for, if any were. To be called before
  /// a module is opened: memory lies on the node of the thread that first
  /// writes it.
  Error take();

  /// Binds each thread of a session to a CPU, in the order of the list. An
  /// error if there are more threads than CPUs.
  Error bind(quern_session *session) const;

  /// Lets the calling thread, which is a session's first, onto all the CPUs
  /// again.
  void release() const;

private:
  std::string list;
  int node = -1;
  std::vector<int> cpus;
};

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_PLACEMENT_H
