//===- LibraryCode.cpp - Kernels made ahead of time -----------------------===//
//
// The bytes come from an assembly file that the build writes.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/LibraryCode.h"

#ifdef QUERN_HAS_HALIDE
#define QUERN_LIBRARY(tier)                                                    \
  extern "C" const char quern_library_##tier[], quern_library_##tier##_end[];
QUERN_LIBRARY(sse41)
QUERN_LIBRARY(avx2)
QUERN_LIBRARY(avxvnni)
QUERN_LIBRARY(avx512bw)
#undef QUERN_LIBRARY
#endif

namespace quern {

llvm::StringRef libraryOf(Tier tier) {
#ifdef QUERN_HAS_HALIDE
#define QUERN_LIBRARY(tier)                                                    \
  return {                                                                     \
    quern_library_##tier,                                                      \
        size_t(quern_library_##tier##_end - quern_library_##tier)              \
  }
  switch (tier) {
  case Tier::Sse41:
    QUERN_LIBRARY(sse41);
  case Tier::Avx2:
    QUERN_LIBRARY(avx2);
  case Tier::AvxVnni:
    QUERN_LIBRARY(avxvnni);
  case Tier::Avx512Bw:
    QUERN_LIBRARY(avx512bw);
  case Tier::Scalar:
  case Tier::Sse2:
  case Tier::Avx512Vnni:
  case Tier::Amx:
    return {};
  }
#undef QUERN_LIBRARY
#endif
  return {};
}

} // namespace quern
