//===- PairPatterns.h - Micro-ops without VNNI and VBMI -------------------===//
//
// What AVX2 does in halves of 256 bits and AVX-512BW in whole vectors: dot
// products of bytes as sums of pairs of 16 bits, and look-ups of bytes by
// shuffles within 16.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_X86_PAIRPATTERNS_H
#define QUERN_LIB_TARGET_X86_PAIRPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace quern {

/// For tk.dot4, in parts of `bits` bits: 256 or 512.
void populatePairPatterns(mlir::RewritePatternSet &patterns, int64_t bits);
/// For tk.lut256.
void populateShufflePatterns(mlir::RewritePatternSet &patterns, int64_t bits);

namespace x86 {
/// Lanes [at * size, (at + 1) * size) of a vector.
mlir::Value part(mlir::OpBuilder &b, mlir::Location loc, mlir::Value v,
                 int64_t at, int64_t size);
/// One or two parts as one vector.
mlir::Value join(mlir::OpBuilder &b, mlir::Location loc,
                 mlir::ArrayRef<mlir::Value> parts);
} // namespace x86

} // namespace quern

#endif // QUERN_LIB_TARGET_X86_PAIRPATTERNS_H
