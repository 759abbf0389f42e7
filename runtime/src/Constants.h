//===- Constants.h - where the constants of a module lie ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Weights stay in the mapped file; constants that follow from others are made
// once, when a module is opened, in memory of its own.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CONSTANTS_H
#define QUERN_RUNTIME_SRC_CONSTANTS_H

#include "runtime/src/ManifestCheck.h"

namespace quern {

class Constants {
public:
  /// Finds the constants of a checked manifest, and makes those that are not
  /// stored. `path` names the file in messages. Once, on an empty object.
  quern_status open(const char *path, const manifest::Manifest &manifest,
                    const char *weights, quern_error *error);

  /// First byte of a constant of the manifest's data table.
  const char *operator[](uint32_t index) const { return places[index]; }
  /// Bytes of the ones that were made.
  uint64_t madeBytes() const { return memory.size(); }

private:
  quern_status make(const char *path, const manifest::Manifest &manifest,
                    const manifest::Data &data, char *to,
                    quern_error *error) const;

  Array<const char *> places;
  Pages memory;
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CONSTANTS_H
