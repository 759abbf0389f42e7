//===- Module.h - an opened module ----------------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Immutable after opening, therefore shared by sessions on any threads.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_MODULE_H
#define QUERN_RUNTIME_SRC_MODULE_H

#include "quern/introspect.h"
#include "runtime/src/Constants.h"
#include "runtime/src/ModuleFile.h"
#include "runtime/tokenizer/Tokenizer.h"

/// The opaque type of quern.h.
struct quern_module {
  quern_module() = default;
  ~quern_module();

  /// Loads the file's code; `file` and `manifest` have been checked.
  quern_status loadCode(const char *path, quern_error *error);
  /// Checks that the kernels fit the manifest.
  quern_status checkTable(const char *path, quern_error *error) const;
  /// Checks that a file's code was made for its manifest and its weights.
  quern_status checkMadeFor(const char *path, quern_error *error) const;
  /// Opens the tokenizer's blob, which may be empty.
  quern_status loadTokenizer(const char *path, const void *blob, uint64_t bytes,
                             quern_error *error);

  /// The table's tiers up to `cap` that can run here: bit i for tiers[i].
  /// Asks the CPU, which is slow in virtual machines.
  uint32_t usableTiers(uint32_t cap) const;
  /// The kernel of the highest of `usable` tiers that has it, or null; writes
  /// that tier.
  quern_kernel kernel(uint32_t index, uint32_t usable, uint32_t &tier) const;

  /// Only for modules from files.
  quern::ModuleFile file;
  void *library = nullptr;

  const quern::manifest::Manifest *manifest = nullptr;
  const void *manifestData = nullptr;
  uint64_t manifestBytes = 0;
  const char *weights = nullptr;
  quern::Constants constants;
  const quern_kernel_table *table = nullptr;
  /// Empty where the module has none.
  quern::Tokenizer tokenizer;
};

/// The opaque type of introspect.h.
struct quern_inspection {
  quern::ModuleFile file;
};

#endif // QUERN_RUNTIME_SRC_MODULE_H
