//===- BenchJson.cpp - Measured cells as JSON -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchJson.h"

#include "quern/introspect.h"

#include <nlohmann/json.hpp>

using nlohmann::json;

namespace quern::cli {

static json weightsJson(const quern_module *module) {
  quern_weights_info info = {};
  quern_module_weights(module, &info);
  return {{"read_bytes", info.read_bytes},
          {"made_bytes", info.made_bytes},
          {"huge_bytes", info.huge_bytes},
          {"mapped_because", info.reason ? json(info.reason) : json()}};
}

static json cellJson(const BenchCell &cell) {
  json ops = json::array();
  for (const BenchOp &op : cell.ops) {
    BenchBound bound = cell.boundOf(op);
    ops.push_back({{"op", op.op},
                   {"launches", op.launches},
                   {"ms", op.ms},
                   {"gops", op.gops},
                   {"share_of_peak", op.share},
                   {"bytes", op.bytes},
                   {"gbytes_per_second", op.bytesPerSecond() * 1e-9},
                   {"bound", *bound.by ? json(bound.by) : json()},
                   {"share_of_bound", bound.share}});
  }
  return {{"length", cell.length},
          {"batch", cell.batch},
          {"sequences", cell.sequences},
          {"tokens", cell.tokens},
          {"threads", cell.threads},
          {"tier", cell.tier},
          {"p50_ms", cell.p50 * 1e3},
          {"p90_ms", cell.p90 * 1e3},
          {"p99_ms", cell.p99 * 1e3},
          {"min_ms", cell.best * 1e3},
          {"sequences_per_second", cell.sequencesPerSecond()},
          {"tokens_per_second", cell.tokensPerSecond()},
          {"gops", cell.operations / cell.p50 * 1e-9},
          {"peak_gops_one_core", cell.peak() / cell.threads * 1e-9},
          {"share_of_peak", cell.share()},
          {"read_gbytes_per_second", cell.bandwidth * 1e-9},
          {"involuntary_switches", cell.switches},
          {"handoff_ns", cell.handoff * 1e9},
          {"output", cell.firstRow},
          {"ops", ops}};
}

std::string benchJson(const std::vector<BenchCell> &cells,
                      const quern_module *module) {
  json all = json::array();
  for (const BenchCell &cell : cells) {
    all.push_back(cellJson(cell));
    all.back()["weights"] = weightsJson(module);
  }
  return all.dump(1) + "\n";
}

std::string kernelsJson(const std::vector<KernelBenchRow> &rows) {
  json all = json::array();
  for (const KernelBenchRow &row : rows)
    all.push_back({{"kernel", row.kernel},
                   {"tokens", row.tokens},
                   {"k", row.k},
                   {"n", row.n},
                   {"gops", row.speed * 1e-9},
                   {"share_of_peak", row.share},
                   {"wrong", row.wrong}});
  return all.dump(1) + "\n";
}

} // namespace quern::cli
