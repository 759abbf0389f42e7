//===- ModuleFile.h - Writing a module file ---------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Puts the sections of a module one after the other, as module_abi.h lays them
// out, with their checksums in the trailer.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_MODULEFILE_H
#define QUERN_COMPILER_EMIT_MODULEFILE_H

#include "lib/Support/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A constant of the weights section: bytes that stay where they are (in the
/// mapped checkpoint or in the graph) until they are written.
struct DataPiece {
  std::string name;
  uint64_t offset = 0; ///< From the start of the section, 64-byte aligned.
  std::string_view bytes;
};

/// What a module file is made of.
struct ModuleParts {
  std::string_view code;      ///< ELF shared object.
  std::string_view manifest;  ///< FlatBuffer.
  std::string_view tokenizer; ///< Blob, may be empty.
  std::vector<DataPiece> data;
  uint64_t weightBytes = 0; ///< Size of the weights section.
};

/// The checksums that the trailer will have for these two sections.
uint64_t hashManifest(const ModuleParts &parts);
uint64_t hashWeights(const ModuleParts &parts);

/// Writes `parts` to `path`. The file appears whole or not at all.
Error writeModuleFile(const std::string &path, const ModuleParts &parts);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_MODULEFILE_H
