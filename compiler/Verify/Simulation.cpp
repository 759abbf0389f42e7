//===- Simulation.cpp - A module's recipe in real arithmetic --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Verify/Simulation.h"

#include "lib/Interpret/Interpreter.h"

namespace quern {

/// Tokens of a batch: the interpreter keeps every value of one until its end.
static constexpr uint32_t kBatchTokens = 256;

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
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < batches->size(); ++i) {
    const TokenBatch &batch = (*batches)[i];
    mlir::FailureOr<Tensor> output =
        Interpreter(*levels->simulation)
            .run(batch.inputs(), SiteHooks(), Arithmetic::Real);
    if (mlir::failed(output))
      return context.failed(request.name, "the simulation cannot be run");
    size_t count = batch.offsets.size() - 1, columns = output->size() / count;
    std::vector<double> values = output->toVector<double>();
    for (size_t r = 0; r < count; ++r)
      rows.emplace_back(values.begin() + r * columns,
                        values.begin() + (r + 1) * columns);
    if (request.progress)
      request.progress(double(i + 1) / double(batches->size()));
  }
  return rows;
}

} // namespace quern
