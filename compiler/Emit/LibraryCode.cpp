//===- LibraryCode.cpp - Kernels made ahead of time -----------------------===//
//
// The bytes come from an assembly file that the build writes.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/LibraryCode.h"

#ifdef QUERN_HAS_HALIDE
extern "C" const char quern_library_avx2[], quern_library_avx2_end[];
#endif

namespace quern {

llvm::StringRef libraryOf(Tier tier) {
#ifdef QUERN_HAS_HALIDE
  if (tier == Tier::Avx2)
    return {quern_library_avx2,
            size_t(quern_library_avx2_end - quern_library_avx2)};
#endif
  return {};
}

} // namespace quern
