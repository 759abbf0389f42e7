//===- Reparameterize.h - Channel ranges into LayerNorm and weights *- C++ -*-//
//
// RepQuant's rewrite (quantization.md 8.3): the channels of a LayerNorm output
// get one common range, and their own scales and shifts move into the gain and
// into the weights that read them. In post-LN BERT the residual sum reads the
// same tensor; it gets a tq.scale_shift.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_REPARAMETERIZE_H
#define QUERN_LIB_QUANTIZE_REPARAMETERIZE_H

#include "dialects/TQ/TQOps.h"

namespace quern {

/// Makes the observed LayerNorm output x~ = (x - shift) / scale and every
/// reader read x = x~ * scale + shift: exact in real numbers. Emits an error
/// when the site is no LayerNorm output or has other readers than linears with
/// constant weights and sums.
mlir::LogicalResult reparameterize(tq::ObserveOp observe,
                                   llvm::ArrayRef<float> scale,
                                   llvm::ArrayRef<float> shift);

/// Multiplies each column of row-major weights by its scale: the weights of a
/// linear layer whose input has channel scales.
void scaleColumns(llvm::MutableArrayRef<float> weights,
                  llvm::ArrayRef<float> scale);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_REPARAMETERIZE_H
