//===- ModuleFile.cpp - a module file, mapped and checked -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See ModuleFile.h. The checksums find damage, not malice: whoever can write a
// module can write its checksums.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/ModuleFile.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cinttypes>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;

namespace {

struct SectionRule {
  const char *name;
  uint64_t align;
  bool mayBeEmpty;
};

constexpr SectionRule rules[QUERN_SECTION_COUNT] = {
    {"code", 1, false},
    {"manifest", QUERN_MANIFEST_ALIGN, false},
    {"tokenizer", QUERN_TOKENIZER_ALIGN, true},
    {"weights", QUERN_WEIGHTS_ALIGN, true}};

/// Weights that are hashed between two times that pages are given back.
constexpr uint64_t dropBytes = 4u << 20;

/// First byte of [begin, end) that is not zero, or `end`.
uint64_t firstNonZero(const char *base, uint64_t begin, uint64_t end) {
  while (begin < end && base[begin] == 0)
    ++begin;
  return begin;
}

} // namespace

ModuleFile::~ModuleFile() {
  if (base)
    munmap(const_cast<char *>(base), bytes);
  if (fd >= 0)
    close(fd);
}

quern_status ModuleFile::open(const char *path, quern_error *error) {
  if (quern_status status = map(path, error))
    return status;
  if (quern_status status = checkTrailer(path, error))
    return status;
  return checkSections(path, error);
}

quern_status ModuleFile::map(const char *path, quern_error *error) {
  // Not blocking: a named pipe must not hang us.
  fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0)
    return fail(error, QUERN_ERROR_FILE, "%s: cannot open: %s", path,
                strerror(errno));
  if (!S_ISREG(info.st_mode))
    return fail(error, QUERN_ERROR_FILE,
                "%s: expected a module file, found a %s", path,
                S_ISDIR(info.st_mode) ? "directory" : "special file");
  bytes = uint64_t(info.st_size);
  if (bytes < sizeof(quern_trailer))
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: not a module: found %" PRIu64
                " bytes, expected at least %zu",
                path, bytes, sizeof(quern_trailer));
  void *memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) {
    bytes = 0;
    return fail(error, QUERN_ERROR_FILE, "%s: cannot map: %s", path,
                strerror(errno));
  }
  base = static_cast<const char *>(memory);
  madvise(memory, bytes, MADV_WILLNEED);
  // Works where the kernel keeps huge pages for files; ignored elsewhere.
  madvise(memory, bytes, MADV_HUGEPAGE);
  return QUERN_OK;
}

quern_status ModuleFile::checkTrailer(const char *path, quern_error *error) {
  const char *at = base + bytes - sizeof(quern_trailer);
  quern_trailer found;
  memcpy(&found, at, sizeof(found));
  if (memcmp(found.magic, QUERN_FILE_MAGIC, sizeof(found.magic)) != 0)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: not a module, or truncated: no \"%s\" where the trailer "
                "should be (byte %" PRIu64 " of %" PRIu64 ")",
                path, QUERN_FILE_MAGIC, bytes - sizeof(found), bytes);
  if (found.version != QUERN_FILE_VERSION)
    return fail(error, QUERN_ERROR_VERSION,
                "%s: file version: found %u, expected %u; compile the model "
                "again with this version of quern",
                path, found.version, QUERN_FILE_VERSION);
  uint64_t hash = XXH64(&found, offsetof(quern_trailer, xxh64), 0);
  if (hash != found.xxh64)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: trailer is damaged: checksum found %016" PRIx64
                ", expected %016" PRIx64,
                path, hash, found.xxh64);
  if (found.file_bytes != bytes)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: size of the file: found %" PRIu64 ", expected %" PRIu64,
                path, bytes, found.file_bytes);
  if (found.section_count != QUERN_SECTION_COUNT)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: sections: found %u, expected %u", path,
                found.section_count, QUERN_SECTION_COUNT);
  if (bytes % QUERN_TRAILER_ALIGN != 0)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: size of the file: found %" PRIu64
                ", expected a multiple of %u",
                path, bytes, QUERN_TRAILER_ALIGN);
  end = reinterpret_cast<const quern_trailer *>(at);
  return QUERN_OK;
}

quern_status ModuleFile::checkSections(const char *path,
                                       quern_error *error) const {
  uint64_t limit = bytes - sizeof(quern_trailer);
  uint64_t previous = 0;
  for (uint32_t i = 0; i < QUERN_SECTION_COUNT; ++i) {
    const quern_section &section = end->sections[i];
    const SectionRule &rule = rules[i];
    uint64_t expected = roundUp(previous, rule.align);
    if (section.offset != expected)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: %s section: found at byte %" PRIu64
                  ", expected at %" PRIu64,
                  path, rule.name, section.offset, expected);
    if (section.offset > limit || section.bytes > limit - section.offset)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: %s section: found %" PRIu64 " bytes at byte %" PRIu64
                  ", but the trailer begins at %" PRIu64,
                  path, rule.name, section.bytes, section.offset, limit);
    if (section.bytes == 0 && !rule.mayBeEmpty)
      return fail(error, QUERN_ERROR_FORMAT, "%s: %s section is empty", path,
                  rule.name);
    uint64_t dirty = firstNonZero(base, previous, section.offset);
    if (dirty != section.offset)
      return fail(
          error, QUERN_ERROR_FORMAT,
          "%s: padding before the %s section: found a byte %02x at %" PRIu64
          ", expected 00",
          path, rule.name, uint8_t(base[dirty]), dirty);
    if (i != QUERN_SECTION_WEIGHTS) {
      uint64_t hash = XXH64(base + section.offset, section.bytes, 0);
      if (quern_status status =
              checkHash(path, quern_section_id(i), hash, error))
        return status;
    }
    previous = section.offset + section.bytes;
  }
  if (roundUp(previous, QUERN_TRAILER_ALIGN) != limit ||
      firstNonZero(base, previous, limit) != limit)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: unexpected bytes between the weights' end at %" PRIu64
                " and the trailer at %" PRIu64,
                path, previous, limit);
  return QUERN_OK;
}

quern_status ModuleFile::checkHash(const char *path, quern_section_id id,
                                   uint64_t found, quern_error *error) const {
  uint64_t expected = end->sections[id].xxh64;
  if (found == expected)
    return QUERN_OK;
  return fail(error, QUERN_ERROR_FORMAT,
              "%s: %s section is damaged: checksum found %016" PRIx64
              ", expected %016" PRIx64,
              path, rules[id].name, found, expected);
}

quern_status ModuleFile::checkWeights(const char *path, bool drop,
                                      quern_error *error) const {
  const char *weights = section(QUERN_SECTION_WEIGHTS);
  uint64_t total = sectionBytes(QUERN_SECTION_WEIGHTS), part;
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  for (uint64_t at = 0; at < total; at += part) {
    part = drop && total - at > dropBytes ? dropBytes : total - at;
    XXH64_update(&state, weights + at, part);
    if (drop)
      dropWeights(at, part);
  }
  return checkHash(path, QUERN_SECTION_WEIGHTS, XXH64_digest(&state), error);
}

void ModuleFile::dropWeights(uint64_t offset, uint64_t count) const {
  offset += end->sections[QUERN_SECTION_WEIGHTS].offset;
  uint64_t begin = offset & ~uint64_t(QUERN_WEIGHTS_ALIGN - 1);
  madvise(const_cast<char *>(base) + begin, offset + count - begin,
          MADV_DONTNEED);
}

bool ModuleFile::readWeights(uint64_t offset, void *to, uint64_t bytes) const {
  offset += end->sections[QUERN_SECTION_WEIGHTS].offset;
  auto *next = static_cast<char *>(to);
  while (bytes) {
    ssize_t done = pread(fd, next, bytes, off_t(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return false;
    next += done;
    offset += uint64_t(done);
    bytes -= uint64_t(done);
  }
  return true;
}
