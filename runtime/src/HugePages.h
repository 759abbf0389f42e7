//===- HugePages.h - whether weights are read into huge pages -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Few tokens are run at the speed at which weights come from memory, and with
// pages of 4 KB a core spends much of it looking up addresses. Files seldom lie
// in huge pages, memory of our own can.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_RUNTIME_SRC_HUGEPAGES_H
#define QUERN_RUNTIME_SRC_HUGEPAGES_H

#include <cstdint>

namespace quern {

/// Modules whose matrices are smaller leave them where they are, unless
/// QUERN_WEIGHTS=huge.
constexpr uint64_t leastHugeBytes = 4u << 20;

/// The kernel's setting of transparent huge pages: "always", "madvise",
/// "never" or "unknown".
void readHugePageMode(char (&mode)[32]);

/// The chosen word of a setting such as "always [madvise] never", or
/// "unknown".
void chosenWord(const char *line, char (&word)[32]);

/// Is `setting`, the value of QUERN_WEIGHTS or null, "mapped", "huge" or
/// nothing?
bool isWeightsSetting(const char *setting);

/// Why matrices of `bytes` bytes stay in the file's mapping, or null where
/// they are to be read into huge pages. Static.
const char *whyMapped(const char *setting, const char *mode, uint64_t bytes);

/// Bytes of [at, at + bytes), which is mapped, that lie in huge pages now. Asks
/// the kernel, which is slow. 0 where it does not say.
uint64_t hugeBytes(const void *at, uint64_t bytes);

} // namespace quern

#endif // QUERN_RUNTIME_SRC_HUGEPAGES_H
