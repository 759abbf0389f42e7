//===- TKOps.cpp - Verifiers of the tk ops --------------------------------===//
//
// What the types alone cannot say: limits of codes, and that launches fit
// their kernels.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <cmath>

#define GET_OP_CLASSES
#include "dialects/TK/TKOps.cpp.inc"

using namespace mlir;

namespace quern::tk {

/// Rounding by adding a large constant works within these limits only.
static LogicalResult verifyLimits(Operation *op, APFloat lowAttr,
                                  APFloat highAttr) {
  float low = lowAttr.convertToFloat(), high = highAttr.convertToFloat();
  if (low != std::floor(low) || high != std::floor(high))
    return op->emitOpError("expects integral limits, got ")
           << low << " and " << high;
  if (low > high)
    return op->emitOpError("expects lo <= hi, got ") << low << " and " << high;
  const float half = 4194304.0f;
  if ((low < -half || high > half) && (low < 0 || high > 2 * half))
    return op->emitOpError("expects limits within [-2^22, 2^22] or [0, 2^23], "
                           "got ")
           << low << " and " << high;
  return success();
}

LogicalResult RoundOp::verify() {
  return verifyLimits(*this, getLo(), getHi());
}

LogicalResult RequantOp::verify() {
  return verifyLimits(*this, getLo(), getHi());
}

LogicalResult UnpackOp::verify() {
  uint64_t bits = getBits(), part = getPart();
  if (bits != 2 && bits != 4)
    return emitOpError("expects bits to be 2 or 4, got ") << int64_t(bits);
  if (part >= 8 / bits)
    return emitOpError("expects part in [0, ")
           << 8 / bits << "), got " << int64_t(part);
  return success();
}

LogicalResult TileLoadOp::verify() {
  int64_t stride = getStride();
  if (stride < 0)
    return emitOpError("expects a stride of 0 or more, got ") << stride;
  return success();
}

LogicalResult TileStoreOp::verify() {
  int64_t stride = getStride();
  if (stride < 64)
    return emitOpError("expects a stride of 64 or more, got ") << stride;
  return success();
}

LogicalResult ProductOp::verify() {
  int64_t width = getBits();
  if (width != 8 && width != 4 && width != 2)
    return emitOpError("expects bits to be 8, 4 or 2, got ") << width;
  if (getTurns() < 16 || getTurns() % 16 != 0)
    return emitOpError("expects turns to be a multiple of 16, got ")
           << int64_t(getTurns());
  if (getPanels() < 1)
    return emitOpError("expects at least one panel, got ")
           << int64_t(getPanels());
  if (int64_t(getXStride()) < int64_t(getTurns()) * 4 || getXStride() % 2 != 0)
    return emitOpError("expects x_stride to be even and at least ")
           << int64_t(getTurns()) * 4 << ", got " << int64_t(getXStride());
  if (int64_t(getPanelBytes()) < int64_t(getTurns()) * 8 * width)
    return emitOpError("expects panel_bytes of at least ")
           << int64_t(getTurns()) * 8 * width << ", got "
           << int64_t(getPanelBytes());
  return success();
}

LogicalResult BufferOp::verify() {
  Type element = getElement();
  if (!element.isInteger(8) && !element.isInteger(16) &&
      !element.isInteger(32) && !element.isF32())
    return emitOpError("expects element type i8, i16, i32 or f32, got ")
           << element;
  int64_t width = element.getIntOrFloatBitWidth() / 8;
  if (getBytes() % width)
    return emitOpError("expects bytes to be a multiple of ")
           << width << ", got " << getBytes();
  bool callers =
      getKind() == BufferKind::Input || getKind() == BufferKind::Output;
  if (getUnit() && !callers)
    return emitOpError("expects a unit only for kind input or output, got "
                       "kind ")
           << stringifyBufferKind(getKind());
  if (!getUnit() && callers)
    return emitOpError("expects a unit for kind ")
           << stringifyBufferKind(getKind());
  return success();
}

LogicalResult DataOp::verify() {
  Type element = getValue().getElementType();
  if (!element.isInteger(8) && !element.isInteger(16) &&
      !element.isInteger(32) && !element.isF32())
    return emitOpError("expects element type i8, i16, i32 or f32, got ")
           << element;
  return success();
}

void ProgramOp::build(OpBuilder &builder, OperationState &state,
                      llvm::StringRef name) {
  state.addAttribute(SymbolTable::getSymbolAttrName(),
                     builder.getStringAttr(name));
  state.addRegion()->emplaceBlock();
}

LogicalResult ProgramOp::verify() {
  for (Operation &op : getBody().front())
    if (!isa<LaunchOp>(op))
      return op.emitOpError("cannot be in a 'tk.program', which holds launches "
                            "only");
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto *kernel = symbols.lookupNearestSymbolFrom(*this, getKernelAttr());
  if (!kernel || !isKernel(kernel))
    return emitOpError("expects @") << getKernel() << " to be a kernel";
  unsigned expected = getNumKernelBuffers(kernel);
  if (getBuffers().size() != expected)
    return emitOpError("expects ")
           << expected << " buffers for @" << getKernel() << ", got "
           << getBuffers().size();
  ArrayRef<Type> types = cast<FunctionOpInterface>(kernel).getArgumentTypes();
  for (auto [attribute, type] : llvm::zip(getBuffers(), types)) {
    auto reference = cast<FlatSymbolRefAttr>(attribute);
    auto *symbol = symbols.lookupNearestSymbolFrom(*this, reference);
    Type element;
    if (auto buffer = dyn_cast_or_null<BufferOp>(symbol))
      element = buffer.getElement();
    else if (auto data = dyn_cast_or_null<DataOp>(symbol))
      element = data.getValue().getElementType();
    else
      return emitOpError("expects ")
             << reference << " to be a tk.buffer or tk.data";
    if (element != cast<MemRefType>(type).getElementType())
      return emitOpError("expects ")
             << reference << " to hold "
             << cast<MemRefType>(type).getElementType() << ", got " << element;
  }
  return success();
}

} // namespace quern::tk
