//===- FirstRows.h - Runs before and after tq-slice-rows --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Private to compiler/Validate: what was found for all rows, cut to those that
// a function still has.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_FIRSTROWS_H
#define QUERN_COMPILER_VALIDATE_FIRSTROWS_H

#include "compiler/Validate/FunctionState.h"

namespace quern {

/// Of rows of tokens those that begin a sequence, or of the scores of all pairs
/// those of such a token, if that is what `like` has; none otherwise.
/// `offsets` are those of the sequences.
std::optional<Tensor> takeFirstRows(const Tensor &all, const Tensor &like,
                                    llvm::ArrayRef<int32_t> offsets);

/// Cuts forced, earlier and reference values of a case to the rows that
/// `sliced` has. Fails where it cannot be run.
mlir::LogicalResult keepFirstRows(ValidationCase &each,
                                  mlir::func::FuncOp sliced);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_FIRSTROWS_H
