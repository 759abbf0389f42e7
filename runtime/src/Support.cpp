//===- Support.cpp - errors and memory of the runtime ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See Support.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Support.h"

#include <cstdarg>
#include <cstdio>
#include <sys/mman.h>
#include <time.h>

using namespace quern;

quern_status quern::fail(quern_error *error, quern_status status,
                         const char *format, ...) {
  if (!error)
    return status;
  error->status = status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  return status;
}

bool Pages::allocate(uint64_t size) {
  constexpr uint64_t pageBytes = 4096, hugeBytes = 2u << 20;
  // Alignment to a huge page only pays for memory that holds some.
  bool huge = size >= 2 * hugeBytes;
  if (size > UINT64_MAX / 2)
    return false;
  uint64_t length = roundUp(size ? size : 1, pageBytes);
  uint64_t reserve = length + (huge ? hugeBytes : 0);
  void *memory = mmap(nullptr, reserve, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  release();
  mapping = memory;
  mapped = reserve;
  base = reinterpret_cast<char *>(
      roundUp(reinterpret_cast<uint64_t>(memory), huge ? hugeBytes : 1));
  bytes = size;
  if (huge)
    madvise(base, length, MADV_HUGEPAGE);
  return true;
}

void Pages::release() {
  if (mapping)
    munmap(mapping, mapped);
  mapping = nullptr;
  base = nullptr;
  mapped = bytes = 0;
}

void Pages::swap(Pages &other) {
  std::swap(mapping, other.mapping);
  std::swap(mapped, other.mapped);
  std::swap(base, other.base);
  std::swap(bytes, other.bytes);
}

uint64_t quern::nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}
