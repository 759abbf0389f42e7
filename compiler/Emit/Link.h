//===- Link.h - Objects to what a loader takes ------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The linker and the compiler driver run as programs, as they do for anybody
// who links an object; Quern writes the kernel table that ties a module's
// kernels together.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_LINK_H
#define QUERN_COMPILER_EMIT_LINK_H

#include "compiler/Emit/KernelObjects.h"
#include "compiler/Emit/ModuleFile.h"

#include <string>
#include <vector>

namespace quern {

/// The code of one tier.
struct TierObject {
  Tier tier;
  uint32_t id = 0; ///< quern_tier_id
  /// All kernels. An entry that several tiers share is linked once.
  std::vector<KernelObject> objects;
};

/// The ELF shared object of a module file: all tiers and the table
/// `quern_module_table`. `kernels` are names in index order. `parts` are those
/// that the file will have beside the code, which runs with no others.
Expected<std::string> linkSharedObject(const std::vector<TierObject> &tiers,
                                       const std::vector<std::string> &kernels,
                                       const ModuleParts &parts);

/// Where linkObject() writes the header of an object: `m.h` beside `m.o`.
std::string headerPathOf(const std::string &objectPath);

/// Writes `path` (an object file with everything of the module) and a C header
/// beside it that declares `const quern_linked_image NAME`.
Error linkObject(const std::string &path, const std::string &name,
                 const std::vector<TierObject> &tiers,
                 const std::vector<std::string> &kernels,
                 const ModuleParts &parts);

/// Writes an executable with module, tokenizer and run time inside; it needs
/// only libc and libm.
Error linkExecutable(const std::string &path,
                     const std::vector<TierObject> &tiers,
                     const std::vector<std::string> &kernels,
                     const ModuleParts &parts);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_LINK_H
