//===- SiteEntries.h - Sites in the scheme of a module ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What `tq.scheme` says of a site: one scale, scales of groups, of heads or of
// channels, logarithmic codes, or that its range is found at run time. Private
// to this folder.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_CALIBRATE_SITEENTRIES_H
#define QUERN_COMPILER_CALIBRATE_SITEENTRIES_H

#include "compiler/Calibrate/RangeTable.h"
#include "compiler/Recipe/Recipe.h"
#include "dialects/TQ/TQOps.h"

#include "mlir/IR/Builders.h"

namespace quern {

class SiteEntries {
public:
  /// All of these must live as long.
  SiteEntries(const std::vector<Site> &sites, const Recipe &recipe,
              const RangeTable &ranges, mlir::Builder &builder)
      : sites(sites), recipe(recipe), ranges(ranges), builder(builder) {}

  /// The entry of a site that the recipe quantizes. Errors: no fitting range,
  /// neighbours that its codes have no kernel beside.
  Error fill(mlir::NamedAttrList &entry, const Site &site,
             tq::ObserveOp observe);

private:
  Error fillTokens(mlir::NamedAttrList &entry, const Site &site);
  Error fillLog(mlir::NamedAttrList &entry, const Site &site,
                const SiteRange &range);
  Error fillHeads(mlir::NamedAttrList &entry, const Site &site,
                  const SiteRange &range, tq::ObserveOp observe);
  Error fillBlocks(mlir::NamedAttrList &entry, const Site &site,
                   const SiteRange &range, int64_t width);
  Error fillGroups(mlir::NamedAttrList &entry, const Site &site,
                   const SiteRange &range, tq::ObserveOp observe);
  Error fillOne(mlir::NamedAttrList &entry, const Site &site,
                const SiteRange &range, tq::ObserveOp observe);

  const std::vector<Site> &sites;
  const Recipe &recipe;
  const RangeTable &ranges;
  mlir::Builder &builder;
};

} // namespace quern

#endif // QUERN_COMPILER_CALIBRATE_SITEENTRIES_H
