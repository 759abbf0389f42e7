//===- MatchGroups.h - Codes with parameters by channel ------------*- C++ -*-//
//
// What the rewrites of residual sums and of grouped products look for: codes
// whose scale and zero point depend on the channel, and the quantizers that
// write them. Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_REWRITE_MATCHGROUPS_H
#define QUERN_LIB_REWRITE_MATCHGROUPS_H

#include "lib/Rewrite/Match.h"

#include "llvm/ADT/STLExtras.h"

namespace quern {

/// Unsigned codes of one scale or of groups along the columns, by channel.
struct ChannelParams {
  unsigned bits;
  std::vector<tq::UniformParams> params;
};
std::optional<ChannelParams> describeChannels(mlir::Value codes, size_t width);

/// Unsigned codes of which each head has a scale, and perhaps limits, of its
/// own; all have one zero point. Columns or rows (`axis`) are heads, or blocks
/// of them as wide as each other.
struct HeadCodes {
  mlir::Value value;
  unsigned bits;
  int64_t zero;
  /// One for each head.
  std::vector<double> scales;
  /// The same; empty where all heads have all codes.
  std::vector<tq::CodeLimits> limits = {};

  /// Whether heads differ.
  bool isByHead() const { return !limits.empty() || !llvm::all_equal(scales); }
  tq::CodeLimits limitsOf(size_t head) const {
    return limits.empty() ? tq::CodeLimits{0, topCode(bits)} : limits[head];
  }
};
/// Codes of one scale or of heads; none for other groups.
std::optional<HeadCodes> describeHeads(mlir::Value codes, int64_t heads,
                                       int64_t axis = 1);

/// The type of codes in groups of columns, or null.
tq::GroupType groupTypeOf(mlir::Value codes);

/// As matchChannelCodes, also for codes in groups, and for codes with the
/// ranges of tokens: those are summed as the f32 values that they stand for.
std::optional<ChannelCodes> matchSummand(mlir::Value real, size_t width);

/// As matchOnlyQuantizer, also for codes in groups.
tq::QuantizeOp matchOnlyChannelQuantizer(mlir::Value real);

/// Codes that an op made and bounds alike, and that have the type of
/// `quantize`: where its groups have limits, those of a tq.qlimit behind the
/// op, which has the quantizer's site then.
mlir::Value limitGroups(mlir::OpBuilder &builder, mlir::Value made,
                        tq::QuantizeOp quantize);
/// Whether it does so.
bool hasLimits(tq::QuantizeOp quantize);

/// Gain and shift of a LayerNorm with the quantizer behind it folded in:
/// g / s and b / s + z, or g and b themselves without one.
struct Affine {
  std::vector<float> gamma, beta;
};

/// Output column i, which takes channel order[i] (i without an order), is
/// written by `behind`. The vectors are by channel.
std::optional<Affine> foldChannelAffine(tq::LayerNormOp norm,
                                        tq::QuantizeOp behind,
                                        llvm::ArrayRef<int64_t> order);

} // namespace quern

#endif // QUERN_LIB_REWRITE_MATCHGROUPS_H
