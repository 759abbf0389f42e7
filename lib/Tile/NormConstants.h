//===- NormConstants.h - Constants of LayerNorms --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What launches of LayerNorms over codes share, behind residual sums and behind
// the embedding. Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_NORMCONSTANTS_H
#define QUERN_LIB_TILE_NORMCONSTANTS_H

#include "lib/Tile/ProgramBuilder.h"

namespace quern {

/// Storage of the codes of a sum that are in [0, hi].
inline Storage storageFor(int64_t hi) {
  return hi <= 255 ? Storage::U8 : Storage::U16;
}

/// The constants of a LayerNorm over codes, as a constant of the program.
std::string normParams(ProgramBuilder &program, llvm::StringRef name,
                       float scale, int64_t d, double eps);

/// The constants of a fixed LayerNorm, as a constant of the program; `narrow`
/// becomes false where they are not, `plain` what they are.
mlir::FailureOr<std::string>
fixedNormParams(ProgramBuilder &program, mlir::Operation *op,
                llvm::StringRef step, llvm::ArrayRef<float> gamma,
                llvm::ArrayRef<float> beta, int64_t sumHi, bool &narrow,
                bool &plain, mlir::Type sumType = {});

} // namespace quern

#endif // QUERN_LIB_TILE_NORMCONSTANTS_H
