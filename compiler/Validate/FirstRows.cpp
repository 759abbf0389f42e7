//===- FirstRows.cpp - Runs before and after tq-slice-rows ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/FirstRows.h"

using namespace mlir;

namespace quern {

template <typename T>
static Tensor pick(const Tensor &all, ArrayRef<int64_t> from,
                   const Tensor::Shape &shape) {
  std::vector<T> values = all.toVector<T>(), picked;
  picked.reserve(from.size());
  for (int64_t i : from)
    picked.push_back(values[i]);
  return Tensor::of(std::move(picked), shape);
}

std::optional<Tensor> takeFirstRows(const Tensor &all, const Tensor &like,
                                    ArrayRef<int32_t> offsets) {
  if (all.size() == like.size() || offsets.empty())
    return std::nullopt;
  int64_t tokens = offsets.back(), count = int64_t(offsets.size()) - 1;
  bool isRows = all.rows() == tokens && like.rows() == count &&
                all.width() == like.width();
  std::vector<int64_t> from;
  std::vector<tq::UniformParams> ranges;
  if (isRows) {
    bool hasRanges = int64_t(all.ranges.size()) == tokens;
    for (int64_t s = 0; s < count; ++s) {
      for (int64_t j = 0; j < all.width(); ++j)
        from.push_back(offsets[s] * all.width() + j);
      if (hasRanges)
        ranges.push_back(all.ranges[offsets[s]]);
    }
  } else {
    // [heads, pairs] to [heads, tokens].
    int64_t heads = all.rows(), pairs = all.width();
    for (int64_t h = 0; h < heads; ++h) {
      int64_t base = h * pairs;
      for (int64_t s = 0; s < count; ++s) {
        int64_t length = offsets[s + 1] - offsets[s];
        for (int64_t j = 0; j < length; ++j)
          from.push_back(base + j);
        base += length * length;
      }
      if (base != (h + 1) * pairs)
        return std::nullopt;
    }
    if (like.rows() != heads || like.width() != tokens)
      return std::nullopt;
  }
  Tensor picked;
  switch (all.getKind()) {
  case Tensor::Kind::F64:
    picked = pick<double>(all, from, like.getShape());
    break;
  case Tensor::Kind::F32:
    picked = pick<float>(all, from, like.getShape());
    break;
  case Tensor::Kind::I32:
    picked = pick<int32_t>(all, from, like.getShape());
    break;
  default:
    return std::nullopt;
  }
  picked.ranges = ranges.empty() ? all.ranges : std::move(ranges);
  return picked;
}

LogicalResult keepFirstRows(ValidationCase &each, func::FuncOp sliced) {
  ArrayRef<int32_t> offsets;
  for (auto [argument, input] : llvm::zip(sliced.getArguments(), each.inputs))
    if (holdsOffsets(argument))
      offsets = input.get<int32_t>();
  FailureOr<GraphRun> free =
      runFunction(sliced, each.inputs, Arithmetic::Real, {});
  if (failed(free))
    return failure();
  for (auto &[name, site] : free->sites) {
    const Tensor &codes = site.value;
    auto cut = [&](Tensor &tensor) {
      if (auto rows = takeFirstRows(tensor, codes, offsets))
        tensor = std::move(*rows);
    };
    if (auto found = each.forced.find(name); found != each.forced.end())
      cut(found->second);
    for (GraphRun *run : {&each.before, &each.reference}) {
      auto found = run->sites.find(name);
      if (found == run->sites.end())
        continue;
      cut(found->second.value);
      if (found->second.real)
        cut(*found->second.real);
    }
  }
  return success();
}

} // namespace quern
