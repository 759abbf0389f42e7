//===- DeviceCheck.h - is a manifest's GPU part sound? --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See ManifestCheck.h. Kernels themselves are code, as those of the CPU.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_DEVICECHECK_H
#define QUERN_RUNTIME_SRC_DEVICECHECK_H

#include "runtime/src/Support.h"
#include "runtime/src/manifest_generated.h"

namespace quern {

/// Parameters of a kernel.
inline constexpr uint32_t kMostDeviceParams = 48;
/// Tensor maps in front of them.
inline constexpr uint32_t kMostDeviceMaps = 2;

/// Checks the table Device, if there is one, of an otherwise checked manifest.
/// `path` names the file in messages. Errors: FORMAT.
quern_status checkDevice(const char *path, const manifest::Manifest &manifest,
                         quern_error *error);

} // namespace quern

#endif // QUERN_RUNTIME_SRC_DEVICECHECK_H
