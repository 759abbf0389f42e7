//===- FixedPoint.h - Constants of fixed ops, made once ---------*- C++ -*-===//
//
// The L2 ops hold their constants in f32. With `fixed`, these functions make
// integers of them, for the interpreter and for the kernels alike. Constants
// out of the reach of fixed-point numbers are a diagnostic on the op.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_FIXEDPOINT_H
#define QUERN_DIALECTS_TQ_FIXEDPOINT_H

#include "dialects/TQ/TQOps.h"
#include "quern/integer_log_probs.h"
#include "quern/integer_norm.h"
#include "quern/integer_requant.h"

#include <optional>
#include <vector>

namespace quern::tq {

/// The function at(q, multiplier, offset) of the op descriptions. `name` says
/// which constant it is, for messages.
mlir::FailureOr<qi_affine> makeAffine(mlir::Operation *op, llvm::StringRef name,
                                      double multiplier, double offset);

/// One for each multiplier, times `units`. There are as many offsets, or none.
mlir::FailureOr<std::vector<qi_affine>>
makeAffines(mlir::Operation *op, llvm::StringRef name,
            llvm::ArrayRef<float> multipliers, llvm::ArrayRef<float> offsets,
            double units = 1);

/// Of a fixed tq.qlinear: from sums to codes, or to the activation's input for
/// each output, and from the activation's result to codes.
struct FixedProduct {
  std::vector<qi_affine> outputs;
  qi_affine post;
};
mlir::FailureOr<FixedProduct> fixedProduct(QLinearOp op,
                                           llvm::ArrayRef<float> multiplier,
                                           llvm::ArrayRef<float> offset);

/// The activation of a fixed tq.qlinear on its integer input; not for `none`.
int32_t applyFixed(Activation activation, int32_t t);

/// A LayerNorm that ends a fixed op: gain and bias, and how the codes u of the
/// sum become its numbers, (u - zero) * 2^factor.
struct FixedNorm {
  std::vector<qi_channel> channels;
  int shift;
  std::vector<uint8_t> factors;
  int32_t zero;
};
/// `sumHi` is the largest code of the sum, `sumType` null or a type of
/// power-of-two factors.
mlir::FailureOr<FixedNorm> fixedNorm(mlir::Operation *op,
                                     llvm::ArrayRef<float> gamma,
                                     llvm::ArrayRef<float> beta, int64_t sumHi,
                                     mlir::Type sumType = {});

/// The exponents of power-of-two factors, by group: of up to four groups, of
/// one zero point, whose scales are 1, 2, 4 or 8 times the least one. None for
/// other groups, or a type without any.
std::optional<std::vector<uint8_t>>
powerOfTwoFactors(llvm::ArrayRef<UniformParams> groups);
std::optional<std::vector<uint8_t>> powerOfTwoFactors(mlir::Type type);

/// Of a fixed tq.qadd or tq.qadd_norm, for each of `width` columns.
struct FixedSum {
  std::vector<qi_affine> a, b;
};
mlir::FailureOr<FixedSum> fixedSum(mlir::Operation *op,
                                   llvm::ArrayRef<float> ma,
                                   llvm::ArrayRef<float> mb,
                                   llvm::ArrayRef<float> mo, int64_t width);

/// Of a tq.qembed with e2_type: 2^f of each channel, by which its second sum is
/// multiplied; empty without.
std::vector<int32_t> embeddingPowers(QEmbedOp op);

/// Of a fixed tq.qembed: for each scale of a table, and for the first sum.
struct FixedEmbedding {
  std::vector<qi_affine> word, type, position;
  qi_affine first;
};
mlir::FailureOr<FixedEmbedding> fixedEmbedding(QEmbedOp op,
                                               llvm::ArrayRef<float> word,
                                               llvm::ArrayRef<float> type,
                                               llvm::ArrayRef<float> position);

/// Of a fixed tq.qattention: `log` of logarithmic probabilities, else `probs`.
struct FixedAttention {
  qi_affine score, context;
  qi_probs probs;
  std::optional<qi_log_probs> log;
};
mlir::FailureOr<FixedAttention> fixedAttention(QAttentionOp op,
                                               llvm::ArrayRef<float> expHi,
                                               llvm::ArrayRef<float> expLo);

} // namespace quern::tq

#endif // QUERN_DIALECTS_TQ_FIXEDPOINT_H
