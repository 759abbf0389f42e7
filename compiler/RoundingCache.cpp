//===- RoundingCache.cpp - Codes of rounded layers in a file --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/RoundingCache.h"
#include "lib/Support/File.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/xxhash.h"

#include <cstdio>
#include <cstring>

namespace quern {

static constexpr char magic[] = "quern-adaround-1";
static constexpr size_t magicSize = sizeof magic - 1;

Expected<RoundingCache> RoundingCache::open(const std::string &path) {
  RoundingCache cache;
  cache.path = path;
  if (path.empty() || !fileExists(path))
    return Expected<RoundingCache>(std::move(cache));
  Expected<std::string> text = readFile(path, size_t(8) << 30);
  if (!text)
    return text.takeError();
  size_t at = magicSize;
  if (text->size() < at || text->compare(0, at, magic) != 0)
    return Error::make(path, ": found another kind of file, expected codes "
                             "that --adaround-cache wrote");
  size_t whole = at;
  while (text->size() - at >= 16) {
    uint64_t header[2];
    std::memcpy(header, text->data() + at, sizeof header);
    at += sizeof header;
    if (header[1] > text->size() - at)
      break;
    auto *codes = reinterpret_cast<const int8_t *>(text->data()) + at;
    cache.layers[header[0]].assign(codes, codes + header[1]);
    at += header[1];
    whole = at;
  }
  if (whole == text->size())
    return Expected<RoundingCache>(std::move(cache));
  // What follows a cut record could not be read back.
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (Error error = file->write(text->data(), whole))
    return error;
  if (Error error = file->commit())
    return error;
  return Expected<RoundingCache>(std::move(cache));
}

static uint64_t hash(const void *bytes, size_t size) {
  return llvm::xxh3_64bits(
      llvm::StringRef(static_cast<const char *>(bytes), size));
}

uint64_t RoundingCache::key(const std::string &name,
                            const std::vector<float> &weights,
                            const std::vector<float> &inputs,
                            const std::vector<float> &realInputs,
                            const std::vector<float> &scales,
                            const std::vector<int32_t> &zeros, unsigned bits,
                            const AdaRoundOptions &options) {
  auto ofFloats = [](const std::vector<float> &values) {
    return hash(values.data(), values.size() * sizeof(float));
  };
  double settings[] = {double(bits),
                       double(options.iterations),
                       double(options.batch),
                       options.rate,
                       options.lambda,
                       options.betaFrom,
                       options.betaTo,
                       options.warmUp,
                       double(options.isLinear)};
  uint64_t parts[] = {hash(name.data(), name.size()),
                      ofFloats(weights),
                      ofFloats(inputs),
                      ofFloats(realInputs),
                      ofFloats(scales),
                      hash(zeros.data(), zeros.size() * sizeof(int32_t)),
                      hash(settings, sizeof settings)};
  return hash(parts, sizeof parts);
}

const std::vector<int8_t> *RoundingCache::find(uint64_t key,
                                               size_t size) const {
  auto found = layers.find(key);
  return found == layers.end() || found->second.size() != size ? nullptr
                                                               : &found->second;
}

Error RoundingCache::add(uint64_t key, const std::vector<int8_t> &codes) {
  layers[key] = codes;
  if (path.empty())
    return Error::success();
  std::FILE *file = std::fopen(path.c_str(), "ab");
  if (!file)
    return Error::make(path, ": cannot be written");
  std::fseek(file, 0, SEEK_END);
  bool ok =
      std::ftell(file) != 0 || std::fwrite(magic, magicSize, 1, file) == 1;
  uint64_t header[2] = {key, codes.size()};
  ok = ok && std::fwrite(header, sizeof header, 1, file) == 1 &&
       std::fwrite(codes.data(), codes.size(), 1, file) == 1;
  ok = std::fclose(file) == 0 && ok;
  return ok ? Error::success() : Error::make(path, ": cannot be written");
}

} // namespace quern
