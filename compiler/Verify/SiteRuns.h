//===- SiteRuns.h - The programs that are compared --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// One run of a level or of machine code, with what every site held.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VERIFY_SITERUNS_H
#define QUERN_COMPILER_VERIFY_SITERUNS_H

#include "compiler/Verify/ModuleLevels.h"
#include "compiler/Verify/Verifier.h"
#include "lib/Interpret/Interpreter.h"

#include <map>
#include <memory>

namespace quern {

/// What a run of a graph left.
struct SiteRun {
  std::map<std::string, Tensor> sites;
  /// Bits of the codes, 0 for real numbers.
  std::map<std::string, unsigned> bits;
  /// Names in the order of the graph.
  std::vector<std::string> order;
  Tensor output;
};

/// Runs a graph. `forced` replaces what sites hold for all that follows.
mlir::FailureOr<SiteRun> runGraph(mlir::ModuleOp module, Arithmetic arithmetic,
                                  const TokenBatch &batch,
                                  const SiteRun *forced = nullptr);

/// Compares two tensors, value by value; codes with the ranges of tokens
/// without their zero points.
void compare(const Tensor &a, const Tensor &b, Difference &difference);

/// A session with capture on, of one tier and a number of threads; of the tier
/// QUERN_TIER_CUDA it runs on a GPU.
class MachineRun {
public:
  static Expected<MachineRun> create(const quern_module *module, uint32_t tier,
                                     uint32_t threads);

  /// Runs a batch; the values stay until the next one.
  Error run(const TokenBatch &batch);

  /// Compares a site with what a graph found. False if the module does not
  /// keep it.
  bool compareSite(const std::string &name, const Tensor &expected,
                   Difference &difference) const;
  void compareOutput(const Tensor &expected, Difference &difference) const;

private:
  MachineRun() : session(nullptr, quern_session_destroy) {}

  std::unique_ptr<quern_session, void (*)(quern_session *)> session;
  quern_output output = {};
};

} // namespace quern

#endif // QUERN_COMPILER_VERIFY_SITERUNS_H
