//===- KernelMicroOps.cpp - Writing micro-ops from C++ --------------------===//
//
// The part of KernelBuilder that makes tk ops.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Tile/KernelBuilder.h"

using namespace mlir;

namespace quern {

Value KernelBuilder::dot4(Value acc, Value unsignedBytes, Value signedBytes) {
  return tk::Dot4Op::create(builder, location, acc.getType(), acc,
                            unsignedBytes, signedBytes);
}

void KernelBuilder::product(const ProductOperand &x, const ProductOperand &w,
                            int64_t bits, int64_t turns, int64_t panels,
                            Value rows, Value out, Value at) {
  tk::ProductOp::create(builder, location, x.memory, x.at, w.memory, w.at, out,
                        at, rows, x.stride, turns, panels, w.stride, bits);
}

Value KernelBuilder::tileLoad(Value buffer, Value offset, int64_t stride,
                              bool streamed) {
  return tk::TileLoadOp::create(builder, location,
                                VectorType::get({16, 64}, i8()), buffer, offset,
                                stride, streamed);
}

Value KernelBuilder::tileLoadSums(Value buffer, Value offset, int64_t stride) {
  return tk::TileLoadOp::create(builder, location,
                                VectorType::get({16, 16}, i32()), buffer,
                                offset, stride, /*streamed=*/false);
}

Value KernelBuilder::tileZeros() {
  auto type = VectorType::get({16, 16}, i32());
  return arith::ConstantOp::create(builder, location,
                                   builder.getZeroAttr(type));
}

void KernelBuilder::tileStore(Value sums, Value buffer, Value offset,
                              int64_t stride) {
  tk::TileStoreOp::create(builder, location, sums, buffer, offset, stride);
}

Value KernelBuilder::tileDot(Value sums, Value a, Value b) {
  return tk::TileDotOp::create(builder, location, sums.getType(), sums, a, b);
}

Value KernelBuilder::broadcast4(Value buffer, Value offset) {
  return tk::Broadcast4Op::create(builder, location, vec(64, i8()), buffer,
                                  offset);
}

Value KernelBuilder::unpack(Value packed, int64_t bits, int64_t part) {
  return tk::UnpackOp::create(builder, location, packed.getType(), packed, bits,
                              part);
}

Value KernelBuilder::lut256(Value codes, Value table, Value offset) {
  return tk::Lut256Op::create(builder, location, codes.getType(), codes, table,
                              offset);
}
Value KernelBuilder::lut16(Value indices, Value table) {
  return tk::Lut16Op::create(builder, location, table.getType(), indices,
                             table);
}

Value KernelBuilder::round(Value v, CodeRange range) {
  return tk::RoundOp::create(builder, location, vec(16, i32()), v,
                             builder.getF32FloatAttr(range.lo),
                             builder.getF32FloatAttr(range.hi));
}

Value KernelBuilder::requant(Value acc, Value multiplier, Value offset,
                             CodeRange range) {
  return tk::RequantOp::create(
      builder, location, acc.getType(), acc, multiplier, offset,
      builder.getF32FloatAttr(range.lo), builder.getF32FloatAttr(range.hi));
}

Value KernelBuilder::gelu(Value v) {
  return tk::GeluOp::create(builder, location, v.getType(), v);
}
Value KernelBuilder::geluTanh(Value v) {
  return tk::GeluTanhOp::create(builder, location, v.getType(), v);
}
Value KernelBuilder::tanh(Value v) {
  return tk::TanhOp::create(builder, location, v.getType(), v);
}
Value KernelBuilder::exp(Value v) {
  return tk::ExpOp::create(builder, location, v.getType(), v);
}
Value KernelBuilder::maxReal(Value a, Value b) {
  return tk::MaxOp::create(builder, location, a.getType(), a, b);
}
Value KernelBuilder::minReal(Value a, Value b) {
  return tk::MinOp::create(builder, location, a.getType(), a, b);
}

Value KernelBuilder::loadCodes(Value buffer, Value offset, bool isSigned) {
  return tk::LoadCodesOp::create(builder, location, vec(16, i32()), buffer,
                                 offset, isSigned);
}

void KernelBuilder::storeCodes(Value codes, Value buffer, Value offset) {
  tk::StoreCodesOp::create(builder, location, codes, buffer, offset);
}

Value KernelBuilder::loadReal(Value buffer, Value offset) {
  if (cast<MemRefType>(buffer.getType()).getElementType().isF32())
    return loadVector(buffer, offset);
  return toFloat(loadCodes(buffer, offset), f32());
}

void KernelBuilder::storeReal(Value v, Value buffer, Value offset,
                              CodeRange range) {
  if (cast<MemRefType>(buffer.getType()).getElementType().isF32())
    return storeVector(v, buffer, offset);
  storeCodes(round(v, range), buffer, offset);
}

} // namespace quern
