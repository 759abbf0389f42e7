//===- Match.h - What the rewrites look for ------------------------*- C++ -*-//
//
// Codes behind a real value, the quantizer in front of one, weights in codes,
// and the remarks that say what was done or refused. Private to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_REWRITE_MATCH_H
#define QUERN_LIB_REWRITE_MATCH_H

#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"

#include <optional>

namespace quern {

/// Unsigned codes with one scale and zero point, and perhaps a real offset:
/// they stand for scale * (code - zero) + offset.
struct Codes {
  mlir::Value value;
  double scale;
  int64_t zero;
  unsigned bits;
  double offset = 0;

  /// The zero point, which is no whole number where there is an offset.
  double realZero() const { return static_cast<double>(zero) - offset / scale; }
};

/// The largest unsigned code of that many bits.
inline int64_t topCode(unsigned bits) { return (int64_t(1) << bits) - 1; }

/// The codes that `real` is the tq.dequantize of.
std::optional<Codes> matchCodes(mlir::Value real);

/// As matchCodes, also for codes with the ranges of tokens, whose scale and
/// zero point come in at run time: they have a scale and a zero point of 1
/// here, and constants made with these are what tq.qlinear wants. Codes may
/// have a real offset.
std::optional<Codes> matchFactor(mlir::Value real);

/// Scale, zero point and bits of an unsigned per-tensor tensor of codes.
std::optional<Codes> describeCodes(mlir::Value codes);

/// The same, also of codes with a real offset (`!tq.offset`): for those who
/// have a real number to put it in.
std::optional<Codes> describeOffsetCodes(mlir::Value codes);

/// What `op` does to each value, where an epilogue of a product can; nothing
/// for other ops and for null.
std::optional<tq::Activation> activationOf(mlir::Operation *op);

/// Codes under a tq.scale_shift (or not): the real value of channel j is
/// (code - zero) * scale * channelScale[j] + channelShift[j]; a real offset of
/// the codes is in the shift.
struct ChannelCodes {
  Codes codes;
  std::vector<double> channelScale, channelShift;
};
std::optional<ChannelCodes> matchChannelCodes(mlir::Value real, size_t width);

/// The tq.quantize that is the only reader of `real`; null otherwise, or when
/// its type is not unsigned with one scale (describeOffsetCodes), or its
/// rounding not half to even.
tq::QuantizeOp matchOnlyQuantizer(mlir::Value real);

/// The op that is the only reader of the value, or null.
mlir::Operation *onlyUser(mlir::Value value);

/// A weight in codes.
struct Weight {
  mlir::Value codes;
  mlir::Value scales;
  tq::ConstantData<int8_t> codeData;
  tq::ConstantData<float> scaleData;
  /// Bits that every code fits.
  int64_t bits = 8;
  /// The zero point of each row; empty where all are 0.
  std::vector<int32_t> zeros = {};
  /// The ends of blocks of columns, whose scales are `scaleData`; empty where
  /// scales are those of rows or of the whole.
  std::vector<int64_t> blocks = {};

  double scaleOf(size_t row) const {
    return scaleData[scaleData.size() == 1 ? 0 : row];
  }
  int64_t zeroOf(size_t row) const { return zeros.empty() ? 0 : zeros[row]; }
};

/// The weight that `real` is the tq.dequantize_weight of. Scales of blocks of
/// columns are for those who ask.
enum class Blocks { No, Yes };
std::optional<Weight> matchWeight(mlir::Value real, Blocks blocks = Blocks::No);

/// The values of a vector (LayerNorm gain, bias) in double, whether it is an
/// f32 constant or codes under tq.dequantize_weight.
std::optional<std::vector<double>> matchVector(mlir::Value real);

/// The sites of quantizers as an array attribute, by position: a quantizer
/// without a site, or none, is an empty name. Empty when all names are.
mlir::ArrayAttr siteNames(mlir::Builder &builder,
                          llvm::ArrayRef<tq::QuantizeOp> quantizers);

/// Whether no other LayerNorm before this one reads its input: of two over one
/// sum, the first has the sum's site.
bool readsFirst(tq::LayerNormOp norm);

/// Remarks of category `rewrite`: `what` became integer / stays f32 because.
void remarkFolded(mlir::Operation *op, llvm::StringRef pass,
                  const llvm::Twine &what);
void remarkRefused(mlir::Operation *op, llvm::StringRef pass,
                   const llvm::Twine &why);

} // namespace quern

#endif // QUERN_LIB_REWRITE_MATCH_H
