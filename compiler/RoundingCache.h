//===- RoundingCache.h - Codes of rounded layers in a file ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A file of records {key, size, codes}. A layer is added as soon as it is
// rounded, so that work that was interrupted goes on where it stopped.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_ROUNDINGCACHE_H
#define QUERN_COMPILER_ROUNDINGCACHE_H

#include "lib/Quantize/AdaRound.h"
#include "lib/Support/Status.h"

#include <map>
#include <string>

namespace quern {

class RoundingCache {
public:
  /// Reads the records of a file, which need not exist yet; an empty path is
  /// a cache without a file. A last record that was cut off is dropped.
  static Expected<RoundingCache> open(const std::string &path);

  /// A number that differs wherever any of these does.
  static uint64_t
  key(const std::string &name, const std::vector<float> &weights,
      const std::vector<float> &inputs, const std::vector<float> &realInputs,
      const std::vector<float> &scales, const std::vector<int32_t> &zeros,
      unsigned bits, const AdaRoundOptions &options);

  /// The codes of a layer of `size` weights, or null.
  const std::vector<int8_t> *find(uint64_t key, size_t size) const;

  /// Adds codes, to the file as well.
  Error add(uint64_t key, const std::vector<int8_t> &codes);

private:
  std::string path;
  std::map<uint64_t, std::vector<int8_t>> layers;
};

} // namespace quern

#endif // QUERN_COMPILER_ROUNDINGCACHE_H
