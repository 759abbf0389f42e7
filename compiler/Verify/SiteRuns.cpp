//===- SiteRuns.cpp - The programs that are compared ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/SiteRuns.h"

#include "dialects/TQ/TQTypes.h"
#include "runtime/src/manifest_generated.h"

#include <cstring>

using namespace mlir;

namespace quern {

FailureOr<SiteRun> runGraph(ModuleOp module, Arithmetic arithmetic,
                            const TokenBatch &batch, const SiteRun *forced) {
  SiteRun run;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    std::string name = site.name.str();
    if (!run.sites.emplace(name, site.value).second)
      return;
    run.order.push_back(name);
    unsigned bits = 0;
    if (site.value.getKind() == Tensor::Kind::I32) {
      auto storage = site.scheme ? tq::getCodeStorage(site.scheme)
                                 : std::optional<tq::CodeStorage>();
      bits = storage ? storage->bits : 8;
    }
    run.bits[name] = bits;
  };
  if (forced)
    hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
      auto found = forced->sites.find(site.name.str());
      if (found == forced->sites.end() ||
          found->second.getKind() != site.value.getKind() ||
          found->second.size() != site.value.size())
        return std::nullopt;
      // Same elements; ranks may differ.
      Tensor value = found->second;
      if (value.getShape() != site.value.getShape()) {
        value = Tensor::of(value.toVector<int32_t>(), site.value.getShape());
        value.ranges = found->second.ranges;
      }
      return value;
    };
  FailureOr<Tensor> output =
      Interpreter(module).run(batch.inputs(), hooks, arithmetic);
  if (failed(output))
    return failure();
  run.output = std::move(*output);
  return std::move(run);
}

/// Calls `f` with the elements of a tensor that is not of weights.
template <typename F> static void withElements(const Tensor &tensor, F f) {
  switch (tensor.getKind()) {
  case Tensor::Kind::F64:
    return f(tensor.get<double>());
  case Tensor::Kind::F32:
    return f(tensor.get<float>());
  default:
    return f(tensor.get<int32_t>());
  }
}

/// Codes less the zero point of their row. A zero point found at run time is a
/// rounded number like any code; where it differs by one, so does every code of
/// the row, and what they stand for does not.
static Tensor lessZero(const Tensor &codes) {
  std::vector<int32_t> values = codes.toVector<int32_t>();
  for (int64_t i = 0; i < codes.size(); ++i)
    values[i] -= int32_t(codes.ranges[i / codes.width()].zero);
  return Tensor::of(std::move(values), codes.getShape());
}

static bool hasRangeOfRows(const Tensor &codes) {
  return !codes.ranges.empty() && int64_t(codes.ranges.size()) == codes.rows();
}

void compare(const Tensor &a, const Tensor &b, Difference &difference) {
  if (hasRangeOfRows(a) && hasRangeOfRows(b))
    return compare(lessZero(a), lessZero(b), difference);
  int64_t common = std::min(a.size(), b.size());
  withElements(a, [&](auto left) {
    withElements(b, [&](auto right) {
      for (int64_t i = 0; i < common; ++i)
        difference.add(left[i], right[i]);
    });
  });
  difference.addMissing(std::max(a.size(), b.size()) - common);
}

Expected<MachineRun> MachineRun::create(const quern_module *module,
                                        uint32_t tier, uint32_t threads) {
  MachineRun run;
  quern_error error = {};
  quern_session *session = nullptr;
  bool onGpu = tier == QUERN_TIER_CUDA;
  if (quern_session_create_on(module,
                              onGpu ? QUERN_DEVICE_CUDA : QUERN_DEVICE_CPU,
                              threads, &session, &error))
    return Error(error.message);
  run.session.reset(session);
  if (!onGpu && quern_session_force_tier(session, tier, &error))
    return Error(error.message);
  quern_session_set_capture(session, 1);
  return Expected<MachineRun>(std::move(run));
}

Error MachineRun::run(const TokenBatch &batch) {
  quern_error error = {};
  if (!batch.pixels.empty())
    return quern_run_images(session.get(), batch.pixels.data(),
                            batch.offsets.size() - 1, &output, &error)
               ? Error(error.message)
               : Error::success();
  if (quern_run_ids(session.get(), batch.ids.data(), batch.types.data(),
                    batch.offsets.data(), batch.offsets.size() - 1, &output,
                    &error))
    return Error(error.message);
  return Error::success();
}

/// Codes and ids by value, floats by their bits: 0 is not -0.
template <typename A, typename B>
static void addPair(A a, B b, Difference &difference) {
  if constexpr (std::is_same_v<A, float> && std::is_same_v<B, float>)
    difference.addBits(a, b);
  else
    difference.add(a, b);
}

template <typename T>
static void compareRows(const quern_view &view, const Tensor &expected,
                        Difference &difference) {
  uint64_t count = view.rows * view.columns;
  uint64_t common = std::min<uint64_t>(count, expected.size());
  // Row after row; for scores, which are [heads][pairs] in rows of one value
  // per head, that is the order of the memory too.
  withElements(expected, [&](auto values) {
    for (uint64_t i = 0; i < common; ++i) {
      const char *row =
          static_cast<const char *>(view.data) + i / view.columns * view.stride;
      T value;
      std::memcpy(&value, row + i % view.columns * sizeof(T), sizeof(T));
      addPair(values[i], value, difference);
    }
  });
  difference.addMissing(std::max<uint64_t>(count, expected.size()) - common);
}

bool MachineRun::compareSite(const std::string &name, const Tensor &expected,
                             Difference &difference) const {
  quern_view view = {};
  quern_error error = {};
  if (quern_session_site(session.get(), name.c_str(), &view, &error))
    return false;
  switch (manifest::Element(view.element)) {
  case manifest::Element::U8:
    compareRows<uint8_t>(view, expected, difference);
    return true;
  case manifest::Element::U16:
    compareRows<uint16_t>(view, expected, difference);
    return true;
  case manifest::Element::I8:
    compareRows<int8_t>(view, expected, difference);
    return true;
  case manifest::Element::I16:
    compareRows<int16_t>(view, expected, difference);
    return true;
  case manifest::Element::F32:
    compareRows<float>(view, expected, difference);
    return true;
  default:
    return false;
  }
}

void MachineRun::compareOutput(const Tensor &expected,
                               Difference &difference) const {
  quern_view view = {
      output.data,    uint32_t(manifest::Element::F32), output.rows,
      output.columns, output.columns * sizeof(float),   -1,
      nullptr};
  compareRows<float>(view, expected, difference);
}

} // namespace quern
