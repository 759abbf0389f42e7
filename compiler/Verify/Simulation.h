//===- Simulation.h - A module's recipe in real arithmetic ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The papers report accuracy of simulations like L1. Its outputs beside those
// of the module show what the integers change.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VERIFY_SIMULATION_H
#define QUERN_COMPILER_VERIFY_SIMULATION_H

#include "compiler/Verify/ModuleLevels.h"

namespace quern {

/// Which texts to run through the simulation of which module.
struct SimulationRequest {
  const quern_module *module = nullptr;
  /// The module's in messages.
  std::string name;
  /// The folder it was made from; empty takes the one in its manifest.
  std::string modelFolder;
  std::vector<CalibrationText> texts;
  /// Tokens that texts are cut to; 0 for the model's own limit.
  uint32_t maxLength = 0;
  /// 0 is one for each CPU; at most eight, each of which holds all values of a
  /// batch. The outputs do not depend on it.
  unsigned threads = 1;
  /// Told what part (0 to 1) is done.
  std::function<void(double)> progress;
};

/// The outputs of L1, a row for each text. It is a reference and slow: a
/// sentence of BERT-base takes seconds.
Expected<std::vector<std::vector<float>>>
simulate(const SimulationRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_VERIFY_SIMULATION_H
