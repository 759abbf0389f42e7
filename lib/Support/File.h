//===- File.h - Mapped input files and all-or-nothing output files --------===//
//
// MappedFile reads a regular file without copying it; OutputFile writes one
// so that a failure (full disk, crash) leaves no partial file behind.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_FILE_H
#define QUERN_LIB_SUPPORT_FILE_H

#include "lib/Support/Status.h"
#include "lib/Support/Unfinished.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace quern {

/// A regular file mapped read-only for as long as the object lives.
class MappedFile {
public:
  /// Maps `path`. Directories, devices and pipes are refused. An empty file
  /// has no bytes and is no error.
  static Expected<std::shared_ptr<const MappedFile>>
  open(const std::string &path);

  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  /// The first byte; page aligned, null for an empty file.
  const std::byte *data() const { return bytes; }
  /// The number of bytes.
  size_t size() const { return length; }
  /// The bytes as text.
  std::string_view text() const {
    return {reinterpret_cast<const char *>(bytes), length};
  }
  /// Gives the memory of some bytes back to the system until they are read
  /// again: a pass over a large file need not keep all of it resident.
  void release(const void *begin, size_t size) const;
  /// The path as it was given to open().
  const std::string &path() const { return name; }

private:
  MappedFile(std::string path, const std::byte *bytes, size_t length)
      : name(std::move(path)), bytes(bytes), length(length) {}

  std::string name;
  const std::byte *bytes;
  size_t length;
};

/// True when `path` names anything at all.
bool fileExists(const std::string &path);

/// A whole regular file of at most `limit` bytes.
Expected<std::string> readFile(const std::string &path,
                               size_t limit = size_t(256) << 20);

/// `directory` and `name` with one slash between.
std::string joinPath(std::string_view directory, std::string_view name);

/// A file that appears under its name only when commit() succeeded. Bytes go
/// to a temporary file beside it, which is removed otherwise. A path that is
/// there and no regular file (a pipe, /dev/null) is written in place.
class OutputFile {
public:
  /// Opens the temporary file.
  static Expected<OutputFile> create(const std::string &path);

  OutputFile(OutputFile &&other);
  OutputFile &operator=(OutputFile &&) = delete;
  /// Removes the temporary file unless commit() succeeded.
  ~OutputFile();

  /// Appends bytes.
  Error write(const void *bytes, size_t size);
  /// Appends text.
  Error write(std::string_view text) { return write(text.data(), text.size()); }
  /// Lets whoever may read the file run it.
  Error makeExecutable();
  /// Bytes written so far.
  uint64_t position() const { return written; }
  /// Closes the file and gives it its name.
  Error commit();

private:
  OutputFile(std::string path, std::string temporary, Unfinished unfinished,
             int descriptor)
      : path(std::move(path)), temporary(std::move(temporary)),
        unfinished(std::move(unfinished)), descriptor(descriptor) {}
  void discard();

  std::string path;
  /// Empty when the path is written in place.
  std::string temporary;
  Unfinished unfinished;
  int descriptor;
  uint64_t written = 0;
};

/// Writes a whole file, or leaves none behind.
Error writeFile(const std::string &path, std::string_view text);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_FILE_H
