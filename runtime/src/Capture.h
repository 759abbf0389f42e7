//===- Capture.h - keep every site of a run -------------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// For tools that compare a run site by site: memory for taps, and copies of the
// sites whose arena buffers later steps overwrite.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_CAPTURE_H
#define QUERN_RUNTIME_SRC_CAPTURE_H

#include "quern/introspect.h"
#include "runtime/src/ManifestCheck.h"

namespace quern {

/// Units of a run.
struct RunSize {
  uint64_t tokens = 0;
  uint64_t sequences = 0;
  /// Sum over sequences of their length squared.
  uint64_t pairs = 0;

  uint64_t rows(manifest::Unit unit) const;
};

class Capture {
public:
  /// Lays out taps and copies for a run and sets the taps' `addresses` (by
  /// buffer index). False when memory is out.
  bool prepare(const manifest::Manifest &manifest, const RunSize &size,
               Array<char *> &addresses);
  /// Gives the memory back and clears the taps' `addresses`.
  void release(const manifest::Manifest &manifest, Array<char *> &addresses);
  /// Copies the sites that are complete after step `index`.
  void afterStep(const manifest::Manifest &manifest, uint32_t index,
                 const Array<char *> &addresses);

  bool on() const { return memory.data() != nullptr; }
  uint64_t bytes() const { return memory.size(); }
  /// What the taps' addresses lie in.
  const char *data() const { return memory.data(); }
  /// The captured site `index`; false where it is nowhere.
  bool view(const manifest::Manifest &manifest, uint32_t index,
            const Array<char *> &addresses, quern_view &view) const;

private:
  Pages memory;
  /// By site: place of its copy in `memory`, or none.
  Array<uint64_t> copies;
  RunSize size;
};

} // namespace quern

#endif // QUERN_RUNTIME_SRC_CAPTURE_H
