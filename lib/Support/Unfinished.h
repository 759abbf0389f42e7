//===- Unfinished.h - What an interrupt must not leave behind --*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Temporary files and folders go away with their objects, but no destructor
// runs when a signal ends the program: those marked here are removed then.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_UNFINISHED_H
#define QUERN_LIB_SUPPORT_UNFINISHED_H

#include <string>

namespace quern {

/// Marks a file, or a folder of files, for as long as it lives; best before it
/// is made, so that no signal comes between. A few dozen can be marked at once;
/// more are left behind like any file.
class Unfinished {
public:
  Unfinished() = default;
  explicit Unfinished(const std::string &path);
  Unfinished(Unfinished &&other) : slot(other.slot) { other.slot = -1; }
  Unfinished &operator=(Unfinished &&other);
  ~Unfinished() { release(); }

  /// The file is to stay, or is gone.
  void release();

private:
  int slot = -1;
};

/// Has SIGINT, SIGTERM and SIGHUP remove what is marked before they end the
/// program as ever. For programs: a library has no business with signals. Those
/// that are ignored, as under nohup, stay ignored.
void removeUnfinishedOnSignals();

} // namespace quern

#endif // QUERN_LIB_SUPPORT_UNFINISHED_H
