//===- RoundedCodes.h - Codes that a linear brings along -----------*- C++ -*-//
//
// AdaRound needs what the layer reads, so the driver finds its codes and
// leaves them on the tq.linear, from where tq-quantize takes them.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_ROUNDEDCODES_H
#define QUERN_LIB_QUANTIZE_ROUNDEDCODES_H

#include "lib/Quantize/WeightCodes.h"

#include "dialects/TQ/TQOps.h"

#include <optional>

namespace quern {

/// Leaves codes and scales of its weights on the op.
void attachCodes(tq::LinearOp linear, WeightCodes codes);

/// What is left there; none if there is nothing.
std::optional<WeightCodes> readCodes(tq::LinearOp linear);

/// Takes them off again; none if there are none.
std::optional<WeightCodes> takeCodes(tq::LinearOp linear);

/// Puts rows or columns of the codes of a linear, if it has any, in another
/// order, as its weights are.
void reorderCodes(tq::LinearOp linear, llvm::ArrayRef<int64_t> order,
                  bool rows);

/// True if every code is at most one step from its weight or at an end of the
/// grid: codes of other weights, or of these in another order, are not.
bool belongTogether(const WeightCodes &codes, const float *weights,
                    size_t count, unsigned bits);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_ROUNDEDCODES_H
