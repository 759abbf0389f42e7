//===- LibraryCode.h - Kernels made ahead of time -------------------------===//
//
// The libraries of products that were built with Quern (runtime/kernels/halide)
// and lie in the compiler as bytes. A tier that has one calls it from its
// kernels; it is linked into what is emitted.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_LIBRARYCODE_H
#define QUERN_COMPILER_EMIT_LIBRARYCODE_H

#include "compiler/Emit/ObjectCode.h"

namespace quern {

/// The archive of `tier`; empty where it has none, or where Quern was built
/// without Halide.
llvm::StringRef libraryOf(Tier tier);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_LIBRARYCODE_H
