//===- TKDialect.cpp - The kernel dialect ---------------------------------===//
//
// Registration, and the check that a function marked `tk.kernel` has the
// signature that the entry wrapper and the run time rely on.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/TK/TKDialect.cpp.inc"
#include "dialects/TK/TKEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/TK/TKAttrs.cpp.inc"

using namespace mlir;

namespace quern::tk {

void TKDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/TK/TKAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/TK/TKOps.cpp.inc"
      >();
}

bool isKernel(Operation *op) {
  return op->hasAttrOfType<UnitAttr>(TKDialect::getKernelAttrName());
}

FlatSymbolRefAttr getVariantOf(Operation *kernel) {
  return kernel->getAttrOfType<FlatSymbolRefAttr>(
      TKDialect::getVariantAttrName());
}

StringRef getVariantMeans(Operation *kernel) {
  auto means = kernel->getAttrOfType<StringAttr>(TKDialect::getMeansAttrName());
  return means ? means.getValue() : StringRef();
}

void setVariant(Operation *kernel, StringRef of, StringRef means) {
  Builder b(kernel->getContext());
  kernel->setAttr(TKDialect::getVariantAttrName(),
                  FlatSymbolRefAttr::get(b.getContext(), of));
  kernel->setAttr(TKDialect::getMeansAttrName(), b.getStringAttr(means));
}

unsigned getNumKernelBuffers(Operation *kernel) {
  return cast<FunctionOpInterface>(kernel).getNumArguments() -
         TKDialect::kTrailingKernelArguments;
}

static bool isBufferType(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref || memref.getRank() != 1 || !memref.isDynamicDim(0) ||
      !memref.getLayout().isIdentity() || memref.getMemorySpace())
    return false;
  Type element = memref.getElementType();
  return element.isInteger(8) || element.isInteger(16) ||
         element.isInteger(32) || element.isF32();
}

static LogicalResult verifyKernel(Operation *op) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitOpError("is no function, but has the attribute '")
           << TKDialect::getKernelAttrName() << "'";
  // After the lowering to LLVM the arguments are no longer memrefs.
  if (op->getName().getDialectNamespace() == "llvm")
    return success();
  ArrayRef<Type> types = function.getArgumentTypes();
  unsigned trailing = TKDialect::kTrailingKernelArguments;
  if (types.size() < trailing || !function.getResultTypes().empty())
    return op->emitOpError("is a kernel and expects at least ")
           << trailing << " arguments and no result, got " << types.size()
           << " and " << function.getResultTypes().size();
  ArrayRef<Type> tail = types.take_back(trailing);
  for (auto [index, type] : llvm::enumerate(types.drop_back(trailing)))
    if (!isBufferType(type))
      return op->emitOpError("expects kernel argument ")
             << index << " to be memref<?xT> with T = i8, i16, i32 or f32, got "
             << type;
  for (auto [index, type] : llvm::enumerate(tail.drop_back()))
    if (!type.isIndex())
      return op->emitOpError("expects kernel argument ")
             << types.size() - trailing + index << " to be index, got " << type;
  if (!isBufferType(tail.back()) ||
      !cast<MemRefType>(tail.back()).getElementType().isInteger(8))
    return op->emitOpError("expects the scratch argument to be memref<?xi8>, "
                           "got ")
           << tail.back();
  return success();
}

/// The sizes that the arena plan leaves on the module: three non-negative
/// numbers for the arena, one for the scratch memory of a thread.
static LogicalResult verifyPlan(Operation *op, NamedAttribute attribute) {
  SmallVector<int64_t> sizes;
  if (auto array = dyn_cast<DenseI64ArrayAttr>(attribute.getValue()))
    llvm::append_range(sizes, array.asArrayRef());
  else if (auto integer = dyn_cast<IntegerAttr>(attribute.getValue()))
    sizes.push_back(integer.getInt());
  unsigned expected =
      attribute.getName() == TKDialect::getArenaAttrName() ? 3 : 1;
  if (!isa<ModuleOp>(op) || sizes.size() != expected ||
      llvm::any_of(sizes, [](int64_t size) { return size < 0; }))
    return op->emitOpError("expects '")
           << attribute.getName().getValue() << "' on a module with "
           << expected << " sizes, got " << attribute.getValue();
  return success();
}

/// A variant must name a kernel of the same module with the same arguments.
static LogicalResult verifyVariant(Operation *op, NamedAttribute attribute) {
  if (op->getName().getDialectNamespace() == "llvm")
    return success();
  auto reference = dyn_cast<FlatSymbolRefAttr>(attribute.getValue());
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!reference || !function || !isKernel(op))
    return op->emitOpError("expects '")
           << attribute.getName().getValue()
           << "' to be a symbol, on a kernel, got " << attribute.getValue();
  auto kernel = dyn_cast_or_null<FunctionOpInterface>(
      SymbolTable::lookupNearestSymbolFrom(op, reference));
  if (!kernel || !isKernel(kernel) ||
      kernel.getArgumentTypes() != function.getArgumentTypes())
    return op->emitOpError("expects ")
           << reference << " to be a kernel with the same arguments";
  StringRef means = getVariantMeans(op);
  if (means != "library" && means != "small" && means != "tiles")
    return op->emitOpError("expects '")
           << TKDialect::getMeansAttrName()
           << "' of a variant to be \"library\", \"small\" or \"tiles\", got \""
           << means << "\"";
  return success();
}

/// A dictionary on a module; who reads the entries checks them.
static LogicalResult verifyTuning(Operation *op, NamedAttribute attribute) {
  auto dict = dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!isa<ModuleOp>(op) || !dict || dict.size() != 2 ||
      !dict.getAs<StringAttr>("machine") || !dict.getAs<ArrayAttr>("gemm"))
    return op->emitOpError("expects '")
           << attribute.getName().getValue()
           << "' on a module with a string 'machine' and a list 'gemm', got "
           << attribute.getValue();
  return success();
}

LogicalResult TKDialect::verifyOperationAttribute(Operation *op,
                                                  NamedAttribute attribute) {
  if (attribute.getName() == getArenaAttrName() ||
      attribute.getName() == getScratchAttrName())
    return verifyPlan(op, attribute);
  if (attribute.getName() == getTuningAttrName())
    return verifyTuning(op, attribute);
  if (attribute.getName() == getVariantAttrName())
    return verifyVariant(op, attribute);
  if (attribute.getName() == getMeansAttrName()) {
    if (!getVariantOf(op))
      return op->emitOpError("expects '") << getMeansAttrName() << "' beside '"
                                          << getVariantAttrName() << "'";
    return success();
  }
  if (attribute.getName() != getKernelAttrName())
    return op->emitOpError("has unknown attribute '")
           << attribute.getName().getValue() << "'";
  if (!isa<UnitAttr>(attribute.getValue()))
    return op->emitOpError("expects '")
           << getKernelAttrName() << "' to be a unit attribute";
  return verifyKernel(op);
}

} // namespace quern::tk
