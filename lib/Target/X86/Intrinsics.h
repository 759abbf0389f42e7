//===- Intrinsics.h - Names of the LLVM intrinsics for x86 ----------------===//
//
// The one place that names them: an LLVM upgrade that changes one is local.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_X86_INTRINSICS_H
#define QUERN_LIB_TARGET_X86_INTRINSICS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace quern::x86 {

using Name = llvm::StringLiteral;

/// The result of an intrinsic.
inline mlir::Value call(mlir::OpBuilder &builder, mlir::Location loc, Name name,
                        mlir::Type result, mlir::ValueRange operands) {
  return mlir::LLVM::CallIntrinsicOp::create(
             builder, loc, result, builder.getStringAttr(name), operands)
      .getResults();
}

/// (i16 x 16, i16 x 16): products, summed in pairs to i32 x 8
inline constexpr Name kMultiplyPairs("llvm.x86.avx2.pmadd.wd");
/// (f32 x 8 table, i32 x 8 index); the upper 29 bits of an index are ignored
inline constexpr Name kPermuteEightFloats("llvm.x86.avx2.permps");
/// (i8 x 32 table, i8 x 32 index): by halves of 16; 0 for an index below 0
inline constexpr Name kShuffleBytes("llvm.x86.avx2.pshuf.b");

/// (i32 x 8 acc, i8 x 32 unsigned, i8 x 32 signed); of AVX-VNNI too
inline constexpr Name kDot4Half("llvm.x86.avx512.vpdpbusd.256");
/// kMultiplyPairs and kShuffleBytes of 512 bits
inline constexpr Name kMultiplyPairs512("llvm.x86.avx512.pmaddw.d.512");
inline constexpr Name kShuffleBytes512("llvm.x86.avx512.pshuf.b.512");

/// (i32 x 16 acc, i8 x 64 unsigned, i8 x 64 signed)
inline constexpr Name kDot4("llvm.x86.avx512.vpdpbusd.512");
/// (f32 x 16 table, i32 x 16 index)
inline constexpr Name kPermuteFloats("llvm.x86.avx512.permvar.sf.512");
/// (i8 x 64 table, i8 x 64 index); the upper two bits of an index are ignored
inline constexpr Name kPermuteBytes("llvm.x86.avx512.permvar.qi.512");
/// (i8 x 64 low, i8 x 64 index, i8 x 64 high); index bit 6 picks the table
inline constexpr Name kPermuteBytes2("llvm.x86.avx512.vpermi2var.qi.512");
/// (a, b, rounding): a > b ? a : b
inline constexpr Name kMax("llvm.x86.avx512.max.ps.512");
/// (a, b, rounding): a < b ? a : b
inline constexpr Name kMin("llvm.x86.avx512.min.ps.512");
/// (f32 x 16, i32 x 16 passthrough, i16 mask, rounding)
inline constexpr Name kRound("llvm.x86.avx512.mask.cvtps2dq.512");

/// (i16 rows, i16 bytes of a row, ptr, i64 stride) -> tile
inline constexpr Name kTileLoad("llvm.x86.tileloadd64.internal");
/// The same, kept out of the nearest cache.
inline constexpr Name kTileLoadStreamed("llvm.x86.tileloaddt164.internal");
/// (i16 rows, i16 bytes of a row) -> tile
inline constexpr Name kTileZero("llvm.x86.tilezero.internal");
/// (i16 rows, i16 bytes of a row, ptr, i64 stride, tile)
inline constexpr Name kTileStore("llvm.x86.tilestored64.internal");
/// (i16 m, i16 bytes of n, i16 k, tile acc, tile unsigned, tile signed) -> tile
inline constexpr Name kTileDot("llvm.x86.tdpbusd.internal");

/// Rounding operand that leaves the mode to the control register, which is
/// nearest even.
inline constexpr int32_t kCurrentRounding = 4;

} // namespace quern::x86

#endif // QUERN_LIB_TARGET_X86_INTRINSICS_H
