//===- Compare.cpp - Two runs against a class -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Compare.h"

#include "dialects/TQ/TQTypes.h"
#include "lib/Interpret/Codes.h"

#include "llvm/ADT/bit.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;

namespace quern {

namespace {
/// One tensor before and after.
class Comparison {
public:
  Comparison(const Tensor &before, const Tensor &after, PassClass passClass,
             CompareCounts &counts)
      : before(before), after(after), passClass(passClass), counts(counts) {}

  /// The mismatch in words, or "". `reference` may be null.
  std::string run(const SiteRecord *reference);

private:
  std::string codes(const SiteRecord *reference);
  std::string reals();
  template <typename T>
  std::string differing(int64_t i, T a, T b, const std::string &why) const;

  const Tensor &before, &after;
  PassClass passClass;
  CompareCounts &counts;
};
} // namespace

/// A number with all its digits.
static std::string digits(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.17g", value);
  return text;
}
static std::string digits(float value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.9g", double(value));
  return text;
}
static std::string digits(int32_t value) { return std::to_string(value); }

template <typename T>
std::string Comparison::differing(int64_t i, T a, T b,
                                  const std::string &why) const {
  std::string text = "element " + std::to_string(i);
  if (int64_t width = before.width(); width > 0 && before.getRank() > 1)
    text += " (row " + std::to_string(i / width) + ", column " +
            std::to_string(i % width) + ")";
  return text + ": " + digits(a) + " before, " + digits(b) + " after" + why;
}

/// Real values on a scale on which codes are rounded: logarithmic ones for
/// codes of exponents.
static std::vector<double> roundedScale(std::vector<double> values,
                                        Type scheme) {
  if (!isa_and_nonnull<tq::LogType>(scheme))
    return values;
  for (double &value : values)
    value = value > 0 ? std::log2(value) : -1e30;
  return values;
}

std::string Comparison::codes(const SiteRecord *reference) {
  std::vector<int32_t> a = before.toVector<int32_t>();
  std::vector<int32_t> b = after.toVector<int32_t>();
  // A zero point found at run time is a rounded number like any code: where it
  // moves by one, so do the codes of its row, and their values do not.
  auto lessZero = [](const Tensor &tensor, std::vector<int32_t> &values) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] -= int32_t(tensor.ranges[i / tensor.width()].zero);
  };
  auto hasRanges = [](const Tensor &tensor) {
    return !tensor.ranges.empty() &&
           int64_t(tensor.ranges.size()) == tensor.rows();
  };
  bool dynamic = hasRanges(before) && hasRanges(after);
  if (dynamic) {
    lessZero(before, a);
    lessZero(after, b);
  }
  // The real value, and what the reference's code and ours stand for.
  std::vector<double> real, nearest, ours;
  auto prepare = [&] {
    if (!real.empty() || dynamic || !reference || !reference->real ||
        !reference->scheme || reference->value.size() != after.size() ||
        reference->value.getKind() != Tensor::Kind::I32)
      return;
    auto stands = [&](const Tensor &tensor) {
      Tensor codes =
          Tensor::of(tensor.toVector<int32_t>(), reference->value.getShape());
      codes.ranges = reference->value.ranges;
      FailureOr<Tensor> values =
          dequantizeTensor(reference->op, codes, reference->scheme);
      return succeeded(values)
                 ? roundedScale(values->toVector<double>(), reference->scheme)
                 : std::vector<double>();
    };
    nearest = stands(reference->value);
    ours = stands(after);
    if (!nearest.empty() && !ours.empty())
      real =
          roundedScale(reference->real->toVector<double>(), reference->scheme);
  };
  counts.values += a.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i])
      continue;
    if (passClass != PassClass::OneCode || std::abs(a[i] - b[i]) > 1)
      return differing(i, a[i], b[i], "");
    ++counts.oneCode;
    prepare();
    if (real.empty() || ours[i] == nearest[i])
      continue;
    // Half a step is the distance of a tie from both.
    double step = std::fabs(ours[i] - nearest[i]);
    double slack = step / 50 + std::ldexp(std::fabs(real[i]), -20);
    if (std::fabs(real[i] - ours[i]) >
        std::fabs(real[i] - nearest[i]) + slack) {
      double part = std::fabs(real[i] - nearest[i]) / step;
      return differing(i, a[i], b[i],
                       ", where the real value " + digits(real[i]) + " is " +
                           digits(float(part)) +
                           " of a step from the code it was rounded to, no "
                           "tie");
    }
  }
  return "";
}

std::string Comparison::reals() {
  bool floats = before.getKind() == Tensor::Kind::F32 &&
                after.getKind() == Tensor::Kind::F32;
  counts.values += before.size();
  if (passClass == PassClass::Exact && floats) {
    ArrayRef<float> a = before.get<float>(), b = after.get<float>();
    for (size_t i = 0; i < a.size(); ++i)
      if (llvm::bit_cast<uint32_t>(a[i]) != llvm::bit_cast<uint32_t>(b[i]))
        return differing(i, a[i], b[i], "");
    return "";
  }
  std::vector<double> a = before.toVector<double>();
  std::vector<double> b = after.toVector<double>();
  double largest = 0;
  for (double value : a)
    largest = std::max(largest, std::fabs(value));
  double allowed =
      passClass == PassClass::Exact ? 0 : relativeTolerance * largest;
  for (size_t i = 0; i < a.size(); ++i)
    // Not the other way round: a value that is no number fails.
    if (a[i] != b[i] && !(std::fabs(a[i] - b[i]) <= allowed))
      return differing(i, a[i], b[i],
                       allowed > 0 ? ", of at most " + digits(float(largest))
                                   : "");
  return "";
}

std::string Comparison::run(const SiteRecord *reference) {
  if (before.size() != after.size())
    return std::to_string(before.size()) + " elements before, " +
           std::to_string(after.size()) + " after";
  auto isCode = [](const Tensor &tensor) {
    return tensor.getKind() == Tensor::Kind::I32;
  };
  if (isCode(before) != isCode(after))
    return std::string(isCode(before) ? "codes" : "real numbers") +
           " before, " + (isCode(after) ? "codes" : "real numbers") + " after";
  return isCode(before) ? codes(reference) : reals();
}

std::optional<Mismatch> compareRuns(const GraphRun &before,
                                    const GraphRun &after,
                                    const GraphRun &reference,
                                    PassClass passClass,
                                    CompareCounts &counts) {
  auto referenceOf = [&](const std::string &name) -> const SiteRecord * {
    auto found = reference.sites.find(name);
    return found == reference.sites.end() ? nullptr : &found->second;
  };
  for (const std::string &name : before.order) {
    auto site = after.sites.find(name);
    if (site == after.sites.end())
      return Mismatch{name, nullptr, "in the function before, gone after"};
    std::string text = Comparison(before.sites.at(name).value,
                                  site->second.value, passClass, counts)
                           .run(referenceOf(name));
    if (!text.empty())
      return Mismatch{name, site->second.op, text};
  }
  std::string text =
      Comparison(before.output, after.output, passClass, counts).run(nullptr);
  if (!text.empty())
    return Mismatch{"", nullptr, text};
  return std::nullopt;
}

} // namespace quern
