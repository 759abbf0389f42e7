//===- DeviceTable.h - A module's GPU part in its manifest ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_DEVICETABLE_H
#define QUERN_COMPILER_EMIT_DEVICETABLE_H

#include "lib/Target/NVPTX/DeviceProgram.h"
#include "runtime/src/manifest_generated.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace quern {

/// Writes the table Device. `indexOf` gives a symbol's place among the
/// manifest's buffers or constants.
flatbuffers::Offset<manifest::Device>
writeDevice(flatbuffers::FlatBufferBuilder &builder,
            const nvptx::DeviceProgram &program,
            llvm::function_ref<uint32_t(llvm::StringRef symbol)> indexOf);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_DEVICETABLE_H
