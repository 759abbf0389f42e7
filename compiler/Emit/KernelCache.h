//===- KernelCache.h - Objects kept between compilations --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Most of a compilation is spent on LLVM, and models of one shape have the same
// kernels. Where QUERN_CACHE_DIR names a folder, the object of each kernel is
// kept there under a hash of its L3 text, the tier and the programs that made
// it: what another build of the compiler made is never taken.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_KERNELCACHE_H
#define QUERN_COMPILER_EMIT_KERNELCACHE_H

#include "lib/Support/Status.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace quern {

class KernelCache {
public:
  /// The cache in the folder that QUERN_CACHE_DIR names, or one that keeps
  /// nothing. Removes what was not used for long (two weeks, 1 GiB). Fails if
  /// the folder cannot be made.
  static Expected<KernelCache> fromEnvironment();

  /// A cache in `folder`, which exists; an empty name keeps nothing. `build`
  /// tells versions of the compiler apart.
  KernelCache(std::string folder, std::string build)
      : folder(std::move(folder)), build(std::move(build)) {}

  /// The object for `text` and `tag`: the one that is kept, or what `make`
  /// makes, which is then kept. A kept object that is not whole is made again.
  /// Safe to call from several threads and processes.
  Expected<std::string>
  get(llvm::StringRef text, llvm::StringRef tag,
      llvm::function_ref<Expected<std::string>()> make) const;

private:
  std::string folder, build;
};

/// Build IDs of this program and of the libraries it has loaded, or nothing if
/// the program has none.
std::string buildIdentity();

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELCACHE_H
