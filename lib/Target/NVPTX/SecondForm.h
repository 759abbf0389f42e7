//===- SecondForm.h - Codes stored in two forms at once ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What the launch behind a LayerNorm makes of each of its codes alone: planes
// of bytes, or other codes. The LayerNorm's kernel stores them beside its
// result, which saves the launch.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_SECONDFORM_H
#define QUERN_LIB_TARGET_NVPTX_SECONDFORM_H

#include "lib/Target/NVPTX/Codes.h"

#include <string>

namespace quern::nvptx {

/// What of it is fixed when a kernel is built.
struct SecondForm {
  enum Kind {
    None,
    /// 16-bit codes as two rows of bytes, the high ones first.
    Planes,
    /// Codes of another scale.
    Requantized
  } kind = None;
  /// Of requantized codes.
  Storage storage = Storage::U8;

  /// What the name of a kernel ends with: "", `_planes` or `_and_u8`.
  std::string suffix() const;
};

/// round(v p[0] + p[1]) within p[2] and p[3].
mlir::Value requantized(DeviceBuilder &k, mlir::Value v,
                        llvm::ArrayRef<mlir::Value> p);

/// Where the second form of rows goes.
class SecondRows {
public:
  SecondRows() = default;
  explicit SecondRows(SecondForm form) : form(form) {}

  /// Appends its parameters:
  ///   second   codes [m][stride], or bytes [m][2][stride]; on 16 bytes
  ///   params   f32 [4]; of requantized codes only
  ///   stride   i32, a multiple of 16
  void addParams(llvm::SmallVectorImpl<DeviceBuilder::Param> &params) const;
  void takeParams(DeviceBuilder &k);
  /// Stores the second form of four codes of a row from `column` on.
  void store(DeviceBuilder &k, llvm::ArrayRef<mlir::Value> codes,
             mlir::Value row, mlir::Value column) const;

private:
  SecondForm form;
  mlir::Value out, params, stride;
};

/// The planes of four codes of a row; `stride` is that of one plane.
void storePlanes(DeviceBuilder &k, llvm::ArrayRef<mlir::Value> codes,
                 mlir::Value out, mlir::Value row, mlir::Value stride,
                 mlir::Value column);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_SECONDFORM_H
