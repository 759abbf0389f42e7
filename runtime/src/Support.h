//===- Support.h - errors and memory of the runtime -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The runtime is built without exceptions, without RTTI and without the C++
// library's compiled part, so that programs written with it need libc only.
// Hence these few replacements: a status with a message, growing arrays of
// plain data, and large aligned memory straight from the system.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_SUPPORT_H
#define QUERN_RUNTIME_SRC_SUPPORT_H

#include "quern/quern.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace quern {

/// Writes `status` and the formatted sentence into `error` (may be null) and
/// returns the status. A sentence that is too long is cut.
quern_status fail(quern_error *error, quern_status status, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/// Rounds `value` up to a multiple of `multiple`, a power of two.
constexpr uint64_t roundUp(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) & ~(multiple - 1);
}

/// The state of SSE arithmetic that the compiler assumed: nearest even, no
/// flushing of subnormals, nothing traps. A program built with -ffast-math may
/// have set it otherwise.
constexpr unsigned plainRounding = 0x1f80;

/// A new T, or null when memory is out.
template <typename T, typename... Args> T *create(Args &&...args) {
  constexpr size_t align = alignof(T) < 16 ? 16 : alignof(T);
  void *memory = std::aligned_alloc(align, roundUp(sizeof(T), align));
  return memory ? new (memory) T(std::forward<Args>(args)...) : nullptr;
}

/// Undoes create(). Null is allowed.
template <typename T> void destroy(T *object) {
  if (!object)
    return;
  object->~T();
  std::free(object);
}

/// A growing array of plain data. Growth can fail and says so.
template <typename T> class Array {
  static_assert(std::is_trivially_copyable_v<T>, "moved by realloc");

public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { std::free(items); }

  T *data() { return items; }
  const T *data() const { return items; }
  size_t size() const { return count; }
  bool empty() const { return count == 0; }
  T &operator[](size_t index) { return items[index]; }
  const T &operator[](size_t index) const { return items[index]; }
  T *begin() { return items; }
  T *end() { return items + count; }
  const T *begin() const { return items; }
  const T *end() const { return items + count; }

  /// Forgets the items, keeps the memory.
  void clear() { count = 0; }

  /// Makes room for `capacity` items. False when memory is out.
  bool reserve(size_t capacity) {
    if (capacity <= room)
      return true;
    if (capacity > SIZE_MAX / sizeof(T))
      return false;
    void *memory =
        std::realloc(static_cast<void *>(items), capacity * sizeof(T));
    if (!memory)
      return false;
    items = static_cast<T *>(memory);
    room = capacity;
    return true;
  }

  /// Sets the size; new items are zero.
  bool resize(size_t size) {
    if (!reserve(size))
      return false;
    if (size > count)
      std::memset(static_cast<void *>(items + count), 0,
                  (size - count) * sizeof(T));
    count = size;
    return true;
  }

  /// Appends an item; room doubles.
  bool push(const T &item) {
    T copy = item;
    if (count == room && !reserve(room ? room * 2 : 16))
      return false;
    items[count++] = copy;
    return true;
  }

private:
  T *items = nullptr;
  size_t count = 0;
  size_t room = 0;
};

/// Zeroed memory straight from the system, aligned to a huge page where it is
/// that large, and advised to use huge pages.
class Pages {
public:
  Pages() = default;
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;
  ~Pages() { release(); }

  /// Replaces the memory by `bytes` zero bytes. On failure the old memory
  /// stays.
  bool allocate(uint64_t bytes);
  void release();
  void swap(Pages &other);
  char *data() const { return base; }
  uint64_t size() const { return bytes; }

private:
  void *mapping = nullptr;
  uint64_t mapped = 0;
  char *base = nullptr;
  uint64_t bytes = 0;
};

/// Nanoseconds of the monotonic clock.
uint64_t nanoseconds();

} // namespace quern

#endif // QUERN_RUNTIME_SRC_SUPPORT_H
