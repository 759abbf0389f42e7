//===- FixedAttention.h - Constants and softmax of fixed attention --------===//
//
// Rows of score codes to rows of probability codes by integer_probs.h: a
// look-up in a table of 256 exponentials, in planes of bytes, then one division
// for the row, and a product and a shift for each score. To logarithmic codes
// by integer_log_probs.h: comparisons with limits of the row.
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
/// The same with logarithmic probabilities.
std::vector<int8_t> packFixedAttention(const qi_affine &score,
                                       const qi_affine &context,
                                       const qi_log_probs &probs, int64_t zq,
                                       int64_t zk, int64_t zv);

/// The constants as the kernel reads them.
class FixedAttentionParams {
public:
  FixedAttentionParams(KernelBuilder &k, mlir::Value params);

  /// For scores and context codes.
  FixedLanes score() const;
  FixedLanes context() const;
  /// Zero points of q, k, v (0 to 2), in i32.
  mlir::Value zero(int64_t which) const;

  /// Puts probability codes in the place of `length` score codes of one row at
  /// byte `codes` of the scratch memory, and zeros up to a multiple of 16, and
  /// gives their sum (i32). At byte `exps` there is place for 4 bytes for each
  /// code, up to a multiple of 64.
  mlir::Value softmax(const AttentionShape &shape, mlir::Value codes,
                      mlir::Value exps, mlir::Value length) const;

  /// Puts logarithmic codes (i32) in the place of the exponentials of `length`
  /// score codes, and codes of zero up to a multiple of 64.
  void logarithms(const AttentionShape &shape, mlir::Value codes,
                  mlir::Value exps, mlir::Value length) const;

private:
  mlir::Value number(int64_t at) const;
  /// Limit c of a row of this sum (i64), as i32.
  mlir::Value logLimit(const AttentionShape &shape, mlir::Value sum,
                       int c) const;
  mlir::Value rowMaximum(mlir::Value codes, mlir::Value length) const;
  mlir::Value exponentials(const AttentionShape &shape, mlir::Value codes,
                           mlir::Value exps, mlir::Value length) const;

  KernelBuilder &k;
  mlir::Value params;
};

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDATTENTION_H
