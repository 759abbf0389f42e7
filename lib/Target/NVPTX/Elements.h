//===- Elements.h - Between values and codes, and pooling -------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// tq.quantize, tq.dequantize, tq.requantize, tq.qpool, tq.qlimit and
// tq.normalize: what stands between the large kernels of a model. One warp to a
// row, widths are known at run time.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_ELEMENTS_H
#define QUERN_LIB_TARGET_NVPTX_ELEMENTS_H

#include "lib/Target/NVPTX/Codes.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace quern::nvptx {

/// Pooled are a sequence's first row, as it is, and the mean of its rows.
enum class ElementFunction {
  Quantize,
  Dequantize,
  Requantize,
  PoolFirst,
  PoolMean,
  Normalize,
  /// 16-bit codes as two rows of bytes, the high ones first.
  Planes,
  /// Codes, and none above or below those of their column.
  Limit
};
/// "quantize", "dequantize", "requantize", "pool_first", "pool_mean",
/// "normalize", "planes" or "limit".
llvm::StringRef elementFunctionName(ElementFunction function);
Expected<ElementFunction> parseElementFunction(llvm::StringRef name);

/// What of the kernel is fixed when it is built.
struct ElementForm {
  ElementFunction function = ElementFunction::Dequantize;
  Storage in = Storage::U8, out = Storage::F32;
  /// Of the mean: codes have a real offset, which is added to it.
  bool offset = false;
  bool pools() const {
    return function == ElementFunction::PoolFirst ||
           function == ElementFunction::PoolMean;
  }
};

/// An error where the form has no kernel.
Error checkElements(const ElementForm &form);

/// Such as `dequantize_u8_f32` or `pool_mean_u8_f32_offset`.
std::string getElementsName(const ElementForm &form);

/// Appends the kernel. Blocks of kRowsPerBlock warps. Parameters, in order;
/// pointers on 16 bytes:
///   x        codes or f32 [rows][xStride]
///   offsets  i32 [m + 1]; only where rows are pooled
///   params   f32, as the kernels of lib/Tile/Elementwise.h and Pool.h have it;
///            not for planes; 16 bytes of them may be read; of limit, a
///            byte for each column, and at the next multiple of 64 the least
///   out      codes or f32 [m][outStride]
///   m, d, xStride, outStride  i32; d is rounded up to 4, but for normalize;
///            strides are multiples of 16; outStride of planes is that of one
void buildElements(mlir::ModuleOp module, const ElementForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_ELEMENTS_H
