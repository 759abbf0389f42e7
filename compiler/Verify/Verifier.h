//===- Verifier.h - Simulation, integers and machine code -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Compares three programs of one model on the same texts, site by site:
//   L1  the simulation of the recipe, in real arithmetic
//   L2  the integer graph, run by the reference interpreter
//   the machine code of the module, on every tier that this CPU has
// L2 and the machine must agree bit for bit. L1 and L2 may differ by one code
// where they start from equal codes; how far whole models drift apart is
// reported, not judged, and so is a site behind a form that a recipe chose for
// what it is and not for being near the function it stands for (i-GELU, i-exp,
// Shiftmax).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VERIFY_VERIFIER_H
#define QUERN_COMPILER_VERIFY_VERIFIER_H

#include "compiler/Compiler.h"
#include "runtime/include/quern/introspect.h"

#include <map>

namespace quern {

/// How two tensors differ.
struct Difference {
  uint64_t values = 0; ///< compared
  uint64_t differ = 0; ///< of these not equal
  double largest = 0;  ///< largest absolute difference; NaN counts as infinite

  /// Counts one pair of values.
  void add(double a, double b) {
    ++values;
    if (a != b)
      addUnequal(a, b);
  }
  /// Counts one pair of floats that must have the same bits.
  void addBits(float a, float b);
  /// Counts values that are only on one side.
  void addMissing(uint64_t count);

private:
  void addUnequal(double a, double b);
};

/// What is to be compared.
struct VerifyRequest {
  /// An open module, and its name for messages.
  const quern_module *module = nullptr;
  std::string name;
  /// The folder it was made from; empty takes the one in its manifest.
  std::string modelFolder;
  /// Images for a vision module.
  std::vector<CalibrationText> texts;
  /// Thread counts of the machine runs.
  std::vector<uint32_t> threads = {1, 2};
  /// Texts run together until a batch has this many tokens.
  uint32_t batchTokens = 512;
  /// Told what part (0 to 1) is done.
  std::function<void(double)> progress;
};

/// The comparisons at a site, or of the outputs.
struct SiteReport {
  std::string name;
  /// Of the codes; 0 for real numbers.
  unsigned bits = 0;
  /// Behind a form that L1 does not have.
  bool isOtherForm = false;
  /// L1 against L2, each from its own codes on.
  Difference simulation;
  /// L1 against L2, whose every site was computed from L1's codes.
  Difference equalCodes;
  /// L2 against machine code, all thread counts together, by tier.
  std::vector<Difference> machine;
};

struct VerifyReport {
  std::string recipe;
  uint64_t texts = 0, tokens = 0;
  /// Names of the tiers in SiteReport::machine, and those left out with why.
  std::vector<std::string> tiers;
  std::vector<std::pair<std::string, std::string>> skipped;
  std::vector<uint32_t> threads;
  /// In the order of the graph.
  std::vector<SiteReport> sites;
  SiteReport outputs;
  /// Sites that some program does not show, and why they are not compared.
  std::map<std::string, std::string> hidden;
  /// What is not as it must be, in words; empty means passed.
  std::vector<std::string> failures;
};

/// Runs the comparison. An error means that it could not be made; a
/// comparison that fails is in the report.
Expected<VerifyReport> verifyModule(const VerifyRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_VERIFY_VERIFIER_H
