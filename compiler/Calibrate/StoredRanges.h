//===- StoredRanges.h - Ranges that were found before -----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What `--ranges FILE` takes instead of a calibration.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_STOREDRANGES_H
#define QUERN_COMPILER_CALIBRATE_STOREDRANGES_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Recipe/Recipe.h"

namespace quern {

/// The ranges of a ranges.json, or the learned quantizers of a .safetensors
/// file, whose bits the recipe takes where it says "learned". Errors: what the
/// file has wrong; a recipe of learned bits without such a checkpoint.
Expected<RangeTable> readStoredRanges(const std::string &path,
                                      const std::vector<Site> &sites,
                                      Recipe &recipe);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_STOREDRANGES_H
