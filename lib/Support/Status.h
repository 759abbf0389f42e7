//===- Status.h - Errors as values ----------------------------------------===//
//
// What plain C++ code (no MLIR diagnostics at hand) returns when its input is
// bad: an Error that carries one message for the user, or an Expected<T> that
// holds a value or such an Error. Nothing throws.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_STATUS_H
#define QUERN_LIB_SUPPORT_STATUS_H

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace quern {

/// Success, or a failure with a message of the form
/// `FILE: tensor or op: what was found, what was expected`.
/// Converts to true when it is a failure:
///
///   if (Error error = doIt())
///     return error;
class [[nodiscard]] Error {
public:
  /// A failure. The message is lower case and has no final stop.
  explicit Error(std::string message) : text(std::move(message)) {}

  /// No failure.
  static Error success() { return Error(); }

  /// A failure whose message is the parts (strings, characters and integers)
  /// one after the other.
  template <typename... Parts> static Error make(const Parts &...parts) {
    std::string text;
    (append(text, parts), ...);
    return Error(std::move(text));
  }

  /// True when this is a failure.
  explicit operator bool() const { return text.has_value(); }

  /// The message of a failure.
  const std::string &message() const {
    assert(text && "a success has no message");
    return *text;
  }

private:
  Error() = default;

  template <typename Part>
  static void append(std::string &text, const Part &part) {
    if constexpr (std::is_same_v<Part, char>)
      text += part;
    else if constexpr (std::is_arithmetic_v<Part>)
      text += std::to_string(part);
    else
      text += std::string_view(part);
  }

  std::optional<std::string> text;
};

/// A T, or the Error that kept it from being made.
///
///   Expected<int> count = parse(text);
///   if (!count)
///     return count.takeError();
template <typename T> class [[nodiscard]] Expected {
public:
  /// Implicit, so that functions return a T or an Error alike.
  Expected(T value) : value(std::move(value)) {}
  Expected(Error error) : failure(std::move(error)) {
    assert(failure && "an Expected without a value needs a failure");
  }

  /// True when there is a value.
  explicit operator bool() const { return value.has_value(); }

  T &operator*() {
    assert(value && "no value");
    return *value;
  }
  const T &operator*() const {
    assert(value && "no value");
    return *value;
  }
  T *operator->() { return &**this; }
  const T *operator->() const { return &**this; }

  /// The message of the failure.
  const std::string &message() const { return failure.message(); }

  /// The failure, for returning it from the caller; success when there is a
  /// value.
  Error takeError() { return std::move(failure); }

private:
  std::optional<T> value;
  Error failure = Error::success();
};

/// `2x3x4`, or `scalar` for no dimensions: how messages print a shape.
template <typename Dims> std::string shapeToString(const Dims &dims) {
  std::string text;
  for (auto dim : dims)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

/// Cuts text that came from outside down to a printable piece for a message:
/// control characters become `?`, the rest after `limit` bytes is dropped.
std::string printable(std::string_view text, size_t limit = 80);

} // namespace quern

#endif // QUERN_LIB_SUPPORT_STATUS_H
