//===- ImageCheck.h - is what a manifest says of images sound? ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_IMAGECHECK_H
#define QUERN_RUNTIME_SRC_IMAGECHECK_H

#include "runtime/src/ManifestCheck.h"

namespace quern {

/// Checks Model.image and the input of patches: sizes that fit each other, and
/// as many of the inputs as a model of texts or of images has. Buffers must
/// have been checked one by one.
quern_status checkImage(const char *path, const manifest::Manifest &manifest,
                        quern_error *error);

} // namespace quern

#endif // QUERN_RUNTIME_SRC_IMAGECHECK_H
