//===- Targets.h - Which machines a module is for ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// From the names of `--target` and `--tune-for` to tiers and to the choice of
// kernels.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TARGETS_H
#define QUERN_COMPILER_TARGETS_H

#include "compiler/Compiler.h"
#include "compiler/Emit/ObjectCode.h"
#include "lib/Support/Status.h"
#include "lib/Tile/ModuleTuning.h"

#include <vector>

namespace quern {

/// What a module has code for.
struct Targets {
  /// In the order that the table of a module wants; the first
  /// one runs on any x86-64.
  std::vector<Tier> tiers;
  bool forGpus = false;
};

/// The targets of a request; none stands for `x86`. Error: an unknown name.
Expected<Targets> chooseTargets(const CompileRequest &request);

/// The kernels of the machine that a request names, or of the one that this
/// machine is like; the default where the table has none. The request's `note`
/// is told which. Errors: a bad table; a machine that it does not have.
Expected<ModuleTuning> chooseTuning(const CompileRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_TARGETS_H
