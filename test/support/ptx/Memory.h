//===- Memory.h - Memory that knows what may be done to it ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Buffers of the device with their bounds, and the shared memory of a block,
// which remembers for every byte who wrote and who read it last.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_MEMORY_H
#define QUERN_TEST_SUPPORT_PTX_MEMORY_H

#include <cstdint>
#include <string>
#include <vector>

namespace quern::ptx {

/// What is wrong with an access; empty if nothing is.
using Problem = std::string;

/// Who accesses: the thread, and how many barriers its block and its warp have
/// passed. Two threads are in order if a barrier that both took lies between.
struct Access {
  int thread = 0;
  uint32_t blockEpoch = 0, warpEpoch = 0;
};

/// The memory of the device.
class GlobalMemory {
public:
  /// Lends the device `size` bytes; returns their address.
  uint64_t add(std::string name, void *data, size_t size, bool writable);

  /// The same for memory of which a launch may read some bytes and write
  /// others, whatever was done to them before: all that a driver gives.
  uint64_t lend(std::string name, void *data, size_t size);
  /// Takes a buffer back; false if there is none at `address`.
  bool remove(uint64_t address);

  /// Bytes at `address`, or null with a problem. `readOnly` loads (ld.nc) may
  /// not see what the kernel writes.
  const uint8_t *read(uint64_t address, size_t size, bool readOnly,
                      Problem &problem);
  /// The same for writing; no two threads may write a byte.
  uint8_t *write(uint64_t address, size_t size, uint64_t writer,
                 Problem &problem);
  /// Forgets who wrote what: a new launch.
  void startLaunch();

private:
  struct Buffer {
    std::string name;
    uint8_t *data;
    size_t size;
    uint64_t base;
    bool writable, lent;
    std::vector<uint64_t> writers;
    /// Of lent ones: bytes that a load may have cached.
    std::vector<bool> cached;
  };
  /// Null with a problem if an access is misaligned or outside all buffers.
  Buffer *find(uint64_t address, size_t size, const char *doing,
               Problem &problem);

  std::vector<Buffer> buffers;
  uint64_t next = uint64_t(1) << 40;
};

/// The shared memory of one block.
class SharedMemory {
public:
  /// Where it begins; 0 is no address.
  static constexpr uint64_t kBase = 1024;

  explicit SharedMemory(size_t size) : bytes(size), marks(size) {}

  Problem read(uint64_t address, size_t size, const Access &by, uint8_t *to);
  Problem write(uint64_t address, size_t size, const Access &by,
                const uint8_t *from);
  /// Bytes that are to come: nobody may read or write them before land().
  Problem expect(uint64_t address, size_t size, const Access &by);
  /// They are there; written by a thread, or by no thread's own doing.
  void land(uint64_t address, size_t size, const Access &by,
            const uint8_t *from, bool byThread = true);

  /// A read that goes past the threads' own view of memory: what a thread has
  /// written must have been fenced, and a barrier lie between.
  Problem readAsync(uint64_t address, size_t size, const Access &by,
                    uint8_t *to);
  /// Such reads see what the thread has written so far.
  void fenceAsync(int thread);

private:
  static constexpr int kNobody = -1, kMany = -2;
  struct Mark {
    Access writer{kNobody}, reader{kNobody};
    bool coming = false;
    /// Written by a thread, which has not fenced it yet, or has.
    bool unfenced = false, fenced = false;

    bool isThere() const { return !coming && writer.thread != kNobody; }
  };
  Problem check(uint64_t address, size_t size, const char *doing) const;
  /// Why byte `i` cannot be read; `whileComing` says it of copies.
  Problem unreadable(size_t i, const char *whileComing) const;
  Problem checkWrite(uint64_t address, size_t size, const Access &by,
                     const char *doing) const;

  std::vector<uint8_t> bytes;
  std::vector<Mark> marks;
};

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_MEMORY_H
