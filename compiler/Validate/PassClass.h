//===- PassClass.h - What every pass promises -------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The one table of what passes keep. A pass that a pipeline runs and that is
// not in it cannot be validated, and a test fails.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_PASSCLASS_H
#define QUERN_COMPILER_VALIDATE_PASSCLASS_H

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <vector>

namespace quern {

/// How far values may move when a pass rewrites what computes them.
enum class PassClass {
  /// Not a bit.
  Exact,
  /// Codes by one, and only where the real value lies between the two; real
  /// numbers as in Relative.
  OneCode,
  /// Real numbers by 1e-6 of the largest of their tensor.
  Relative,
  /// Freely: the pass makes another function on purpose. What it leaves is
  /// what later passes are held against.
  Intended
};

/// "exact", "one code", "relative 1e-6" or "intended".
const char *describe(PassClass passClass);

/// A pass by its argument, as `tq-fold-linear`.
struct PassPromise {
  llvm::StringRef argument;
  PassClass passClass;
};

/// Every pass of the pipelines.
llvm::ArrayRef<PassPromise> passPromises();

/// The class of a pass, from `more` or from the table; none if it is in
/// neither.
std::optional<PassClass> classOf(llvm::StringRef argument,
                                 llvm::ArrayRef<PassPromise> more = {});

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_PASSCLASS_H
