//===- Progress.h - One line that shows how far a command is ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_PROGRESS_H
#define QUERN_TOOLS_QUERN_PROGRESS_H

#include <cstdio>
#include <string>
#include <unistd.h>

namespace quern::cli {

/// Writes to standard error: a line that renews itself on a terminal, a line
/// per stage elsewhere.
class Progress {
public:
  explicit Progress(bool on) : on(on), terminal(isatty(2)) {}

  void update(const std::string &stage, double fraction) {
    if (!on)
      return;
    if (terminal)
      std::fprintf(stderr, "\r\033[K%3.0f %% %s", 100 * fraction,
                   stage.c_str());
    else if (stage != last)
      std::fprintf(stderr, "%3.0f %% %s\n", 100 * fraction, stage.c_str());
    last = stage;
  }

  /// Prints a line of its own.
  void line(const std::string &text) {
    clear();
    std::fprintf(stderr, "%s\n", text.c_str());
  }

  /// False with --quiet.
  bool isOn() const { return on; }

  void finish() { clear(); }

private:
  void clear() {
    if (on && terminal)
      std::fprintf(stderr, "\r\033[K");
  }

  bool on, terminal;
  std::string last;
};

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_PROGRESS_H
