//===- Memory.cpp - Memory that knows what may be done to it --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Memory.h"

#include <cstring>

namespace quern::ptx {

static std::string hex(uint64_t value) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  do
    text.insert(text.begin(), digits[value & 15]);
  while (value >>= 4);
  return "0x" + text;
}

static Problem checkAlignment(uint64_t address, size_t size,
                              const char *doing) {
  if (address % size == 0)
    return "";
  return std::string("misaligned ") + doing + " of " + std::to_string(size) +
         " bytes at " + hex(address);
}

//===----------------------------------------------------------------------===//
// Device
//===----------------------------------------------------------------------===//

uint64_t GlobalMemory::add(std::string name, void *data, size_t size,
                           bool writable) {
  uint64_t base = next;
  // Gaps, so that what runs out of one buffer does not run into another.
  next = (next + size + (1 << 20)) & ~uint64_t(0xffff);
  buffers.push_back({std::move(name),
                     static_cast<uint8_t *>(data),
                     size,
                     base,
                     writable,
                     false,
                     {},
                     {}});
  return base;
}

uint64_t GlobalMemory::lend(std::string name, void *data, size_t size) {
  uint64_t base = add(std::move(name), data, size, /*writable=*/true);
  buffers.back().lent = true;
  return base;
}

bool GlobalMemory::remove(uint64_t address) {
  for (size_t i = 0; i != buffers.size(); ++i)
    if (buffers[i].base == address) {
      buffers.erase(buffers.begin() + int64_t(i));
      return true;
    }
  return false;
}

void GlobalMemory::startLaunch() {
  for (Buffer &buffer : buffers)
    buffer.writers.clear(), buffer.cached.clear();
}

GlobalMemory::Buffer *GlobalMemory::find(uint64_t address, size_t size,
                                         const char *doing, Problem &problem) {
  problem = checkAlignment(address, size, doing);
  if (!problem.empty())
    return nullptr;
  const Buffer *near = nullptr;
  for (Buffer &buffer : buffers) {
    if (address >= buffer.base && address <= buffer.base + buffer.size &&
        buffer.base + buffer.size - address >= size)
      return &buffer;
    if (address + (1 << 16) > buffer.base &&
        address < buffer.base + buffer.size + (1 << 19))
      near = &buffer;
  }
  problem = std::string("out of bounds: ") + doing + " of " +
            std::to_string(size) + " bytes at ";
  if (near)
    problem += "byte " + std::to_string(int64_t(address - near->base)) +
               " of '" + near->name + "', which has " +
               std::to_string(near->size);
  else
    problem += hex(address) + ", where nothing is";
  return nullptr;
}

const uint8_t *GlobalMemory::read(uint64_t address, size_t size, bool readOnly,
                                  Problem &problem) {
  Buffer *buffer = find(address, size, "read", problem);
  if (!buffer)
    return nullptr;
  size_t at = size_t(address - buffer->base);
  bool isWritten = buffer->writable && !buffer->lent;
  if (readOnly && buffer->lent) {
    buffer->cached.resize(buffer->size);
    for (size_t i = at; i != at + size; ++i) {
      buffer->cached[i] = true;
      isWritten |= !buffer->writers.empty() && buffer->writers[i] != 0;
    }
  }
  if (readOnly && isWritten) {
    problem = "a load that may be cached reads '" + buffer->name +
              "', which the kernel writes";
    return nullptr;
  }
  return buffer->data + at;
}

uint8_t *GlobalMemory::write(uint64_t address, size_t size, uint64_t writer,
                             Problem &problem) {
  Buffer *buffer = find(address, size, "write", problem);
  if (!buffer)
    return nullptr;
  if (!buffer->writable) {
    problem = "write to '" + buffer->name + "', which is an input";
    return nullptr;
  }
  size_t at = size_t(address - buffer->base);
  buffer->writers.resize(buffer->size);
  for (size_t i = at; i != at + size; ++i) {
    uint64_t &last = buffer->writers[i];
    if (last != 0 && last != writer) {
      problem = "byte " + std::to_string(i) + " of '" + buffer->name +
                "' is written by two threads";
      return nullptr;
    }
    if (!buffer->cached.empty() && buffer->cached[i]) {
      problem = "byte " + std::to_string(i) + " of '" + buffer->name +
                "' is written after a load that may be cached";
      return nullptr;
    }
    last = writer;
  }
  return buffer->data + at;
}

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

Problem SharedMemory::check(uint64_t address, size_t size,
                            const char *doing) const {
  Problem problem = checkAlignment(address, size, doing);
  if (!problem.empty())
    return problem;
  if (address >= kBase && address - kBase <= bytes.size() &&
      bytes.size() - (address - kBase) >= size)
    return "";
  return std::string("out of bounds: ") + doing + " of " +
         std::to_string(size) + " bytes at byte " +
         std::to_string(int64_t(address - kBase)) +
         " of shared memory, which has " + std::to_string(bytes.size());
}

/// True if what `before` did is not known to be over when `now` does its part.
static bool races(const Access &before, const Access &now) {
  if (before.thread < 0 || before.thread == now.thread ||
      before.blockEpoch != now.blockEpoch)
    return false;
  return before.thread / 32 != now.thread / 32 ||
         before.warpEpoch == now.warpEpoch;
}

static std::string byteName(size_t i) {
  return "shared byte " + std::to_string(i);
}

/// A race with a thread that `did` something to byte `i`.
static Problem raceOn(size_t i, const std::string &did) {
  return "race: " + byteName(i) + " was " + did +
         ", and no barrier lies between";
}

static std::string writtenBy(const Access &writer) {
  return "written by thread " + std::to_string(writer.thread);
}

Problem SharedMemory::unreadable(size_t i, const char *whileComing) const {
  return byteName(i) + (marks[i].coming ? std::string(" is read ") + whileComing
                                        : " is read, but never written");
}

Problem SharedMemory::read(uint64_t address, size_t size, const Access &by,
                           uint8_t *to) {
  Problem problem = check(address, size, "read");
  if (!problem.empty())
    return problem;
  size_t at = size_t(address - kBase);
  for (size_t i = at; i != at + size; ++i) {
    Mark &mark = marks[i];
    if (!mark.isThere())
      return unreadable(i, "before the wait for its cp.async");
    if (races(mark.writer, by))
      return raceOn(i, writtenBy(mark.writer));
    bool other = mark.reader.thread != kNobody &&
                 mark.reader.thread != by.thread &&
                 mark.reader.blockEpoch == by.blockEpoch;
    mark.reader = by;
    if (other)
      mark.reader.thread = kMany;
  }
  std::memcpy(to, bytes.data() + at, size);
  return "";
}

Problem SharedMemory::checkWrite(uint64_t address, size_t size,
                                 const Access &by, const char *doing) const {
  Problem problem = check(address, size, doing);
  if (!problem.empty())
    return problem;
  size_t at = size_t(address - kBase);
  for (size_t i = at; i != at + size; ++i) {
    const Mark &mark = marks[i];
    if (mark.coming)
      return byteName(i) + " is written while a cp.async to it is under way";
    if (races(mark.writer, by))
      return raceOn(i, writtenBy(mark.writer));
    if (mark.reader.thread == kMany ? mark.reader.blockEpoch == by.blockEpoch
                                    : races(mark.reader, by))
      return raceOn(i, "read by another thread");
  }
  return "";
}

Problem SharedMemory::write(uint64_t address, size_t size, const Access &by,
                            const uint8_t *from) {
  Problem problem = checkWrite(address, size, by, "write");
  if (problem.empty())
    land(address, size, by, from);
  return problem;
}

Problem SharedMemory::readAsync(uint64_t address, size_t size, const Access &by,
                                uint8_t *to) {
  Problem problem = check(address, size, "read");
  if (!problem.empty())
    return problem;
  size_t at = size_t(address - kBase);
  for (size_t i = at; i != at + size; ++i) {
    const Mark &mark = marks[i];
    if (!mark.isThere())
      return unreadable(i, "while a copy to it is under way");
    if (mark.unfenced)
      return byteName(i) + " was " + writtenBy(mark.writer) +
             ", without a fence.proxy.async since";
    if (mark.fenced && races(mark.writer, by))
      return raceOn(i, writtenBy(mark.writer));
  }
  std::memcpy(to, bytes.data() + at, size);
  return "";
}

void SharedMemory::fenceAsync(int thread) {
  for (Mark &mark : marks)
    if (mark.unfenced && mark.writer.thread == thread) {
      mark.unfenced = false;
      mark.fenced = true;
    }
}

Problem SharedMemory::expect(uint64_t address, size_t size, const Access &by) {
  Problem problem = checkWrite(address, size, by, "copy");
  if (!problem.empty())
    return problem;
  for (size_t i = 0; i != size; ++i)
    marks[size_t(address - kBase) + i].coming = true;
  return "";
}

void SharedMemory::land(uint64_t address, size_t size, const Access &by,
                        const uint8_t *from, bool byThread) {
  size_t at = size_t(address - kBase);
  for (size_t i = at; i != at + size; ++i) {
    marks[i].coming = marks[i].fenced = false;
    marks[i].unfenced = byThread;
    marks[i].writer = by;
  }
  std::memcpy(bytes.data() + at, from, size);
}

} // namespace quern::ptx
