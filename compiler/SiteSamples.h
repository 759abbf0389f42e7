//===- SiteSamples.h - Tokens of sites, chosen at random --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What is learned from the values of a site (rounding, clip values) is learned
// from some of its rows.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_SITESAMPLES_H
#define QUERN_COMPILER_SITESAMPLES_H

#include "compiler/HostProgram.h"

#include "llvm/ADT/MapVector.h"

#include <random>
#include <vector>

namespace quern {

/// A uniform choice of the rows that a site had.
struct Samples {
  std::vector<float> values;
  size_t most = 0, columns = 0, seen = 0;
  std::mt19937 random{7};

  size_t rows() const { return columns ? values.size() / columns : 0; }

  void add(const float *row);
};

/// The choice of each site. It goes by a row's number alone, so that two runs
/// of the same texts choose the same tokens.
using SiteSamples = llvm::MapVector<llvm::StringRef, Samples>;

/// Offers the rows of the last run of the float model to every site's choice.
Error keepRows(const HostProgram &program, SiteSamples &samples);

/// For each row 1 over its root mean square: the LayerNorm behind a layer does
/// about the same to the layer's output, and the few tokens with outliers would
/// otherwise decide alone.
std::vector<float> inverseMagnitudes(const std::vector<float> &rows,
                                     size_t columns);

} // namespace quern

#endif // QUERN_COMPILER_SITESAMPLES_H
