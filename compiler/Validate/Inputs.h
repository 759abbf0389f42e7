//===- Inputs.h - What functions are interpreted on -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_VALIDATE_INPUTS_H
#define QUERN_COMPILER_VALIDATE_INPUTS_H

#include "lib/Interpret/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>
#include <vector>

namespace quern {

/// Tokens of one sequence.
struct TokenSequence {
  std::vector<int32_t> ids, types;
};

/// Ids, types, positions and offsets of sequences laid end to end, each cut to
/// `maxTokens`, at most `maxSequences` of them.
std::vector<Tensor> packedInputs(const std::vector<TokenSequence> &sequences,
                                 size_t maxSequences, size_t maxTokens);

/// How the values of f32 and code arguments are chosen.
enum class InputKind {
  Random,
  /// Zero, the least and the greatest code, values in the middle between two
  /// codes of the quantizers in the function.
  Ties,
  /// 50 times what Random has.
  Outliers,
  Extremes
};

/// True for the argument that holds where sequences begin.
bool holdsOffsets(mlir::BlockArgument argument);

/// Inputs for any function by its types and by what reads them: rows of tables,
/// offsets of sequences, values, codes. None if an argument is of another kind.
std::optional<std::vector<Tensor>> generatedInputs(mlir::func::FuncOp function,
                                                   InputKind kind);

} // namespace quern

#endif // QUERN_COMPILER_VALIDATE_INPUTS_H
