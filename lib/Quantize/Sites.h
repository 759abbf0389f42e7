//===- Sites.h - Which site a value goes to ------------------------*- C++ -*-//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_SITES_H
#define QUERN_LIB_QUANTIZE_SITES_H

#include "dialects/TQ/TQOps.h"

namespace quern {

/// The site observed at the end of a chain of elementwise ops, or "". A linear
/// layer has the name of the site that its output goes to.
llvm::StringRef siteBehind(mlir::Value value);

/// The role of a weight matrix or a table in tq.scheme: "linear", "pooler" or
/// "classifier", and "word_table" or "table".
llvm::StringRef weightRole(tq::LinearOp linear);
llvm::StringRef weightRole(tq::EmbeddingOp embedding);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_SITES_H
