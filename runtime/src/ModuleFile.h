//===- ModuleFile.h - a module file, mapped and checked -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Everything about a file that can be known without executing it. Both
// loading and inspecting begin here: trailer, sizes, padding and checksums are
// checked before anything else looks at the file. The checksum of the weights,
// the one that takes long, is asked for by itself.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_MODULEFILE_H
#define QUERN_RUNTIME_SRC_MODULEFILE_H

#include "runtime/src/Support.h"

namespace quern {

class ModuleFile {
public:
  ModuleFile() = default;
  ModuleFile(const ModuleFile &) = delete;
  ModuleFile &operator=(const ModuleFile &) = delete;
  ~ModuleFile();

  /// Maps `path` and checks all but the weights' bytes. Once, on an empty
  /// object.
  quern_status open(const char *path, quern_error *error);

  /// Checks the weights' bytes. With `drop` their mapped pages are given back
  /// on the way, for those who read the file another way.
  quern_status checkWeights(const char *path, bool drop,
                            quern_error *error) const;
  /// Gives back the mapped pages of `bytes` bytes of the weights at `offset`,
  /// and what else lies in them; they come again when used.
  void dropWeights(uint64_t offset, uint64_t bytes) const;
  /// Reads `bytes` bytes of the weights at `offset` from the file. False where
  /// it cannot be read.
  bool readWeights(uint64_t offset, void *to, uint64_t bytes) const;

  const quern_trailer &trailer() const { return *end; }
  const char *section(quern_section_id id) const {
    return base + end->sections[id].offset;
  }
  uint64_t sectionBytes(quern_section_id id) const {
    return end->sections[id].bytes;
  }
  /// Stays open as long as the object: its /proc name must stay unique.
  int descriptor() const { return fd; }

private:
  quern_status map(const char *path, quern_error *error);
  quern_status checkTrailer(const char *path, quern_error *error);
  quern_status checkSections(const char *path, quern_error *error) const;
  quern_status checkHash(const char *path, quern_section_id id, uint64_t found,
                         quern_error *error) const;

  int fd = -1;
  const char *base = nullptr;
  uint64_t bytes = 0;
  const quern_trailer *end = nullptr;
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_MODULEFILE_H
