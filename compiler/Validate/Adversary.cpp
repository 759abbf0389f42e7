//===- Adversary.cpp - Codes that rewrites stumble over -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Adversary.h"

#include "dialects/TQ/TQOps.h"
#include "dialects/TQ/TQTypes.h"

#include "llvm/ADT/StringMap.h"

#include <cmath>

using namespace mlir;

namespace quern {

const char *describe(Adversary adversary) {
  switch (adversary) {
  case Adversary::None:
    return "calibration data";
  case Adversary::Mixed:
    return "mixed adversarial codes";
  case Adversary::Outliers:
    return "outliers x50";
  case Adversary::Extremes:
    return "extreme codes";
  }
  llvm_unreachable("every adversary has a name");
}

namespace {

/// What a row of a site holds.
enum class RowKind { Low, High, Alternating, Zero, Outliers, Ties, Random };
constexpr unsigned rowKinds = 7;

/// Outliers are this many times what a channel holds.
constexpr int64_t outlierFactor = 50;

/// A sequence of numbers that is the same on every machine.
class Numbers {
public:
  explicit Numbers(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }

private:
  uint64_t state;
};

RowKind kindOf(Adversary adversary, size_t siteIndex, int64_t row) {
  switch (adversary) {
  case Adversary::Mixed:
    return RowKind((siteIndex * 3 + size_t(row)) % rowKinds);
  case Adversary::Outliers:
    return RowKind::Outliers;
  default:
    return siteIndex % 2 ? RowKind::High : RowKind::Low;
  }
}

/// Least and greatest code; what is seen where no type says it.
std::pair<int64_t, int64_t> rangeOf(const SiteRecord &site) {
  if (site.scheme)
    if (auto storage = tq::getCodeStorage(site.scheme))
      return {storage->min, storage->max};
  int64_t low = 0, high = 0;
  for (int32_t code : site.value.get<int32_t>()) {
    low = std::min<int64_t>(low, code);
    high = std::max<int64_t>(high, code);
  }
  return {low, high};
}

/// The code that stands for zero in a column.
int64_t zeroOf(const SiteRecord &site, int64_t row, int64_t column) {
  if (int64_t(site.value.ranges.size()) == site.value.rows())
    return site.value.ranges[row].zero;
  if (!site.scheme)
    return 0;
  if (auto params = tq::getPerTensorParams(site.scheme))
    return params->zero;
  if (auto group = dyn_cast<tq::GroupType>(site.scheme))
    if (group.getAxis() == 1)
      return group.getParams()[group.getMap()[column]].zero;
  return 0;
}

Tensor adversarialCodes(const SiteRecord &site, Adversary adversary,
                        size_t siteIndex) {
  std::vector<int32_t> codes = site.value.toVector<int32_t>();
  auto [low, high] = rangeOf(site);
  Numbers numbers(siteIndex + 1);
  int64_t width = site.value.width();
  for (size_t i = 0; i < codes.size(); ++i) {
    int64_t row = int64_t(i) / width, column = int64_t(i) % width;
    int64_t zero = zeroOf(site, row, column), code = codes[i];
    switch (kindOf(adversary, siteIndex, row)) {
    case RowKind::Low:
      code = low;
      break;
    case RowKind::High:
      code = high;
      break;
    case RowKind::Alternating:
      code = column % 2 ? high : low;
      break;
    case RowKind::Zero:
      code = zero;
      break;
    case RowKind::Outliers:
      // A few channels, as in BERT; the rest stays what it is.
      if (column % 5 == 0)
        code = zero + outlierFactor * (code - zero);
      break;
    case RowKind::Ties:
    case RowKind::Random:
      code = low + int64_t(numbers.next() % uint64_t(high - low + 1));
      break;
    }
    codes[i] = int32_t(std::clamp(code, low, high));
  }
  Tensor result = Tensor::of(std::move(codes), site.value.getShape());
  result.ranges = site.value.ranges;
  return result;
}

/// Real values of L0, where nothing has codes yet.
Tensor adversarialReals(const SiteRecord &site, Adversary adversary,
                        size_t siteIndex) {
  std::vector<double> values = site.value.toVector<double>();
  double largest = 0;
  for (double value : values)
    largest = std::max(largest, std::fabs(value));
  Numbers numbers(siteIndex + 1);
  int64_t width = site.value.width();
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t row = int64_t(i) / width, column = int64_t(i) % width;
    switch (kindOf(adversary, siteIndex, row)) {
    case RowKind::Low:
      values[i] = -largest;
      break;
    case RowKind::High:
      values[i] = largest;
      break;
    case RowKind::Alternating:
      values[i] = column % 2 ? largest : -largest;
      break;
    case RowKind::Zero:
      values[i] = 0;
      break;
    case RowKind::Outliers:
      if (column % 5 == 0)
        values[i] *= outlierFactor;
      break;
    case RowKind::Ties:
    case RowKind::Random:
      values[i] = largest * (double(numbers.next() % 2049) / 1024 - 1);
      break;
    }
  }
  return Tensor::of(std::move(values), site.value.getShape());
}

/// The per-tensor parameters of a value of codes behind a tq.dequantize.
std::optional<tq::UniformParams> paramsOf(tq::QuantizeOp op) {
  return tq::getPerTensorParams(
      cast<RankedTensorType>(op.getResult().getType()).getElementType());
}

/// Where a quantizer rounds the sum of two sites: codes of the second site so
/// that sums are as near to the middle between two codes as they can be.
class Ties {
public:
  Ties(const GraphRun &run, ForcedSites &forced, Adversary adversary)
      : run(run), forced(forced), adversary(adversary) {
    for (auto [i, name] : llvm::enumerate(run.order))
      index[name] = i;
  }

  void make(tq::QuantizeOp sum) const {
    auto add = sum.getX().getDefiningOp<tq::AddOp>();
    if (!add || !paramsOf(sum))
      return;
    tq::QuantizeOp a = siteOf(add.getA()), b = siteOf(add.getB());
    if (!a || !b || a == b)
      return;
    // The one that nothing else reads moves.
    if (!b.getResult().hasOneUse())
      std::swap(a, b);
    auto moved = forced.find(b.getSite()->str());
    auto kept = forced.find(a.getSite()->str());
    if (moved == forced.end() || kept == forced.end() ||
        moved->second.size() != kept->second.size())
      return;
    moved->second = tied(a, b, *paramsOf(sum), kept->second, moved->second);
  }

private:
  tq::QuantizeOp siteOf(Value value) const {
    auto dequantize = value.getDefiningOp<tq::DequantizeOp>();
    auto quantize = dequantize
                        ? dequantize.getX().getDefiningOp<tq::QuantizeOp>()
                        : tq::QuantizeOp();
    bool known = quantize && quantize.getSite() && paramsOf(quantize) &&
                 run.sites.count(quantize.getSite()->str());
    return known ? quantize : tq::QuantizeOp();
  }

  Tensor tied(tq::QuantizeOp a, tq::QuantizeOp b, tq::UniformParams sum,
              const Tensor &kept, const Tensor &moved) const {
    tq::UniformParams pa = *paramsOf(a), pb = *paramsOf(b);
    const SiteRecord &site = run.sites.at(b.getSite()->str());
    auto [low, high] = rangeOf(site);
    std::vector<int32_t> other = kept.toVector<int32_t>();
    std::vector<int32_t> codes = moved.toVector<int32_t>();
    size_t siteIndex = index.find(b.getSite()->str())->second;
    // 16-bit codes are searched around the random one only.
    constexpr int64_t reach = 256;
    for (size_t i = 0; i < codes.size(); ++i) {
      int64_t row = int64_t(i) / moved.width();
      if (kindOf(adversary, siteIndex, row) != RowKind::Ties)
        continue;
      double rest = pa.scale * double(other[i] - pa.zero);
      double least = 1;
      int64_t from = std::max<int64_t>(low, codes[i] - reach);
      int64_t to = std::min<int64_t>(high, codes[i] + reach);
      for (int64_t code = from; code <= to; ++code) {
        double at = (rest + pb.scale * double(code - pb.zero)) / sum.scale;
        double off = std::fabs(at - std::floor(at) - 0.5);
        if (off < least) {
          least = off;
          codes[i] = int32_t(code);
        }
      }
    }
    return Tensor::of(std::move(codes), moved.getShape());
  }

  const GraphRun &run;
  ForcedSites &forced;
  Adversary adversary;
  std::map<std::string, size_t> index;
};

} // namespace

ForcedSites forcedSites(func::FuncOp function, const GraphRun &run,
                        Adversary adversary) {
  ForcedSites forced;
  for (auto [i, name] : llvm::enumerate(run.order)) {
    const SiteRecord &site = run.sites.at(name);
    bool isCode = site.value.getKind() == Tensor::Kind::I32;
    if (adversary == Adversary::None)
      forced.emplace(name, site.value);
    else if (isCode)
      forced.emplace(name, adversarialCodes(site, adversary, i));
    else if (site.value.getKind() == Tensor::Kind::F64)
      forced.emplace(name, adversarialReals(site, adversary, i));
  }
  if (adversary == Adversary::Mixed) {
    Ties ties(run, forced, adversary);
    function.walk([&](tq::QuantizeOp op) { ties.make(op); });
  }
  return forced;
}

} // namespace quern
