//===- Toolchain.h - Temporary folders and programs -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_TOOLCHAIN_H
#define QUERN_COMPILER_EMIT_TOOLCHAIN_H

#include "lib/Support/Status.h"
#include "lib/Support/Unfinished.h"

#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A folder of our own that goes away with its contents.
class TemporaryFolder {
public:
  static Expected<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder &&other);
  ~TemporaryFolder();

  /// Path of `name` in the folder.
  std::string file(std::string_view name) const;
  /// Writes `bytes` to `name` and gives the path.
  Expected<std::string> write(std::string_view name,
                              std::string_view bytes) const;

private:
  TemporaryFolder(std::string path, Unfinished unfinished)
      : path(std::move(path)), unfinished(std::move(unfinished)) {}
  std::string path;
  Unfinished unfinished;
};

/// Finds the first of `names` on PATH or among LLVM's tools.
Expected<std::string> findProgram(const std::vector<std::string> &names);

/// Runs a program to its end. What it printed is in the error if it fails.
Error runProgram(const std::string &program,
                 const std::vector<std::string> &arguments,
                 const TemporaryFolder &folder);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_TOOLCHAIN_H
