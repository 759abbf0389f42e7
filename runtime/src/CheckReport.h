//===- CheckReport.h - what is wrong with a manifest ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The checks of a manifest's parts say what they find in one form.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CHECKREPORT_H
#define QUERN_RUNTIME_SRC_CHECKREPORT_H

#include "runtime/src/Support.h"
#include "runtime/src/manifest_generated.h"

#include <cinttypes>

namespace quern {

/// Base of the checkers: the manifest, and where the error goes.
class CheckReport {
protected:
  /// `path` names the file in messages; all must outlive the checker.
  CheckReport(const char *path, const manifest::Manifest &manifest,
              quern_error *error)
      : path(path), manifest(manifest), error(error) {}

  /// "FILE: manifest: KIND NAME: WHAT: found F, expected E", where the name may
  /// be empty and E is a number behind a relation such as "at most ".
  quern_status bad(const char *kind, const char *name, const char *what,
                   uint64_t found, const char *relation,
                   uint64_t expected) const {
    return fail(
        error, QUERN_ERROR_FORMAT,
        "%s: manifest: %s%s%s: %s: found %" PRIu64 ", expected %s%" PRIu64,
        path, kind, *name ? " " : "", name, what, found, relation, expected);
  }

  const char *path;
  const manifest::Manifest &manifest;
  quern_error *error;
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CHECKREPORT_H
