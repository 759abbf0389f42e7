//===- SiteCodes.h - What the codes of a site stand for ---------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_SITECODES_H
#define QUERN_COMPILER_EMIT_SITECODES_H

#include "runtime/src/manifest_generated.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace quern {

/// The quantizer of a site as a manifest tells it: value = scale * (code -
/// zero), with a scale and zero of each group where channels have groups.
struct SiteCodes {
  int64_t bits = 0; ///< 0 where the site stays in f32.
  std::string text; ///< "u8 per tensor", "u8 in 6 groups", "f32": for people.
  std::vector<float> scales, zeros; ///< Empty for f32 and run-time ranges.
  /// Group of each column, in the order of the buffer; empty without groups.
  std::vector<uint16_t> groups;
  manifest::Element element = manifest::Element::F32; ///< That holds a code.
};

/// The codes of `site` by the module's tq.scheme, which has been read (and so
/// checked) by the passes; f32 where the scheme has no such site.
SiteCodes siteCodes(mlir::ModuleOp module, llvm::StringRef site);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_SITECODES_H
