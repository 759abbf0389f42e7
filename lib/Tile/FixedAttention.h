//===- FixedAttention.h - Constants and softmax of fixed attention --------===//
//
// Rows of score codes to rows of probability codes by integer_probs.h: a
// look-up in a table of 256 exponentials, in planes of bytes, then one division
// for the row, and a product and a shift for each score. To logarithmic codes
// by integer_log_probs.h: see LogSteps.h.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDATTENTION_H
#define QUERN_LIB_TILE_FIXEDATTENTION_H

#include "lib/Tile/Attention.h"
#include "lib/Tile/FixedPoint.h"
#include "quern/integer_log_probs.h"

#include <vector>

namespace quern {

/// Bytes that hold every exponential of a table of 256: 1 to 4.
int64_t exponentialBytes(llvm::ArrayRef<int32_t> exps);

/// Content of the i8 buffer `params` of a fixed kernel.
std::vector<int8_t> packFixedAttention(const qi_affine &score,
                                       const qi_affine &context,
                                       const qi_probs &probs, int64_t zq,
                                       int64_t zk, int64_t zv);
/// The same with logarithmic probabilities, of rows up to a length.
std::vector<int8_t> packFixedAttention(const qi_affine &score,
                                       const qi_affine &context,
                                       const qi_log_probs &probs,
                                       int64_t maxLength, int64_t zq,
                                       int64_t zk, int64_t zv);

/// The constants as the kernel reads them.
class FixedAttentionParams {
public:
  FixedAttentionParams(KernelBuilder &k, mlir::Value params);

  /// For scores and context codes.
  FixedLanes score(const AttentionShape &shape) const;
  FixedLanes context(const AttentionShape &shape) const;
  /// Zero points of q, k, v (0 to 2), in i32.
  mlir::Value zero(int64_t which) const;

  /// Puts the exponentials of `length` score codes of one row, from byte
  /// `codes` of the scratch memory on, at byte `exps`, 4 bytes each and up to a
  /// multiple of 64, and gives their sum (i64).
  mlir::Value exponentials(const AttentionShape &shape, mlir::Value codes,
                           mlir::Value exps, mlir::Value length) const;

  /// Makes probability codes of the exponentials, and zeros up to a multiple of
  /// 64, and hands over the sum of the codes (i32).
  void probabilities(const AttentionShape &shape, mlir::Value codes,
                     mlir::Value exps, mlir::Value sum, mlir::Value length,
                     llvm::function_ref<void(mlir::Value)> done) const;

  /// Of logarithmic codes: leaves how far score codes are below the largest of
  /// their row in their place, and gives the sum of the exponentials (i64).
  mlir::Value sumExponentials(const AttentionShape &shape, mlir::Value codes,
                              mlir::Value length) const;
  /// For the sums of some rows, how many sums of LogSteps are not above them.
  KernelBuilder::Values findSteps(llvm::ArrayRef<mlir::Value> sums) const;
  /// Makes codes of what sumExponentials() left, and those of zero beyond the
  /// row up to a multiple of 64; `step` (i64) is from findSteps. Gives the
  /// largest codes but that of zero and `most`, by lane.
  mlir::Value logarithms(const AttentionShape &shape, mlir::Value codes,
                         mlir::Value step, mlir::Value length,
                         mlir::Value most) const;

private:
  mlir::Value number(int64_t at) const;
  mlir::Value i64At(int64_t byte) const;
  mlir::Value rowMaximum(mlir::Value codes, mlir::Value length) const;
  /// Stores bytes made of the exponentials at `exps`, 16 at a time, at `codes`.
  mlir::Value
  mapExponentials(mlir::Value codes, mlir::Value exps, mlir::Value length,
                  llvm::function_ref<mlir::Value(mlir::Value)> codeOf) const;

  KernelBuilder &k;
  mlir::Value params;
};

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDATTENTION_H
