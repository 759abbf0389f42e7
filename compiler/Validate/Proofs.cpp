//===- Proofs.cpp - Which pass owes which proof ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/Proofs.h"

namespace quern {

RewriteProof proofOf(llvm::StringRef passArgument) {
  if (passArgument == "tq-order-channels")
    return proveOrder;
  if (passArgument == "tq-reparameterize")
    return proveReparameterization;
  if (passArgument == "tq-fuse-attention")
    return proveLogPlanes;
  return nullptr;
}

} // namespace quern
