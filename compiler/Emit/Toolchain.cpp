//===- Toolchain.cpp - Temporary folders and programs ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/Toolchain.h"

#include "lib/Support/File.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"

#include <optional>

namespace quern {

Expected<TemporaryFolder> TemporaryFolder::create() {
  std::error_code code;
  // Names are random: another one where somebody has it already.
  for (int i = 0; i < 100; ++i) {
    llvm::SmallString<128> path;
    llvm::sys::fs::createUniquePath("quern-%%%%%%%%", path,
                                    /*MakeAbsolute=*/true);
    Unfinished unfinished((std::string(path)));
    code = llvm::sys::fs::create_directory(path, /*IgnoreExisting=*/false,
                                           llvm::sys::fs::owner_all);
    if (!code)
      return TemporaryFolder(std::string(path), std::move(unfinished));
    if (code != std::errc::file_exists)
      break;
  }
  return Error::make("temporary folder: cannot be made: ", code.message());
}

TemporaryFolder::TemporaryFolder(TemporaryFolder &&other)
    : path(std::move(other.path)), unfinished(std::move(other.unfinished)) {
  other.path.clear();
}

TemporaryFolder::~TemporaryFolder() {
  if (!path.empty())
    (void)llvm::sys::fs::remove_directories(path);
}

std::string TemporaryFolder::file(std::string_view name) const {
  return joinPath(path, name);
}

Expected<std::string> TemporaryFolder::write(std::string_view name,
                                             std::string_view bytes) const {
  std::string to = file(name);
  Expected<OutputFile> output = OutputFile::create(to);
  if (!output)
    return output.takeError();
  if (Error error = output->write(bytes))
    return error;
  if (Error error = output->commit())
    return error;
  return to;
}

Expected<std::string> findProgram(const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    if (auto found = llvm::sys::findProgramByName(name))
      return *found;
    if (auto found = llvm::sys::findProgramByName(name, {QUERN_LLVM_TOOLS}))
      return *found;
  }
  return Error::make("program ", names.front(),
                     ": not found on PATH, expected LLVM 22's tools (Debian "
                     "packages lld-22, llvm-22, clang-22)");
}

Error runProgram(const std::string &program,
                 const std::vector<std::string> &arguments,
                 const TemporaryFolder &folder) {
  std::vector<llvm::StringRef> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::string log = folder.file("log");
  std::optional<llvm::StringRef> redirects[] = {
      std::nullopt, llvm::StringRef(log), llvm::StringRef(log)};
  std::string message;
  int code = llvm::sys::ExecuteAndWait(program, all, std::nullopt, redirects,
                                       /*SecondsToWait=*/0, /*MemoryLimit=*/0,
                                       &message);
  if (code == 0)
    return Error::success();
  if (Expected<std::string> printed = readFile(log))
    message += *printed;
  return Error::make(program, ": failed with code ", code, ": ",
                     printable(message, 2000));
}

} // namespace quern
