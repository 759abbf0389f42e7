//===- ManifestCheck.h - is a manifest sound? -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The FlatBuffers verifier proves that a manifest can be read; this proves
// that it makes sense: every index, offset and size that the runtime will
// compute with stays inside what it refers to.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_MANIFESTCHECK_H
#define QUERN_RUNTIME_SRC_MANIFESTCHECK_H

#include "runtime/src/Support.h"
#include "runtime/src/manifest_generated.h"

namespace quern {

/// Verifies `bytes` bytes at `data` and sets `*manifest`. Constants must lie
/// in `weightsBytes`. `path` names the file in messages.
quern_status readManifest(const char *path, const void *data, uint64_t bytes,
                          uint64_t weightsBytes,
                          const manifest::Manifest **manifest,
                          quern_error *error);

/// Bytes of an element, 0 for an unknown one.
uint32_t elementBytes(manifest::Element element);

/// Text of an optional string field.
inline const char *textOf(const flatbuffers::String *string) {
  return string ? string->c_str() : "";
}

/// Length of an optional vector field.
template <typename T> uint32_t lengthOf(const flatbuffers::Vector<T> *vector) {
  return vector ? vector->size() : 0;
}

} // namespace quern

#endif // QUERN_RUNTIME_SRC_MANIFESTCHECK_H
