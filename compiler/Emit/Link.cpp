//===- Link.cpp - Objects to what a loader takes --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernel table and the linked image are written as assembly: the field
// order is that of module_abi.h, checked there by static assertions on sizes.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/Link.h"

#include "compiler/Emit/LibraryCode.h"
#include "compiler/Emit/Toolchain.h"
#include "lib/Support/File.h"
#include "runtime/include/quern/module_abi.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cctype>

namespace quern {

/// The symbol of a kernel, which every tier has.
static const std::string &entryOf(const TierObject &tier,
                                  const std::string &kernel) {
  auto object = llvm::find_if(tier.objects, [&](const KernelObject &candidate) {
    return candidate.kernel == kernel;
  });
  assert(object != tier.objects.end() && "a tier has all kernels");
  return object->entry;
}

/// Assembly of a quern_kernel_table under `symbol`, which is exported where the
/// table belongs to a file with these parts.
static std::string tableAssembly(const std::string &symbol,
                                 const std::vector<TierObject> &tiers,
                                 const std::vector<std::string> &kernels,
                                 const ModuleParts *parts) {
  std::string text = "  .section .data.rel.ro,\"aw\",@progbits\n  .balign 8\n";
  for (const TierObject &tier : tiers) {
    text += ".Lkernels_" + getTierName(tier.tier).str() + ":\n";
    for (const std::string &kernel : kernels)
      text += "  .quad \"" + entryOf(tier, kernel) + "\"\n";
  }
  text += ".Ltiers:\n";
  for (const TierObject &tier : tiers)
    text += "  .long " + std::to_string(tier.id) + ", " +
            std::to_string(kernels.size()) + "\n  .quad .Lkernels_" +
            getTierName(tier.tier).str() + "\n";
  if (parts)
    text += "  .globl " + symbol + "\n";
  uint64_t manifest = parts ? hashManifest(*parts) : 0;
  uint64_t weights = parts ? hashWeights(*parts) : 0;
  text += "  .type " + symbol + ",@object\n" + symbol + ":\n  .long " +
          std::to_string(QUERN_ABI_VERSION) + ", " +
          std::to_string(tiers.size()) + "\n  .quad .Ltiers, " +
          std::to_string(manifest) + ", " + std::to_string(weights) +
          "\n  .size " + symbol +
          ", 32\n  .section .note.GNU-stack,\"\",@progbits\n";
  return text;
}

/// Assembly of a section that holds a file's bytes from `label` on.
static std::string includeAssembly(const std::string &label,
                                   const std::string &path,
                                   unsigned alignment) {
  return "  .section .rodata." + label + ",\"a\",@progbits\n  .balign " +
         std::to_string(alignment) + "\n.L" + label + ":\n  .incbin \"" + path +
         "\"\n.L" + label + "_end:\n";
}

/// Assembly of a quern_linked_image under `symbol`.
static std::string imageAssembly(const std::string &symbol,
                                 const std::string &table) {
  auto part = [](const char *label) {
    std::string name = std::string(".L") + label;
    return "  .quad " + name + ", " + name + "_end - " + name + "\n";
  };
  return "  .section .data.rel.ro,\"aw\",@progbits\n  .balign 8\n  .globl " +
         symbol + "\n  .type " + symbol + ",@object\n" + symbol +
         ":\n  .long " + std::to_string(QUERN_ABI_VERSION) + ", 0\n  .quad " +
         table + "\n" + part("manifest") + part("tokenizer") + part("weights") +
         "  .size " + symbol + ", 64\n";
}

static Error assemble(const TemporaryFolder &folder, const std::string &text,
                      const std::string &name) {
  Expected<std::string> clang = findProgram({"clang-22", "clang"});
  if (!clang)
    return clang.takeError();
  Expected<std::string> source = folder.write(name + ".s", text);
  if (!source)
    return source.takeError();
  return runProgram(*clang,
                    {"-c", "-x", "assembler", *source, "-o", folder.file(name)},
                    folder);
}

static Expected<std::vector<std::string>>
writeObjects(const TemporaryFolder &folder,
             const std::vector<TierObject> &tiers) {
  std::vector<std::string> paths;
  llvm::StringSet<> written;
  for (const TierObject &tier : tiers)
    for (const KernelObject &object : tier.objects) {
      if (!written.insert(object.entry).second)
        continue;
      Expected<std::string> path =
          folder.write(std::to_string(paths.size()) + ".o", object.bytes);
      if (!path)
        return path.takeError();
      paths.push_back(*path);
    }
  // An archive: what no kernel calls stays out.
  for (const TierObject &tier : tiers) {
    llvm::StringRef library = libraryOf(tier.tier);
    if (library.empty())
      continue;
    Expected<std::string> path = folder.write(
        "lib" + getTierName(tier.tier).str() + ".a", library.str());
    if (!path)
      return path.takeError();
    paths.push_back(*path);
  }
  return paths;
}

Expected<std::string> linkSharedObject(const std::vector<TierObject> &tiers,
                                       const std::vector<std::string> &kernels,
                                       const ModuleParts &parts) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  Expected<std::vector<std::string>> objects = writeObjects(*folder, tiers);
  if (!objects)
    return objects.takeError();
  if (Error error = assemble(
          *folder, tableAssembly(QUERN_TABLE_SYMBOL, tiers, kernels, &parts),
          "table.o"))
    return error;
  Expected<std::string> lld = findProgram({"ld.lld-22", "ld.lld"});
  if (!lld)
    return lld.takeError();
  Expected<std::string> version =
      folder->write("exports", std::string("{ global: ") + QUERN_TABLE_SYMBOL +
                                   "; local: *; };\n");
  if (!version)
    return version.takeError();
  std::string out = folder->file("module.so");
  // LLVM makes calls of memset and memcpy from loops; every process that loads
  // a module has a libc.
  std::vector<std::string> arguments = {"-shared",
                                        "-Bsymbolic",
                                        "-z",
                                        "undefs",
                                        "--version-script",
                                        *version,
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "--strip-debug",
                                        "--build-id=none",
                                        "-o",
                                        out};
  arguments.insert(arguments.end(), objects->begin(), objects->end());
  arguments.push_back(folder->file("table.o"));
  if (Error error = runProgram(*lld, arguments, *folder))
    return error;
  return readFile(out);
}

/// Writes the weights as they lie in a module file.
static Error writeWeights(const std::string &path, const ModuleParts &parts) {
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  std::string zeros(QUERN_DATA_ALIGN + QUERN_SLACK_BYTES, '\0');
  auto fillTo = [&](uint64_t offset) {
    assert(offset - file->position() <= zeros.size() && "pieces are dense");
    return file->write(zeros.data(), offset - file->position());
  };
  for (const DataPiece &piece : parts.data) {
    if (Error error = fillTo(piece.offset))
      return error;
    if (Error error = file->write(piece.bytes))
      return error;
  }
  if (Error error = fillTo(parts.weightBytes))
    return error;
  return file->commit();
}

/// Objects of everything of a module, with its image under `symbol`.
static Expected<std::vector<std::string>>
imageObjects(const TemporaryFolder &folder, const std::string &symbol,
             const std::vector<TierObject> &tiers,
             const std::vector<std::string> &kernels,
             const ModuleParts &parts) {
  Expected<std::vector<std::string>> objects = writeObjects(folder, tiers);
  if (!objects)
    return objects.takeError();
  Expected<std::string> manifest = folder.write("manifest", parts.manifest);
  if (!manifest)
    return manifest.takeError();
  Expected<std::string> tokenizer = folder.write("tokenizer", parts.tokenizer);
  if (!tokenizer)
    return tokenizer.takeError();
  std::string weights = folder.file("weights");
  if (Error error = writeWeights(weights, parts))
    return error;
  std::string text = includeAssembly("manifest", *manifest, 16) +
                     includeAssembly("tokenizer", *tokenizer, 64) +
                     includeAssembly("weights", weights, 4096) +
                     imageAssembly(symbol, "quern_table_") +
                     tableAssembly("quern_table_", tiers, kernels, nullptr);
  if (Error error = assemble(folder, text, "image.o"))
    return error;
  objects->push_back(folder.file("image.o"));
  return objects;
}

std::string headerPathOf(const std::string &objectPath) {
  llvm::SmallString<128> path(objectPath);
  llvm::sys::path::replace_extension(path, "h");
  return std::string(path);
}

Error linkObject(const std::string &path, const std::string &name,
                 const std::vector<TierObject> &tiers,
                 const std::vector<std::string> &kernels,
                 const ModuleParts &parts) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  Expected<std::vector<std::string>> objects =
      imageObjects(*folder, name, tiers, kernels, parts);
  if (!objects)
    return objects.takeError();
  Expected<std::string> lld = findProgram({"ld.lld-22", "ld.lld"});
  if (!lld)
    return lld.takeError();
  Expected<std::string> objcopy =
      findProgram({"llvm-objcopy-22", "llvm-objcopy"});
  if (!objcopy)
    return objcopy.takeError();
  std::string whole = folder->file("whole.o"), final = folder->file("final.o");
  std::vector<std::string> arguments = {"-r", "-o", whole};
  arguments.insert(arguments.end(), objects->begin(), objects->end());
  if (Error error = runProgram(*lld, arguments, *folder))
    return error;
  // Kernels of two modules may have the same names: only the image stays
  // visible.
  if (Error error = runProgram(
          *objcopy, {"--keep-global-symbol=" + name, whole, final}, *folder))
    return error;

  std::string file = llvm::sys::path::filename(path).str(), guard;
  for (char c : name)
    guard += char(std::toupper(static_cast<unsigned char>(c)));
  std::string header =
      "/* A compiled model; link " + file +
      " and libquern.a -lm. In ten lines:\n"
      " *\n"
      " *   quern_module *module;\n"
      " *   quern_session *session;\n"
      " *   quern_output output;\n"
      " *   quern_text text = {\"a fine day\", 10, NULL, 0};\n"
      " *   quern_error error;\n"
      " *   if (quern_module_open_linked(&" +
      name +
      ", &module, &error))\n"
      " *     return fprintf(stderr, \"%s\\n\", error.message), 1;\n"
      " *   quern_session_create(module, 0, &session, &error);\n"
      " *   quern_run_texts(session, &text, 1, 0, &output, &error);\n"
      " */\n"
      "#ifndef QUERN_MODULE_" +
      guard + "_H\n#define QUERN_MODULE_" + guard +
      "_H\n\n#include <quern/quern.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n"
      "#endif\nextern const quern_linked_image " +
      name + ";\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  std::string headerPath = headerPathOf(path);
  Expected<OutputFile> headerFile = OutputFile::create(headerPath);
  if (!headerFile)
    return headerFile.takeError();
  Expected<OutputFile> objectFile = OutputFile::create(path);
  if (!objectFile)
    return objectFile.takeError();
  Expected<std::shared_ptr<const MappedFile>> bytes = MappedFile::open(final);
  if (!bytes)
    return bytes.takeError();
  if (Error error = objectFile->write((*bytes)->data(), (*bytes)->size()))
    return error;
  if (Error error = headerFile->write(header))
    return error;
  if (Error error = headerFile->commit())
    return error;
  Error error = objectFile->commit();
  if (error)
    llvm::sys::fs::remove(headerPath);
  return error;
}

/// The runtime's libraries: beside an installed quern, or where it was built.
static Expected<std::vector<std::string>> runtimeLibraries() {
  std::vector<std::string> paths;
  std::string all = QUERN_RUNTIME_LIBRARIES;
  for (size_t from = 0; from < all.size();) {
    size_t to = std::min(all.find('|', from), all.size());
    std::string path = all.substr(from, to - from);
    if (!fileExists(path)) {
      std::string self = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
      std::string beside =
          joinPath(llvm::sys::path::parent_path(self).str() + "/../lib",
                   llvm::sys::path::filename(path).str());
      if (!fileExists(beside))
        return Error::make(path,
                           ": not found, expected the runtime library "
                           "there or in ",
                           beside);
      path = beside;
    }
    paths.push_back(path);
    from = to + 1;
  }
  return paths;
}

Error linkExecutable(const std::string &path,
                     const std::vector<TierObject> &tiers,
                     const std::vector<std::string> &kernels,
                     const ModuleParts &parts) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  Expected<std::vector<std::string>> objects =
      imageObjects(*folder, "quern_program_image", tiers, kernels, parts);
  if (!objects)
    return objects.takeError();
  Expected<std::string> clang = findProgram({"clang-22", "clang"});
  if (!clang)
    return clang.takeError();
  Expected<std::vector<std::string>> libraries = runtimeLibraries();
  if (!libraries)
    return libraries.takeError();
  std::string out = folder->file("program");
  // The runtime is C++ inside but needs no C++ library.
  std::vector<std::string> arguments = {"-fuse-ld=lld",
                                        "-static-libgcc",
                                        "-Wl,--gc-sections",
                                        "-Wl,--as-needed",
                                        "-Wl,-s",
                                        "-o",
                                        out};
  arguments.insert(arguments.end(), objects->begin(), objects->end());
  arguments.insert(arguments.end(), libraries->begin(), libraries->end());
  arguments.insert(arguments.end(), {"-lm", "-lpthread", "-ldl"});
  if (Error error = runProgram(*clang, arguments, *folder))
    return error;
  Expected<std::shared_ptr<const MappedFile>> bytes = MappedFile::open(out);
  if (!bytes)
    return bytes.takeError();
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (Error error = file->write((*bytes)->data(), (*bytes)->size()))
    return error;
  if (Error error = file->makeExecutable())
    return error;
  return file->commit();
}

} // namespace quern
