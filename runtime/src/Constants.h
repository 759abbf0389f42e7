//===- Constants.h - where the constants of a module lie ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Matrices that kernels stream are read into huge pages, where that pays and
// the system has some; other stored constants stay in the mapped file, which
// processes share. Constants that follow from others are made in memory of
// their own. All of it once, when a module is opened, on several threads: it is
// most of the time that opening takes.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CONSTANTS_H
#define QUERN_RUNTIME_SRC_CONSTANTS_H

#include "runtime/src/ManifestCheck.h"
#include "runtime/src/ModuleFile.h"
#include "runtime/src/Pool.h"

namespace quern {

class Constants {
public:
  /// Finds the constants of a checked manifest, and makes those that are not
  /// stored. `weights` is where the stored ones are; `file`, null for a module
  /// that is linked into the program, is what they were mapped from, and its
  /// weights are checked, too. `path` names the file in messages. Once, on an
  /// empty object.
  quern_status open(const char *path, const manifest::Manifest &manifest,
                    const char *weights, const ModuleFile *file,
                    quern_error *error);

  /// First byte of a constant of the manifest's data table.
  const char *operator[](uint32_t index) const { return places[index]; }
  /// Bytes of the ones that were made, and of the matrices that were read,
  /// with the room between them.
  uint64_t madeBytes() const { return made; }
  uint64_t readBytes() const { return memory.size() - made; }
  /// Of both together, those that lie in huge pages now. Slow.
  uint64_t hugeBytes() const;
  /// Why matrices stay in the mapping, or null. Static.
  const char *whyMapped() const { return reason; }

private:
  struct Job;
  class Opening;

  quern_status place(const char *path, const manifest::Manifest &manifest,
                     const char *weights, bool isFile, quern_error *error);
  quern_status make(const char *path, const manifest::Manifest &manifest,
                    const manifest::Data &data, char *to,
                    quern_error *error) const;

  Array<const char *> places;
  /// What was made, then what was read.
  Pages memory;
  uint64_t made = 0;
  const char *reason = nullptr;
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CONSTANTS_H
