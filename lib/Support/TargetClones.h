//===- TargetClones.h - One function for several vector widths -----*- C++ -*-//
//
// QUERN_CLONES before a function compiles it for wider vectors as well; the
// loader takes what the machine has. Its results must not depend on the width:
// no reductions that the compiler would have to reorder, and the build
// contracts no products and sums.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_SUPPORT_TARGETCLONES_H
#define QUERN_LIB_SUPPORT_TARGETCLONES_H

#if defined(__x86_64__) && defined(__linux__)
#define QUERN_CLONES                                                           \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QUERN_CLONES
#endif

#endif // QUERN_LIB_SUPPORT_TARGETCLONES_H
