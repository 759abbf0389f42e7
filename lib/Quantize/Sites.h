//===- Sites.h - Which site a value goes to ------------------------*- C++ -*-//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_SITES_H
#define QUERN_LIB_QUANTIZE_SITES_H

#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/SchemeAttr.h"

namespace quern {

/// The site observed at the end of a chain of elementwise ops, or "". A linear
/// layer has the name of the site that its output goes to.
llvm::StringRef siteBehind(mlir::Value value);

/// The role of a weight matrix or a table in tq.scheme: "linear", "pooler" or
/// "classifier", and "word_table" or "table".
llvm::StringRef weightRole(tq::LinearOp linear);
llvm::StringRef weightRole(tq::EmbeddingOp embedding);

/// A vector by channel of the imported model, by column of the observed value.
template <typename T>
std::vector<T> inOrder(tq::ObserveOp observe, const std::vector<T> &values) {
  auto order =
      observe->getAttrOfType<mlir::DenseI64ArrayAttr>(channelOrderName);
  if (!order || size_t(order.size()) != values.size())
    return values;
  std::vector<T> result;
  for (int64_t channel : order.asArrayRef())
    result.push_back(values[channel]);
  return result;
}

/// The LayerNorm whose output a site observes, and what puts its channels in
/// order in between; null where there is none.
struct ObservedNorm {
  tq::LayerNormOp norm;
  tq::ReorderOp reorder;
};
ObservedNorm normBefore(tq::ObserveOp observe);

/// Reads the scheme of a module and visits each observed site that it gives a
/// quantizer. The sites are collected first: a visit may add some.
mlir::LogicalResult forEachQuantizedSite(
    mlir::ModuleOp module,
    llvm::function_ref<mlir::LogicalResult(tq::ObserveOp,
                                           const SiteQuantizer &)>
        visit);

/// The error of a site whose groups have the form "auto".
mlir::LogicalResult refuseUndecided(tq::ObserveOp observe);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_SITES_H
