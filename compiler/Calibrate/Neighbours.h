//===- Neighbours.h - What sites need beside them -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Some quantizers have kernels only where others stand around them. Each check
// names the site, what was found beside it, and what is allowed.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_NEIGHBOURS_H
#define QUERN_COMPILER_CALIBRATE_NEIGHBOURS_H

#include "compiler/Recipe/Recipe.h"

#include <string>
#include <vector>

namespace quern {

/// Groups need an integer product or sum on either side: everything of the
/// layer that reads or makes the residual stream has a quantizer.
/// What the layer starts from has codes, too.
Error checkGroupNeighbours(const Site &site, const std::vector<Site> &sites,
                           const Recipe &recipe);

/// Steps of blocks of channels are groups, of which fixed arithmetic has none.
/// `prefix` names the checkpoint that the steps come from.
Error checkBlockNeighbours(const Site &site, const std::vector<Site> &sites,
                           const Recipe &recipe, const std::string &prefix);

/// Steps of heads are constants of the integer attention: all that it reads and
/// makes has codes, and those of the probabilities are uniform.
/// `prefix` names the checkpoint that the steps come from.
Error checkHeadNeighbours(const Site &site, const std::vector<Site> &sites,
                          const Recipe &recipe, const std::string &prefix);

/// Logarithmic codes come out of integer attention only: all that it reads and
/// the sum behind it has a quantizer.
Error checkLogNeighbours(const Site &site, const std::vector<Site> &sites,
                         const Recipe &recipe);

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_NEIGHBOURS_H
