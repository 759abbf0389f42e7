//===- Codes.h - Neighbouring codes in memory -------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Codes of one or two bytes and reals, as many as an access can take.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_CODES_H
#define QUERN_LIB_TARGET_NVPTX_CODES_H

#include "lib/Target/NVPTX/DeviceBuilder.h"

#include "lib/Support/Status.h"

namespace quern::nvptx {

/// How numbers are stored.
enum class Storage { U8, U16, F32 };
/// "u8", "u16" or "f32".
llvm::StringRef storageName(Storage storage);
Expected<Storage> parseStorage(llvm::StringRef name);
int64_t storageBytes(Storage storage);

/// `count` neighbours as i32 or f32; the address is a multiple of their size,
/// up to 16 bytes.
DeviceBuilder::Values loadCodes(DeviceBuilder &k, mlir::Value pointer,
                                Storage storage, int64_t count);

/// Stores as many i32 (their low bytes) or f32.
void storeCodes(DeviceBuilder &k, llvm::ArrayRef<mlir::Value> values,
                mlir::Value pointer, Storage storage);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_CODES_H
