//===- ConstantCheck.h - are a manifest's constants sound? ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CONSTANTCHECK_H
#define QUERN_RUNTIME_SRC_CONSTANTCHECK_H

#include "runtime/src/ManifestCheck.h"

namespace quern {

/// Checks Manifest.data: stored constants lie in the `weightsBytes` bytes of
/// weights, and those made on loading have the parts, elements and sizes that
/// their making wants.
quern_status checkConstants(const char *path,
                            const manifest::Manifest &manifest,
                            uint64_t weightsBytes, quern_error *error);

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CONSTANTCHECK_H
