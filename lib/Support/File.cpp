//===- File.cpp - Mapped input files and all-or-nothing output files ------===//
//
// POSIX calls only; see File.h.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/File.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;

/// `PATH: what: reason of errno`.
static Error systemError(const std::string &path, const char *what) {
  return Error::make(path, ": ", what, ": ", std::strerror(errno));
}

Expected<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  // Without O_NONBLOCK a named pipe would block here for ever.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return systemError(path, "cannot be read");
  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    Error error = systemError(path, "cannot be read");
    ::close(descriptor);
    return error;
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error::make(path, ": found ",
                       S_ISDIR(status.st_mode) ? "a directory"
                                               : "a device or pipe",
                       ", expected a file");
  }
  size_t length = static_cast<size_t>(status.st_size);
  void *bytes = nullptr;
  if (length != 0) {
    bytes = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) {
      Error error = systemError(path, "cannot be mapped");
      ::close(descriptor);
      return error;
    }
  }
  ::close(descriptor);
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const std::byte *>(bytes), length));
}

MappedFile::~MappedFile() {
  if (bytes)
    ::munmap(const_cast<std::byte *>(bytes), length);
}

void MappedFile::release(const void *begin, size_t size) const {
  // Only whole pages; the neighbours' bytes on shared pages stay.
  auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  auto first = reinterpret_cast<uintptr_t>(begin);
  uintptr_t low = (first + page - 1) / page * page;
  uintptr_t high = (first + size) / page * page;
  if (low < high)
    ::madvise(reinterpret_cast<void *>(low), high - low, MADV_DONTNEED);
}

bool quern::fileExists(const std::string &path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0;
}

Expected<std::string> quern::readFile(const std::string &path, size_t limit) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  if ((*file)->size() > limit)
    return Error::make(path, ": found ", (*file)->size(),
                       " bytes, expected at most ", limit);
  return std::string((*file)->text());
}

std::string quern::joinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/')
    path += '/';
  path += name;
  return path;
}

Expected<OutputFile> OutputFile::create(const std::string &path) {
  if (path.empty())
    return Error("output: found an empty name, expected that of a file");
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode))
      return Error::make(path, ": found a directory, expected a file name");
    int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
      return systemError(path, "cannot be written");
    return OutputFile(path, "", Unfinished(), descriptor);
  }
  std::string temporary = path + ".tmp." + std::to_string(::getpid());
  Unfinished unfinished(temporary);
  int descriptor =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return systemError(path, "cannot be written");
  return OutputFile(path, std::move(temporary), std::move(unfinished),
                    descriptor);
}

OutputFile::OutputFile(OutputFile &&other)
    : path(std::move(other.path)), temporary(std::move(other.temporary)),
      unfinished(std::move(other.unfinished)), descriptor(other.descriptor),
      written(other.written) {
  other.descriptor = -1;
}

void OutputFile::discard() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  descriptor = -1;
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  unfinished.release();
}

OutputFile::~OutputFile() { discard(); }

Error OutputFile::write(const void *bytes, size_t size) {
  const char *next = static_cast<const char *>(bytes);
  written += size;
  while (size != 0) {
    ssize_t done = ::write(descriptor, next, size);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return systemError(path, "cannot be written");
    next += done;
    size -= static_cast<size_t>(done);
  }
  return Error::success();
}

Error OutputFile::makeExecutable() {
  struct stat status;
  if (::fstat(descriptor, &status) != 0 ||
      ::fchmod(descriptor,
               (status.st_mode | (status.st_mode >> 2 & 0111)) & 07777) != 0)
    return systemError(path, "cannot be made executable");
  return Error::success();
}

Error OutputFile::commit() {
  // A network or quota-limited file system may report a full disk only here.
  int closed = ::close(descriptor);
  descriptor = -1;
  bool named = closed == 0 && (temporary.empty() ||
                               ::rename(temporary.c_str(), path.c_str()) == 0);
  if (named) {
    unfinished.release();
    return Error::success();
  }
  Error error = systemError(path, "cannot be written");
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  return error;
}

Error quern::writeFile(const std::string &path, std::string_view text) {
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (Error error = file->write(text))
    return error;
  return file->commit();
}
