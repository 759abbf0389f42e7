//===- Unfinished.cpp - What an interrupt must not leave behind -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A handler may call next to nothing: paths lie in memory of their own, and
// folders are read by the system call itself, as opendir() allocates.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Unfinished.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace quern;

namespace {

struct Slot {
  enum State { Free, Filling, Marked };
  std::atomic<State> state{Free};
  char path[PATH_MAX];
};

constexpr int slotCount = 64;
Slot slots[slotCount];
/// No slot is filled any more.
std::atomic<bool> ending{false};

/// What the system call fills its buffer with.
struct DirectoryEntry {
  uint64_t inode;
  int64_t next;
  unsigned short size;
  unsigned char type;
  char name[1];
};

} // namespace

/// Removes the files of a folder.
static void removeFiles(int folder) {
  alignas(DirectoryEntry) char buffer[4096];
  for (;;) {
    long bytes = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (bytes <= 0)
      return;
    for (long at = 0; at < bytes;) {
      auto *entry = reinterpret_cast<DirectoryEntry *>(buffer + at);
      unlinkat(folder, entry->name, 0);
      at += entry->size;
    }
  }
}

static void removePath(const char *path) {
  if (unlink(path) == 0 || (errno != EISDIR && errno != EPERM))
    return;
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return;
  // Other threads and the linker still run, and may make another file.
  for (int i = 0; i < 100 && rmdir(path) != 0 && errno == ENOTEMPTY; ++i) {
    lseek(folder, 0, SEEK_SET);
    removeFiles(folder);
  }
  close(folder);
}

static void removeAndEnd(int signal) {
  ending = true;
  for (Slot &slot : slots)
    if (slot.state == Slot::Marked)
      removePath(slot.path);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

Unfinished::Unfinished(const std::string &path) {
  if (path.empty() || path.size() >= PATH_MAX || ending)
    return;
  for (int i = 0; i < slotCount; ++i) {
    Slot::State expected = Slot::Free;
    if (!slots[i].state.compare_exchange_strong(expected, Slot::Filling))
      continue;
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].state = Slot::Marked;
    slot = i;
    return;
  }
}

Unfinished &Unfinished::operator=(Unfinished &&other) {
  if (this != &other) {
    release();
    slot = other.slot;
    other.slot = -1;
  }
  return *this;
}

void Unfinished::release() {
  if (slot >= 0)
    slots[slot].state = Slot::Free;
  slot = -1;
}

void quern::removeUnfinishedOnSignals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction found = {}, wanted = {};
    if (sigaction(signal, nullptr, &found) != 0 || found.sa_handler != SIG_DFL)
      continue;
    wanted.sa_handler = removeAndEnd;
    // One after the other, and whatever comes second waits.
    sigfillset(&wanted.sa_mask);
    sigaction(signal, &wanted, nullptr);
  }
}
