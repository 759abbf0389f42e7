//===- ModuleFile.cpp - Writing a module file -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The weights are streamed from where they lie, so that a module larger than
// memory costs no more than its largest constant.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/ModuleFile.h"

#include "lib/Support/File.h"
#include "runtime/include/quern/module_abi.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstring>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace quern {

namespace {
/// A file that knows the checksum of the section being written.
class SectionWriter {
public:
  explicit SectionWriter(OutputFile &file)
      : file(file), state(XXH64_createState(), XXH64_freeState) {}

  Error begin(uint64_t alignment) {
    if (Error error =
            pad((alignment - file.position() % alignment) % alignment))
      return error;
    XXH64_reset(state.get(), 0);
    start = file.position();
    return Error::success();
  }

  Error write(const void *bytes, size_t size) {
    XXH64_update(state.get(), bytes, size);
    return file.write(bytes, size);
  }

  quern_section end() {
    return {start, file.position() - start, XXH64_digest(state.get())};
  }

private:
  /// Zeros between sections.
  Error pad(uint64_t size) {
    static const char zeros[4096] = {};
    for (; size > 0; size -= std::min<uint64_t>(size, sizeof(zeros)))
      if (Error error =
              file.write(zeros, std::min<uint64_t>(size, sizeof(zeros))))
        return error;
    return Error::success();
  }

  OutputFile &file;
  std::unique_ptr<XXH64_state_t, XXH_errorcode (*)(XXH64_state_t *)> state;
  uint64_t start = 0;
};
} // namespace

static Error writeBytes(SectionWriter &writer, uint64_t alignment,
                        std::string_view bytes, quern_section &section) {
  if (Error error = writer.begin(alignment))
    return error;
  if (Error error = writer.write(bytes.data(), bytes.size()))
    return error;
  section = writer.end();
  return Error::success();
}

/// Gives the weights section to `write`, in stretches: pieces, and zeros where
/// none is.
static Error layWeights(const ModuleParts &parts,
                        llvm::function_ref<Error(const void *, size_t)> write) {
  static const char zeros[4096] = {};
  uint64_t position = 0;
  auto fillTo = [&](uint64_t offset) {
    assert(offset >= position && "pieces ascend, and the size covers them");
    while (position < offset) {
      uint64_t size = std::min<uint64_t>(offset - position, sizeof(zeros));
      if (Error error = write(zeros, size))
        return error;
      position += size;
    }
    return Error::success();
  };
  for (const DataPiece &piece : parts.data) {
    if (Error error = fillTo(piece.offset))
      return error;
    if (Error error = write(piece.bytes.data(), piece.bytes.size()))
      return error;
    position += piece.bytes.size();
  }
  return fillTo(parts.weightBytes);
}

static Error writeWeights(SectionWriter &writer, const ModuleParts &parts,
                          quern_section &section) {
  if (Error error = writer.begin(QUERN_WEIGHTS_ALIGN))
    return error;
  if (Error error = layWeights(parts, [&](const void *bytes, size_t size) {
        return writer.write(bytes, size);
      }))
    return error;
  section = writer.end();
  return Error::success();
}

uint64_t hashManifest(const ModuleParts &parts) {
  return XXH64(parts.manifest.data(), parts.manifest.size(), /*seed=*/0);
}

uint64_t hashWeights(const ModuleParts &parts) {
  std::unique_ptr<XXH64_state_t, XXH_errorcode (*)(XXH64_state_t *)> state(
      XXH64_createState(), XXH64_freeState);
  XXH64_reset(state.get(), 0);
  Error none = layWeights(parts, [&](const void *bytes, size_t size) {
    XXH64_update(state.get(), bytes, size);
    return Error::success();
  });
  assert(!none && "hashing cannot fail");
  (void)none;
  return XXH64_digest(state.get());
}

Error writeModuleFile(const std::string &path, const ModuleParts &parts) {
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();

  quern_trailer trailer = {};
  std::memcpy(trailer.magic, QUERN_FILE_MAGIC, sizeof(trailer.magic));
  trailer.version = QUERN_FILE_VERSION;
  trailer.section_count = QUERN_SECTION_COUNT;

  SectionWriter writer(*file);
  quern_section *sections = trailer.sections;
  if (Error error =
          writeBytes(writer, 1, parts.code, sections[QUERN_SECTION_CODE]))
    return error;
  if (Error error = writeBytes(writer, QUERN_MANIFEST_ALIGN, parts.manifest,
                               sections[QUERN_SECTION_MANIFEST]))
    return error;
  if (Error error = writeBytes(writer, QUERN_TOKENIZER_ALIGN, parts.tokenizer,
                               sections[QUERN_SECTION_TOKENIZER]))
    return error;
  if (Error error =
          writeWeights(writer, parts, sections[QUERN_SECTION_WEIGHTS]))
    return error;

  if (Error error = writer.begin(QUERN_TRAILER_ALIGN))
    return error;
  trailer.file_bytes = file->position() + sizeof(trailer);
  trailer.xxh64 = XXH64(&trailer, offsetof(quern_trailer, xxh64), /*seed=*/0);
  if (Error error = file->write(&trailer, sizeof(trailer)))
    return error;
  return file->commit();
}

} // namespace quern
