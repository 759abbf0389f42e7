//===- KernelCache.cpp - Objects kept between compilations ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The folder is LLVM's: files are written whole or not at all, and pruned as
// those of a linker's cache. Each file is a hash of the object and the object.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelCache.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/Caching.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstdlib>
#include <elf.h>
#include <link.h>

namespace quern {

static constexpr size_t kHashBytes = 32;

static std::string hashOf(std::initializer_list<llvm::StringRef> parts) {
  llvm::BLAKE3 hasher;
  for (llvm::StringRef part : parts) {
    // With its size, so that no part can run on into the next.
    hasher.update(std::to_string(part.size()) + ":");
    hasher.update(part);
  }
  llvm::BLAKE3Result<kHashBytes> hash = hasher.final<kHashBytes>();
  return std::string(hash.begin(), hash.end());
}

/// The build ID among the notes of a loaded object.
static std::string buildIdOf(const dl_phdr_info &info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE)
      continue;
    const char *at =
        reinterpret_cast<const char *>(info.dlpi_addr + segment.p_vaddr);
    const char *end = at + segment.p_memsz;
    while (size_t(end - at) >= sizeof(ElfW(Nhdr))) {
      const auto &note = *reinterpret_cast<const ElfW(Nhdr) *>(at);
      const char *name = at + sizeof(note);
      const char *id = name + llvm::alignTo(note.n_namesz, 4);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
          llvm::StringRef(name, 3) == "GNU")
        return llvm::toHex(llvm::StringRef(id, note.n_descsz));
      at = id + llvm::alignTo(note.n_descsz, 4);
    }
  }
  return "";
}

std::string buildIdentity() {
  struct Found {
    bool isFirst = true, isKnown = true;
    std::string ids;
  } found;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *data) {
        auto &found = *static_cast<Found *>(data);
        std::string id = buildIdOf(*info);
        // The program comes first, under no name.
        if (found.isFirst)
          found.isKnown = !id.empty();
        found.isFirst = false;
        // The kernel's own has no part in compiling.
        if (!llvm::StringRef(info->dlpi_name).starts_with("linux-vdso"))
          found.ids += id + " ";
        return 0;
      },
      &found);
  return found.isKnown ? found.ids : "";
}

Expected<KernelCache> KernelCache::fromEnvironment() {
  const char *folder = std::getenv("QUERN_CACHE_DIR");
  if (!folder || !*folder)
    return KernelCache("", "");
  static const std::string build = buildIdentity();
  if (build.empty())
    return KernelCache("", "");
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return Error::make(folder, ": cannot be created: ", code.message(),
                       ", expected a folder for kernels (QUERN_CACHE_DIR)");
  llvm::CachePruningPolicy policy;
  policy.Expiration = std::chrono::hours(14 * 24);
  policy.MaxSizeBytes = uint64_t(1) << 30;
  llvm::pruneCache(folder, policy);
  return KernelCache(folder, build);
}

/// What the cache could not do, which is about the folder.
static Error cacheError(const std::string &folder, llvm::Error error) {
  return Error::make(
      folder, ": ",
      llvm::StringRef(llvm::toString(std::move(error))).trim().str(),
      ", expected a folder for kernels (QUERN_CACHE_DIR)");
}

Expected<std::string>
KernelCache::get(llvm::StringRef text, llvm::StringRef tag,
                 llvm::function_ref<Expected<std::string>()> make) const {
  if (folder.empty())
    return make();
  std::string key = llvm::toHex(hashOf({text, tag, build}), true);
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, "llvmcache-" + key);
  std::string kept;
  auto take = [&](unsigned, const llvm::Twine &,
                  std::unique_ptr<llvm::MemoryBuffer> buffer) {
    kept = buffer->getBuffer().str();
  };
  llvm::Expected<llvm::FileCache> cache =
      llvm::localCache("kernels", "kernel", folder, take);
  if (!cache)
    return cacheError(folder, cache.takeError());
  llvm::Expected<llvm::AddStreamFn> add = (*cache)(0, key, "kernel");
  if (!add)
    return cacheError(folder, add.takeError());
  if (!*add) {
    llvm::StringRef object =
        llvm::StringRef(kept).drop_front(std::min(kept.size(), kHashBytes));
    if (llvm::StringRef(kept).take_front(kHashBytes) == hashOf({object}))
      return object.str();
    llvm::sys::fs::remove(path);
  }
  Expected<std::string> object = make();
  if (!object || !*add)
    return object;
  auto stream = (*add)(0, "kernel");
  if (!stream)
    return cacheError(folder, stream.takeError());
  // A file that could not be written whole must not end the program, as it
  // does when its stream is closed with that error; nor stay.
  auto &out = static_cast<llvm::raw_fd_ostream &>(*(*stream)->OS);
  out << hashOf({*object}) << *object;
  out.flush();
  std::error_code code = out.error();
  out.clear_error();
  if (llvm::Error error = (*stream)->commit())
    return cacheError(folder, std::move(error));
  if (!code)
    return object;
  llvm::sys::fs::remove(path);
  return Error::make(folder, ": cannot be written: ", code.message(),
                     ", expected room for kernels (QUERN_CACHE_DIR)");
}

} // namespace quern
