//===- SiteSamples.cpp - Tokens of sites, chosen at random ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/SiteSamples.h"

#include "compiler/FloatRun.h"

#include <algorithm>
#include <cmath>

namespace quern {

void Samples::add(const float *row) {
  size_t at = seen++;
  if (at < most) {
    values.insert(values.end(), row, row + columns);
    return;
  }
  at = random() % seen;
  if (at < most)
    std::copy_n(row, columns, values.data() + at * columns);
}

Error keepRows(const HostProgram &program, SiteSamples &samples) {
  for (auto &[site, kept] : samples) {
    Expected<quern_view> view = floatSite(program, site.str());
    if (!view)
      return view.takeError();
    kept.columns = view->columns;
    for (uint64_t row = 0; row < view->rows; ++row)
      kept.add(rowOf(*view, row));
  }
  return Error::success();
}

std::vector<float> inverseMagnitudes(const std::vector<float> &rows,
                                     size_t columns) {
  std::vector<float> factors;
  for (size_t at = 0; at + columns <= rows.size(); at += columns) {
    double energy = 1e-30;
    for (size_t j = 0; j < columns; ++j)
      energy += double(rows[at + j]) * rows[at + j];
    factors.push_back(static_cast<float>(std::sqrt(double(columns) / energy)));
  }
  return factors;
}

} // namespace quern
