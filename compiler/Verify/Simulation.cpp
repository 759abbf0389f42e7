//===- Simulation.cpp - A module's recipe in real arithmetic --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/Simulation.h"

#include "lib/Interpret/Interpreter.h"
#include "lib/Support/Parallel.h"

#include <algorithm>

namespace quern {

/// Tokens of a batch: the interpreter keeps every value of one until its end,
/// of BERT-base some hundred MB.
static constexpr uint32_t kBatchTokens = 256;
static constexpr unsigned kMostThreads = 8;

Expected<std::vector<std::vector<float>>>
simulate(const SimulationRequest &request) {
  auto batches = tokenBatches(request.module, request.name, request.texts,
                              kBatchTokens, request.maxLength);
  if (!batches)
    return batches.takeError();
  LevelContext context;
  auto levels =
      levelsOf(context, request.module, request.name, request.modelFolder);
  if (!levels)
    return levels.takeError();
  std::vector<mlir::FailureOr<Tensor>> outputs(batches->size());
  forEachParallel(
      batches->size(), std::min(threadCount(request.threads), kMostThreads),
      [&](size_t i) {
        outputs[i] =
            Interpreter(*levels->simulation)
                .run((*batches)[i].inputs(), SiteHooks(), Arithmetic::Real);
      },
      request.progress);
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < batches->size(); ++i) {
    if (mlir::failed(outputs[i]))
      return context.failed(request.name, "the simulation cannot be run");
    std::vector<double> values = outputs[i]->toVector<double>();
    size_t count = (*batches)[i].offsets.size() - 1;
    size_t columns = values.size() / count;
    for (size_t r = 0; r < count; ++r)
      rows.emplace_back(values.begin() + r * columns,
                        values.begin() + (r + 1) * columns);
  }
  return rows;
}

} // namespace quern
