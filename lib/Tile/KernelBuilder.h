//===- KernelBuilder.h - Writing kernels from C++ -------------------------===//
//
// A small layer over OpBuilder for the kernel generators: it opens a
// `tk.kernel` function with the common arguments (buffers, token and sequence
// counts, flags, chunk range, scratch) and spells loads, stores, loops and
// arithmetic without their locations and casts.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_KERNELBUILDER_H
#define QUERN_LIB_TILE_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace quern {

/// How codes are kept in a buffer: one byte, two bytes, or real numbers.
enum class Storage { U8, U16, F32 };

/// Bytes of one element.
inline int64_t storageBytes(Storage s) {
  return s == Storage::U8 ? 1 : s == Storage::U16 ? 2 : 4;
}

/// Row stride of an activation of width d: whole cache lines of bytes.
inline int64_t rowStride(int64_t d) { return (d + 63) / 64 * 64; }

/// Row stride of an activation's buffer, in elements of `storage`. Products
/// read 8 to 32 rows at a time, and lines 1 KiB apart fall on four of the 64
/// sets of the nearest cache or on fewer (rows of 3072 bytes on four: eight
/// lines each of the twelve that it holds, where tile registers keep 32 rows
/// there). So such rows are two lines longer.
inline int64_t spreadStride(int64_t d, Storage storage = Storage::U8) {
  int64_t stride = rowStride(d), bytes = storageBytes(storage);
  return stride * bytes % 1024 ? stride : stride + 128 / bytes;
}

/// The closed interval of codes that a quantizer writes.
struct CodeRange {
  float lo = 0.0f;
  float hi = 255.0f;
};

/// Builds one kernel function. The insertion point follows the nesting of the
/// callbacks given to loop() and ifThen().
class KernelBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value, 8>;

  /// Appends the kernel `name` to `module`. `elements` are the element types
  /// of its buffers, in operand order.
  KernelBuilder(mlir::ModuleOp module, llvm::StringRef name,
                llvm::ArrayRef<mlir::Type> elements);

  /// Closes the function and returns it.
  mlir::func::FuncOp finish();

  mlir::OpBuilder &op() { return builder; }
  mlir::Location loc() const { return location; }

  // The arguments.
  Value buffer(unsigned i) const;
  Value tokens() const { return trailing(0); }
  Value sequences() const { return trailing(1); }
  Value flags() const { return trailing(2); }
  Value begin() const { return trailing(3); }
  Value end() const { return trailing(4); }
  Value scratch() const { return trailing(5); }
  /// True if the taps are to be written (bit 0 of the flags).
  Value tapping();

  // Types.
  mlir::Type i8() { return builder.getI8Type(); }
  mlir::Type i16() { return builder.getI16Type(); }
  mlir::Type i32() { return builder.getI32Type(); }
  mlir::Type i64() { return builder.getI64Type(); }
  mlir::Type f32() { return builder.getF32Type(); }
  mlir::Type f64() { return builder.getF64Type(); }
  mlir::VectorType vec(int64_t lanes, mlir::Type element);
  mlir::Type element(Storage s);

  // Constants.
  Value index(int64_t v);
  Value i32(int32_t v);
  Value i64(int64_t v);
  Value f32(float v);
  /// A vector with `v` in each lane; `v` is rounded to the element type.
  Value splat(mlir::VectorType type, double v);
  Value zeros(mlir::VectorType type) { return splat(type, 0); }
  /// A run-time scalar in each of 16 lanes.
  Value broadcast(Value scalar, int64_t lanes = 16);

  // Arithmetic; integers and floats, scalars and vectors alike. Division and
  // remainder of integers are unsigned.
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return b ? add(a, index(b)) : a; }
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, Value b);
  Value rem(Value a, Value b);
  /// Unsigned minimum of indices.
  Value min(Value a, Value b);
  /// Unsigned maximum of integers.
  Value maxUnsigned(Value a, Value b);
  Value bitXor(Value a, Value b);
  Value bitAnd(Value a, Value b);
  Value shiftLeft(Value a, Value b);
  Value shiftRight(Value a, Value b);
  Value shiftRightSigned(Value a, Value b);
  Value sqrt(Value a);
  Value select(Value condition, Value a, Value b);
  /// Unsigned a < b.
  Value less(Value a, Value b);
  Value equal(Value a, Value b);
  /// ceil(a / b) * b for a constant b.
  Value roundUp(Value a, int64_t b);

  // Conversions.
  Value zext(Value v, mlir::Type element);
  Value sext(Value v, mlir::Type element);
  Value trunc(Value v, mlir::Type element);
  /// Signed integer to float, nearest even.
  Value toFloat(Value v, mlir::Type element);
  /// Unsigned i32 to f32, nearest even.
  Value unsignedToFloat(Value v);
  Value extendFloat(Value v);
  Value truncateFloat(Value v);
  /// f32 that holds an integer, to i32.
  Value toInt(Value v);
  Value toIndex(Value i32OrI64);
  /// Low half of an index.
  Value toI32(Value indexValue);
  Value bitcast(Value v, mlir::VectorType type);

  // Memory. Offsets count elements of the buffer.
  Value load(Value buffer, Value offset);
  void store(Value v, Value buffer, Value offset);
  Value loadVector(Value buffer, Value offset, int64_t lanes = 16);
  void storeVector(Value v, Value buffer, Value offset);
  /// Stores only the lanes of the mask.
  void storeMasked(Value v, Value buffer, Value offset, Value mask);
  /// Reads `lanes` numbers of another type from an i8 buffer.
  Value loadBytes(Value buffer, Value offset, int64_t lanes,
                  mlir::Type element);
  /// Writes a vector as bytes to an i8 buffer.
  void storeBytes(Value v, Value buffer, Value offset);
  /// Copies `count` elements between buffers of one element type.
  void copyRow(Value from, Value fromOffset, Value to, Value toOffset,
               Value count);

  // Lanes.
  /// A mask of the first `count` of `lanes` lanes.
  Value mask(Value count, int64_t lanes = 16);
  Value mask(int64_t count, int64_t lanes = 16);
  Value lane(Value v, int64_t i);
  Value shuffle(Value a, Value b, llvm::ArrayRef<int64_t> pattern);
  /// The lanes of a, then those of b.
  Value join(Value a, Value b);
  /// Sum of integer lanes.
  Value reduceAdd(Value v);
  /// Largest lane, unsigned.
  Value reduceMaxUnsigned(Value v);
  /// Folds 16 float lanes by the tree (l, l+8), (l, l+4), (l, l+2), (l, l+1).
  Value foldTree(Value v, llvm::function_ref<Value(Value, Value)> combine);
  Value sumTree(Value v);

  // Structure.
  /// for (i = lower; i < upper; i += step), with values carried around.
  Values loop(Value lower, Value upper, int64_t step,
              llvm::ArrayRef<Value> initial,
              llvm::function_ref<Values(Value, llvm::ArrayRef<Value>)> body);
  void loop(Value lower, Value upper, int64_t step,
            llvm::function_ref<void(Value)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);
  /// Visits the blocks of 16 columns of [0, count): body(offset, mask,
  /// carried). The mask is null for whole blocks; a last partial block has one.
  using BlockBody =
      llvm::function_ref<Values(Value, Value, llvm::ArrayRef<Value>)>;
  Values blocks(Value count, llvm::ArrayRef<Value> initial, BlockBody body);
  Values blocks(int64_t count, llvm::ArrayRef<Value> initial, BlockBody body);
  void blocks(int64_t count, llvm::function_ref<void(Value, Value)> body);

  // Micro-ops.
  Value dot4(Value acc, Value unsignedBytes, Value signedBytes);
  /// Where the rows or the panels of a product begin, and how far apart they
  /// lie, in bytes.
  struct ProductOperand {
    Value memory, at;
    int64_t stride;
  };
  /// Sums of products to `out` from byte `at` on; see tk.product.
  void product(const ProductOperand &x, const ProductOperand &w, int64_t bits,
               int64_t turns, int64_t panels, Value rows, Value out, Value at);
  /// 16 rows of 64 bytes, from byte `offset` of an i8 buffer on and `stride`
  /// bytes apart. `streamed`: see tk.tile_load.
  Value tileLoad(Value buffer, Value offset, int64_t stride,
                 bool streamed = false);
  /// The same as 16 x 16 numbers of 32 bits.
  Value tileLoadSums(Value buffer, Value offset, int64_t stride);
  /// 16 x 16 zeros.
  Value tileZeros();
  void tileStore(Value sums, Value buffer, Value offset, int64_t stride);
  /// sums + a * b for a tile of 16 rows of u8 and one of packed weights.
  Value tileDot(Value sums, Value a, Value b);
  /// The four bytes at `offset`, in each of 16 groups of a vector<64xi8>.
  Value broadcast4(Value buffer, Value offset);
  /// Code `part` of each of 64 bytes that hold 8 / bits signed codes.
  Value unpack(Value packed, int64_t bits, int64_t part);
  Value lut16(Value indices, Value table);
  /// 64 bytes of the 256 from `offset` of an i8 buffer on.
  Value lut256(Value codes, Value table, Value offset);
  /// Clamps in f32, then rounds half to even: vector<16xi32>.
  Value round(Value v, CodeRange range);
  /// round(f32(acc) * multiplier + offset).
  Value requant(Value acc, Value multiplier, Value offset, CodeRange range);
  Value gelu(Value v);
  Value geluTanh(Value v);
  Value tanh(Value v);
  Value exp(Value v);
  /// a > b ? a : b and a < b ? a : b in 16 lanes.
  Value maxReal(Value a, Value b);
  Value minReal(Value a, Value b);
  /// 16 codes as i32, from an i8 or i16 buffer.
  Value loadCodes(Value buffer, Value offset, bool isSigned = false);
  /// Writes 16 codes as bytes or 16-bit words.
  void storeCodes(Value codes, Value buffer, Value offset);
  /// 16 numbers as f32: codes are converted, reals are loaded.
  Value loadReal(Value buffer, Value offset);
  /// Stores 16 reals as they are, or rounded to codes of the range.
  void storeReal(Value v, Value buffer, Value offset, CodeRange range);

private:
  Value trailing(unsigned i) const;
  bool isFloat(Value v) const;

  mlir::OpBuilder builder;
  mlir::Location location;
  mlir::func::FuncOp function;
  unsigned bufferCount;
  Values arguments;
};

} // namespace quern

#endif // QUERN_LIB_TILE_KERNELBUILDER_H
