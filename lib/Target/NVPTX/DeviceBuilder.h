//===- DeviceBuilder.h - Writing one GPU kernel -----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Creates an `llvm.func` kernel and, call by call, its body: integers of 32
// bits, f32 operations that are never contracted, memory of the device and of
// the block, and what a warp does together. Control flow is scf; what a GPU
// alone can do is nvvm.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_DEVICEBUILDER_H
#define QUERN_LIB_TARGET_NVPTX_DEVICEBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace quern::nvptx {

class DeviceBuilder {
public:
  using Value = mlir::Value;
  using Type = mlir::Type;
  using Values = llvm::SmallVector<Value>;
  using Body = llvm::function_ref<void()>;

  /// Parameters of a kernel: a pointer to memory of the device, which is read
  /// only or not, an i32, an f32, or a tensor map, which copies of tiles name.
  enum class Param { Input, Output, I32, F32, Map };

  /// Appends the kernel to `module`; blocks have `threads` threads, and
  /// `blocks` of them must fit into a multiprocessor. That is said even where
  /// it is one: assemblers aim at more of their own accord, and spill.
  DeviceBuilder(mlir::ModuleOp module, llvm::StringRef name,
                llvm::ArrayRef<Param> params, int64_t threads,
                int64_t blocks = 1);
  /// Marks a module whose kernels may be launched before the one in front of
  /// them has ended: each begins with the wait for it, and lets the next one
  /// come. For sm_90a.
  static void allowEarlyLaunch(mlir::ModuleOp module);
  /// Ends the body.
  mlir::LLVM::LLVMFuncOp finish();

  /// The next parameter, in the order given.
  Value param();

  Type i8() { return b.getI8Type(); }
  Type i16() { return b.getI16Type(); }
  Type i32() { return b.getI32Type(); }
  Type i64() { return b.getI64Type(); }
  Type f32() { return b.getF32Type(); }
  Type f64() { return b.getF64Type(); }

  // Integers.
  Value c(int64_t value);
  Value c64(int64_t value);
  Value f(float value);
  Value f64(double value);
  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  Value div(Value x, int64_t y);
  Value divide(Value x, Value y);
  Value rem(Value x, int64_t y);
  Value bitAnd(Value x, Value y);
  Value bitOr(Value x, Value y);
  Value bitXor(Value x, Value y);
  Value shl(Value x, int64_t bits);
  Value shr(Value x, int64_t bits);
  Value shrSigned(Value x, int64_t bits);
  /// By fewer bits than x has, in a number of x's type.
  Value shlBy(Value x, Value bits);
  Value shrBy(Value x, Value bits);
  Value shrSignedBy(Value x, Value bits);
  Value add(Value x, int64_t y) { return y ? add(x, c(y)) : x; }
  Value mul(Value x, int64_t y) { return mul(x, c(y)); }
  Value bitAnd(Value x, int64_t y) { return bitAnd(x, c(y)); }
  Value max(Value x, Value y);
  Value min(Value x, Value y);
  Value minUnsigned(Value x, Value y);
  Value less(Value x, Value y);
  Value equal(Value x, Value y);
  Value select(Value which, Value x, Value y);
  /// The product of two i32 as an i64.
  Value mulWide(Value x, Value y);
  Value wide(Value x);
  Value wideUnsigned(Value x);
  Value signExtend(Value x);
  Value narrow(Value x, Type type);
  Value zeroExtend(Value x);
  Value bits(Value x, Type type);
  /// The bytes of x, then y, that the four digits of `selector` name, the
  /// lowest first.
  Value permute(Value x, Value y, int64_t selector);
  /// sum + the four bytes of x.
  Value sumBytes(Value x, Value sum);

  // Reals of one type, each operation rounded on its own.
  Value addF(Value x, Value y);
  Value subF(Value x, Value y);
  Value mulF(Value x, Value y);
  Value divF(Value x, Value y);
  Value maxF(Value x, Value y);
  Value minF(Value x, Value y);
  Value lessF(Value x, Value y);
  Value absF(Value x);
  /// The f32 nearest to an i32 or an f64.
  Value toFloat(Value x);
  Value unsignedToFloat(Value x);
  /// The f64 nearest to an i64, or equal to an f32.
  Value toDouble(Value x);
  /// Of an f64.
  Value sqrt(Value x);
  /// The nearest i32, ties to even.
  Value round(Value x);

  // Memory.
  /// Address `bytes` (i32 or i64) beyond `pointer`.
  Value at(Value pointer, Value bytes);
  Value load(Value pointer, Type type, int64_t alignment);
  /// `count` neighbours of 4 bytes in one access.
  Values loadMany(Value pointer, Type type, int64_t count);
  void store(Value value, Value pointer, int64_t alignment);
  void storeMany(llvm::ArrayRef<Value> values, Value pointer);
  /// The memory of the block whose size is said at the launch.
  Value dynamicShared();
  /// An array of the module that is part of its code.
  Value table(llvm::StringRef name, llvm::ArrayRef<float> values);
  Value table(llvm::StringRef name, llvm::ArrayRef<int32_t> values);

  // The block and its warps.
  Value thread();
  Value block(int dimension);
  void barrier();
  /// Starts a copy of 16 bytes, of which those from `bytes` on are zeros.
  void copyAsync(Value shared, Value global, Value bytes);
  void commitCopies();
  /// Waits until at most `groups` of the last groups are under way.
  void waitForCopies(int64_t groups);
  /// Four matrices of 8 x 16 bytes; lane l gives the address of row l % 8 of
  /// matrix l / 8.
  Values loadMatrices(Value shared);
  /// The codes of a product of matrices.
  enum Product { U8xS8, U8xU8 };
  /// sums += a[16 x 32] times b[32 x 8].
  Values multiply(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b,
                  llvm::ArrayRef<Value> sums, Product product = U8xS8);
  /// `x`, an i32 or an i64, of the lane whose number differs by `mask`.
  Value shuffleXor(Value x, int64_t mask);
  /// The sum, or the largest, of all lanes of a warp.
  Value warpSum(Value x);
  Value warpMax(Value x);

  // What sm_90a alone has. Barriers are mbarriers of 8 bytes in shared memory;
  // a phase of one is over when its arrivals and bytes are there.
  void makeBarrier(Value barrier, int64_t arrivals);
  /// Behind the making of barriers, before anything is told to use them.
  void fenceBarriers();
  /// Threads for which `condition`, an i1, holds arrive. They do not part with
  /// the others for it, as products need whole warps.
  void arriveIf(Value condition, Value barrier);
  /// Arrives, and has the barrier wait for this many bytes of copies.
  void arriveForBytes(Value barrier, int64_t bytes);
  /// Waits until a phase of parity 0 or 1 is over; that of parity 1 is from the
  /// beginning.
  void waitForPhase(Value barrier, Value parity);
  /// Has one thread start the copy of the tile of a tensor map at (column,
  /// row); `barrier` is told when its bytes are there.
  void copyTile(Value shared, Value map, Value column, Value row,
                Value barrier);
  /// Lets products read what this thread has written to shared memory; a
  /// barrier must follow.
  void fenceShared();
  /// The descriptor of a matrix with rows of 128 bytes, eight of which make a
  /// swizzled pattern, at a multiple of 1024.
  Value describe(Value shared);
  /// 64 x columns sums without values, that the products of four warps take.
  Value noSums(int64_t columns);
  /// Orders what the warps did to sums before the products that follow.
  void fenceProducts();
  /// Starts sums = u8 a[64 x 32] times s8 b[columns x 32], both by descriptor;
  /// where `adds` is not 0, sums +=.
  Value startProduct(Value a, Value b, Value sums, int64_t columns, Value adds);
  void commitProducts();
  /// Waits until at most `groups` of the last groups are under way.
  void waitForProducts(int64_t groups);
  /// Waits for all of them; the columns / 2 sums of a thread.
  Values finishProducts(Value sums, int64_t columns);

  // Control flow.
  Values loop(Value begin, Value end, int64_t step, llvm::ArrayRef<Value> init,
              llvm::function_ref<Values(Value, llvm::ArrayRef<Value>)> body);
  void ifThen(Value condition, Body body);

private:
  /// Behind it memory of the device is as the kernel before leaves it.
  void waitForKernelBefore();
  Value addTable(llvm::StringRef name, mlir::DenseElementsAttr values);

  template <typename Op> Value two(Value x, Value y) {
    return Op::create(b, x, y);
  }

  mlir::ModuleOp module;
  mlir::ImplicitLocOpBuilder b;
  mlir::LLVM::LLVMFuncOp kernel;
  unsigned nextParam = 0;
};

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_DEVICEBUILDER_H
