//===- TQDialect.cpp - Registration and module attributes -----------------===//
//
// Part of Quern. Adds types, attributes and ops to the dialect and verifies
// `tq.model`, the only discardable attribute it defines.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQDialect.h"
#include "dialects/TQ/TQOps.h"
#include "dialects/TQ/TQTypes.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace quern::tq;

#include "dialects/TQ/TQDialect.cpp.inc"
#include "dialects/TQ/TQEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/TQ/TQAttrs.cpp.inc"

void TQDialect::initialize() {
  registerTypes();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/TQ/TQAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/TQ/TQOps.cpp.inc"
      >();
}

LogicalResult TQDialect::verifyOperationAttribute(Operation *op,
                                                  NamedAttribute attribute) {
  if (attribute.getName() != "tq.model")
    return success();
  if (!isa<ModuleOp>(op))
    return op->emitOpError("carries 'tq.model', which belongs on the module");
  auto model = dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!model)
    return op->emitOpError("expects 'tq.model' to be a dictionary, got ")
           << attribute.getValue();
  for (StringRef key : {"family", "head"})
    if (!model.getAs<StringAttr>(key))
      return op->emitOpError("expects 'tq.model' to hold the string '")
             << key << "'";
  for (StringRef key : {"hidden", "heads", "layers"}) {
    auto value = model.getAs<IntegerAttr>(key);
    if (value && value.getInt() < 0)
      return op->emitOpError("expects '")
             << key << "' of 'tq.model' not to be negative, got "
             << value.getInt();
  }
  auto hidden = model.getAs<IntegerAttr>("hidden");
  auto heads = model.getAs<IntegerAttr>("heads");
  if (hidden && heads && (!heads.getInt() || hidden.getInt() % heads.getInt()))
    return op->emitOpError("expects 'hidden' of 'tq.model' to be a multiple of "
                           "'heads', got ")
           << hidden.getInt() << " and " << heads.getInt();
  return success();
}
