//===- Module.cpp - open modules, from files and from programs ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A file is checked as a whole, manifest included, before the dynamic loader
// sees it: loading executes code.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Module.h"

#include <cinttypes>
#include <cstdio>
#include <dlfcn.h>

using namespace quern;
using manifest::Manifest;

namespace {

constexpr uint32_t maxTiers = 16;

/// Maps and checks a file, its manifest included, but for the weights' bytes.
quern_status openFile(const char *path, ModuleFile &file,
                      const Manifest **manifest, quern_error *error) {
  if (quern_status status = file.open(path, error))
    return status;
  return readManifest(path, file.section(QUERN_SECTION_MANIFEST),
                      file.sectionBytes(QUERN_SECTION_MANIFEST),
                      file.sectionBytes(QUERN_SECTION_WEIGHTS), manifest,
                      error);
}

quern_status outOfMemory(const char *path, quern_error *error) {
  return fail(error, QUERN_ERROR_MEMORY, "%s: out of memory", path);
}

quern_status finishFile(const char *path, quern_module &module,
                        quern_error *error) {
  ModuleFile &file = module.file;
  if (quern_status status = openFile(path, file, &module.manifest, error))
    return status;
  module.manifestData = file.section(QUERN_SECTION_MANIFEST);
  module.manifestBytes = file.sectionBytes(QUERN_SECTION_MANIFEST);
  module.weights = file.section(QUERN_SECTION_WEIGHTS);
  if (quern_status status = module.loadTokenizer(
          path, file.section(QUERN_SECTION_TOKENIZER),
          file.sectionBytes(QUERN_SECTION_TOKENIZER), error))
    return status;
  if (quern_status status = module.constants.open(path, *module.manifest,
                                                  module.weights, &file, error))
    return status;
  if (quern_status status = module.loadCode(path, error))
    return status;
  return module.checkTable(path, error);
}

quern_status finishLinked(const quern_linked_image &image, quern_module &module,
                          quern_error *error) {
  const char *path = "linked module";
  if (image.abi_version != QUERN_ABI_VERSION)
    return fail(error, QUERN_ERROR_VERSION,
                "%s: ABI version: found %u, expected %u", path,
                image.abi_version, QUERN_ABI_VERSION);
  if (reinterpret_cast<uintptr_t>(image.weights) % QUERN_DATA_ALIGN != 0)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: weights at %p, expected alignment to %u", path,
                image.weights, QUERN_DATA_ALIGN);
  if (quern_status status =
          readManifest(path, image.manifest, image.manifest_bytes,
                       image.weights_bytes, &module.manifest, error))
    return status;
  module.manifestData = image.manifest;
  module.manifestBytes = image.manifest_bytes;
  module.weights = static_cast<const char *>(image.weights);
  module.table = image.table;
  if (quern_status status = module.constants.open(
          path, *module.manifest, module.weights, nullptr, error))
    return status;
  if (quern_status status = module.loadTokenizer(path, image.tokenizer,
                                                 image.tokenizer_bytes, error))
    return status;
  return module.checkTable(path, error);
}

} // namespace

quern_module::~quern_module() {
  if (library)
    dlclose(library);
}

quern_status quern_module::loadCode(const char *path, quern_error *error) {
  // The file that was checked, whatever `path` names by now. The descriptor
  // stays open while the library is loaded, so the name cannot come to mean
  // another file to the loader.
  char name[64];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", file.descriptor());
  library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    return fail(error, QUERN_ERROR_FORMAT, "%s: cannot load the code: %s", path,
                why ? why : "unknown error");
  }
  table = static_cast<const quern_kernel_table *>(
      dlsym(library, QUERN_TABLE_SYMBOL));
  if (!table)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: code section: found no symbol %s", path,
                QUERN_TABLE_SYMBOL);
  return QUERN_OK;
}

quern_status quern_module::checkTable(const char *path,
                                      quern_error *error) const {
  if (!table || table->abi_version != QUERN_ABI_VERSION)
    return fail(error, QUERN_ERROR_VERSION,
                "%s: kernel table: ABI version: found %u, expected %u; compile "
                "the model again with this version of quern",
                path, table ? table->abi_version : 0, QUERN_ABI_VERSION);
  if (table->tier_count == 0 || table->tier_count > maxTiers)
    return fail(error, QUERN_ERROR_FORMAT,
                "%s: kernel table: tiers: found %u, expected 1 to %u", path,
                table->tier_count, maxTiers);
  if (quern_status status = checkMadeFor(path, error))
    return status;
  uint32_t kernels = manifest->kernels()->size();
  for (uint32_t i = 0; i < table->tier_count; ++i) {
    const quern_tier &tier = table->tiers[i];
    if (tier.kernel_count != kernels)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: kernel table: kernels of tier %s: found %u, expected "
                  "%u",
                  path, quern_tier_name(tier.id), tier.kernel_count, kernels);
    if (i > 0 && tier.id <= table->tiers[i - 1].id)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: kernel table: found tier %u after %u, expected "
                  "ascending tiers",
                  path, tier.id, table->tiers[i - 1].id);
  }
  return QUERN_OK;
}

quern_status quern_module::checkMadeFor(const char *path,
                                        quern_error *error) const {
  if (!library)
    return QUERN_OK;
  struct {
    const char *name;
    quern_section_id id;
    uint64_t expected;
  } sections[] = {{"manifest", QUERN_SECTION_MANIFEST, table->manifest_xxh64},
                  {"weights", QUERN_SECTION_WEIGHTS, table->weights_xxh64}};
  for (const auto &section : sections) {
    uint64_t found = file.trailer().sections[section.id].xxh64;
    if (section.expected && found != section.expected)
      return fail(error, QUERN_ERROR_FORMAT,
                  "%s: %s section: found checksum %016" PRIx64
                  ", but the code was made for %016" PRIx64
                  ": one of them is another module's, or was changed",
                  path, section.name, found, section.expected);
  }
  return QUERN_OK;
}

quern_status quern_module::loadTokenizer(const char *path, const void *blob,
                                         uint64_t bytes, quern_error *error) {
  if (bytes == 0)
    return QUERN_OK;
  if (const char *why = tokenizer.open(blob, bytes))
    return fail(error, QUERN_ERROR_FORMAT, "%s: tokenizer: %s", path, why);
  return QUERN_OK;
}

uint32_t quern_module::usableTiers(uint32_t cap) const {
  uint32_t usable = 0;
  for (uint32_t i = 0; i < table->tier_count; ++i)
    if (table->tiers[i].id <= cap &&
        quern_tier_usable(table->tiers[i].id, nullptr))
      usable |= 1u << i;
  return usable;
}

quern_kernel quern_module::kernel(uint32_t index, uint32_t usable,
                                  uint32_t &tier) const {
  for (uint32_t i = table->tier_count; i-- > 0;) {
    const quern_tier &row = table->tiers[i];
    if (!(usable >> i & 1) || !row.kernels[index])
      continue;
    tier = row.id;
    return row.kernels[index];
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// C API
//===----------------------------------------------------------------------===//

const char *quern_version(void) { return "0.1.0"; }

quern_status quern_module_open(const char *path, quern_module **module,
                               quern_error *error) {
  if (module)
    *module = nullptr;
  if (!path || !module)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_module_open: null");
  quern_module *opened = create<quern_module>();
  if (!opened)
    return outOfMemory(path, error);
  if (quern_status status = finishFile(path, *opened, error)) {
    destroy(opened);
    return status;
  }
  *module = opened;
  return QUERN_OK;
}

quern_status quern_module_open_linked(const quern_linked_image *image,
                                      quern_module **module,
                                      quern_error *error) {
  if (module)
    *module = nullptr;
  if (!image || !module)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_module_open_linked: null");
  quern_module *opened = create<quern_module>();
  if (!opened)
    return outOfMemory("linked module", error);
  if (quern_status status = finishLinked(*image, *opened, error)) {
    destroy(opened);
    return status;
  }
  *module = opened;
  return QUERN_OK;
}

void quern_module_close(quern_module *module) { destroy(module); }

void quern_module_describe(const quern_module *module,
                           quern_description *description) {
  if (!description)
    return;
  quern_description &out = *description;
  out = {};
  if (!module) {
    out.name = out.family = out.problem = out.recipe = out.pooling = "";
    return;
  }
  const Manifest &manifest = *module->manifest;
  const manifest::Model &model = *manifest.model();
  out.head = quern_head(model.head());
  out.name = textOf(model.name());
  out.family = textOf(model.family());
  out.problem = textOf(model.problem());
  out.recipe = textOf(manifest.recipe_name());
  out.pooling = model.pooling() == manifest::Pooling::Mean  ? "mean"
                : model.pooling() == manifest::Pooling::Cls ? "cls"
                                                            : "none";
  out.normalized = model.normalize();
  out.layers = model.layers();
  out.hidden = model.hidden();
  out.heads = model.heads();
  out.vocabulary = model.vocab();
  out.max_length = model.max_length();
  out.columns = model.columns();
  out.rows_are_tokens = model.rows() == manifest::Unit::Tokens;
  out.label_count = lengthOf(model.labels());
  out.has_tokenizer = module->tokenizer.size() != 0;
  if (const manifest::Image *image = model.image()) {
    out.image.channels = image->channels();
    out.image.height = out.image.width = image->size();
    out.image.rescale = image->rescale();
    if (lengthOf(image->mean())) {
      out.image.mean = image->mean()->data();
      out.image.deviation = image->deviation()->data();
    }
  }
}

const char *quern_module_label(const quern_module *module, uint32_t index) {
  if (!module)
    return nullptr;
  const auto *labels = module->manifest->model()->labels();
  return index < lengthOf(labels) ? labels->Get(index)->c_str() : nullptr;
}

const char *quern_module_token(const quern_module *module, int32_t id,
                               size_t *bytes) {
  std::string_view text;
  if (bytes)
    *bytes = 0;
  if (!module)
    return nullptr;
  const Tokenizer &tokenizer = module->tokenizer;
  if (id >= 0 && size_t(id) < tokenizer.size())
    text = tokenizer.token(size_t(id));
  if (bytes)
    *bytes = text.size();
  return text.empty() ? nullptr : text.data();
}

const void *quern_module_manifest(const quern_module *module, uint64_t *bytes) {
  if (bytes)
    *bytes = module ? module->manifestBytes : 0;
  return module ? module->manifestData : nullptr;
}

const void *quern_module_constant(const quern_module *module, uint32_t index) {
  if (!module || index >= module->manifest->data()->size())
    return nullptr;
  return module->constants[index];
}

void quern_module_weights(const quern_module *module,
                          quern_weights_info *info) {
  if (!info)
    return;
  *info = {};
  if (!module)
    return;
  const Constants &constants = module->constants;
  *info = {constants.readBytes(), constants.madeBytes(), constants.hugeBytes(),
           constants.whyMapped()};
}

quern_status quern_inspect_open(const char *path, quern_inspection **inspection,
                                quern_error *error) {
  if (inspection)
    *inspection = nullptr;
  if (!path || !inspection)
    return fail(error, QUERN_ERROR_ARGUMENT, "quern_inspect_open: null");
  quern_inspection *opened = create<quern_inspection>();
  if (!opened)
    return outOfMemory(path, error);
  const Manifest *manifest;
  quern_status status = openFile(path, opened->file, &manifest, error);
  if (!status)
    status = opened->file.checkWeights(path, false, error);
  if (status) {
    destroy(opened);
    return status;
  }
  *inspection = opened;
  return QUERN_OK;
}

void quern_inspect_close(quern_inspection *inspection) { destroy(inspection); }

const quern_trailer *quern_inspect_trailer(const quern_inspection *inspection) {
  return !inspection ? nullptr : &inspection->file.trailer();
}

const void *quern_inspect_section(const quern_inspection *inspection,
                                  uint32_t section, uint64_t *bytes) {
  if (bytes)
    *bytes = 0;
  if (!inspection || section >= QUERN_SECTION_COUNT)
    return nullptr;
  if (bytes)
    *bytes = inspection->file.sectionBytes(quern_section_id(section));
  return inspection->file.section(quern_section_id(section));
}
