//===- LearnedTable.h - Learned quantizers as ranges ---------------*- C++ -*-//
//
// From the quantizers that a checkpoint holds to the table that calibration
// would leave. Granularity and the bits of ranges are not in the checkpoint:
// the recipe says them, and the quantizers are held against it. Learned steps
// have bits, which the recipe names too or takes (`"bits": "learned"`).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_LEARNEDTABLE_H
#define QUERN_COMPILER_CALIBRATE_LEARNEDTABLE_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Import/LearnedQuantizers.h"
#include "compiler/Recipe/Recipe.h"

namespace quern {

/// The table of learned quantizers for the sites of a model. Zero points are
/// rounded and clamped to the codes, vectors become groups of equal scale and
/// zero point. Errors: a site or weight that the recipe quantizes and the
/// checkpoint does not, or the other way round; other groups than the recipe's.
Expected<RangeTable> learnedRanges(const LearnedQuantizers &learned,
                                   const std::vector<Site> &sites,
                                   const Recipe &recipe);

/// Gives the sites whose bits are "learned" in the recipe those of the
/// checkpoint. Error: a site has none there.
Error adoptBits(const LearnedQuantizers &learned,
                const std::vector<Site> &sites, Recipe &recipe);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_LEARNEDTABLE_H
