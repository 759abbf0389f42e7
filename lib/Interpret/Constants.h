//===- Constants.h - Elements attributes as tensors -------------*- C++ -*-===//
//
// Part of Quern. Private to lib/Interpret: reads dense and resource constants
// without copying where their memory can be used as it is.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_CONSTANTS_H
#define QUERN_LIB_INTERPRET_CONSTANTS_H

#include "lib/Interpret/Tensor.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace quern {

/// The elements of `value`: f32 as F32, i8 as I8 if `isSigned`, every other
/// integer of up to 32 bits as I32. Reports on `op`.
mlir::FailureOr<Tensor> readConstant(mlir::Operation *op,
                                     mlir::ElementsAttr value, bool isSigned);

} // namespace quern

#endif // QUERN_LIB_INTERPRET_CONSTANTS_H
