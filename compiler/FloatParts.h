//===- FloatParts.h - What a recipe leaves in f32 ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A part that stays in f32 costs time and bytes that nobody sees in the
// answers, so a compilation names every one.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_FLOATPARTS_H
#define QUERN_COMPILER_FLOATPARTS_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace quern {

/// Sites and weights without codes, in the order of the program. Names that
/// differ in one number are folded: `L0-11.f`, `encoder.layer.0-11.output`.
struct FloatParts {
  /// No site, or no weight of a linear layer or table, has codes.
  bool allSites = false, allWeights = false;
  std::vector<std::string> sites;
  /// Linear layers that multiply real numbers: their input or their weight has
  /// no codes.
  std::vector<std::string> linears;
  std::vector<std::string> tables;

  /// One line for people, as "sites L0-11.f, C; linear layers: pooler.dense";
  /// empty if all has codes.
  std::string line() const;
};

/// What the scheme of an L0 module leaves in f32.
FloatParts findFloatParts(mlir::ModuleOp module);

/// `names` in order, those of consecutive numbers as one; only the first
/// number before a dot counts.
std::vector<std::string> foldNumbers(const std::vector<std::string> &names);

} // namespace quern

#endif // QUERN_COMPILER_FLOATPARTS_H
