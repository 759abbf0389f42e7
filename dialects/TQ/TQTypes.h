//===- TQTypes.h - Quantized element types ----------------------*- C++ -*-===//
//
// Part of Quern. The dialect's own types, and questions asked of any quantized
// element type, upstream's or ours.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQTYPES_H
#define QUERN_DIALECTS_TQ_TQTYPES_H

#include "dialects/TQ/TQDialect.h"

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/Types.h"

#include <optional>

#define GET_TYPEDEF_CLASSES
#include "dialects/TQ/TQTypes.h.inc"

namespace quern::tq {

/// How the codes of a quantized type are stored, and their range.
struct CodeStorage {
  unsigned bits;
  bool isSigned;
  int64_t min;
  int64_t max;
};

/// True for `!quant.uniform` (all forms) and every type of the tq dialect.
bool isQuantizedType(mlir::Type type);

/// Storage of a quantized type; none if the type is not quantized.
std::optional<CodeStorage> getCodeStorage(mlir::Type type);

/// Scale and zero point if one pair serves the whole tensor, i.e. for
/// per-tensor `!quant.uniform` types; none otherwise.
std::optional<UniformParams> getPerTensorParams(mlir::Type type);

/// The type if its ranges are those of tokens and kernels exist for it:
/// unsigned codes of at most 8 bits; null otherwise.
DynamicType getTokenType(mlir::Type type);

/// The per-tensor type `!quant.uniform<u8:f32, scale:zero>` of `bits` bits
/// with the full storage range.
mlir::quant::UniformQuantizedType getUniformType(mlir::MLIRContext *context,
                                                 unsigned bits, bool isSigned,
                                                 double scale, int64_t zero);

} // namespace quern::tq

#endif // QUERN_DIALECTS_TQ_TQTYPES_H
