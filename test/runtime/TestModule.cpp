//===- TestModule.cpp - a module made by hand -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// See TestModule.h. Also an example of how a manifest is built.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModule.h"

#include "runtime/tokenizer/BlobWriter.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <unistd.h>

using namespace quern;
using namespace quern::manifest;

extern "C" const quern_kernel_table quern_test_linked_table;

namespace quern::test {

namespace {

constexpr int vocabulary = 40, width = 24, stride = 64, columns = 3;

int tableValue(int id, int j) { return (id * 7 + j * 3) % 11; }
int weightValue(int c, int j) { return (c * 5 + j) % 7 - 3; }

std::unique_ptr<BufferT> buffer(const char *name, Unit unit, Role role,
                                Element element, uint32_t bytesPerUnit,
                                uint32_t columns) {
  auto made = std::make_unique<BufferT>();
  made->name = name;
  made->unit = unit;
  made->role = role;
  made->element = element;
  made->bytes_per_unit = bytesPerUnit;
  made->columns = columns;
  return made;
}

std::unique_ptr<DataT> constant(const char *name, uint64_t offset,
                                uint64_t bytes, Element element) {
  auto made = std::make_unique<DataT>();
  made->name = name;
  made->offset = offset;
  made->bytes = bytes;
  made->bits = 8;
  made->element = element;
  return made;
}

std::unique_ptr<KernelT> kernel(const char *name) {
  auto made = std::make_unique<KernelT>();
  made->name = name;
  for (auto [tier, family] : {std::pair(QUERN_TIER_SSE2, "sse2"),
                              std::pair(QUERN_TIER_AVX512VNNI, "zmm")}) {
    auto row = std::make_unique<KernelTierT>();
    row->tier = uint16_t(tier);
    row->family = family;
    made->tiers.push_back(std::move(row));
  }
  return made;
}

std::unique_ptr<StepT> step(uint32_t kernel, const char *name,
                            std::vector<Operand> operands, ChunkBase base,
                            uint32_t divide, uint32_t multiply) {
  auto made = std::make_unique<StepT>();
  made->kernel = kernel;
  made->name = name;
  made->op = "test";
  made->operands = std::move(operands);
  made->base = base;
  made->divide = divide;
  made->multiply = multiply;
  return made;
}

std::unique_ptr<SiteT> site(const char *name, int buffer, int step,
                            uint32_t column, uint32_t columns,
                            Element element) {
  auto made = std::make_unique<SiteT>();
  made->name = name;
  made->key = "x";
  made->layer = 0;
  made->bits = 8;
  made->scheme = "u8 per tensor";
  made->scale = {0.5f};
  made->zero = {3.0f};
  made->buffer = buffer;
  made->step = step;
  made->column = column;
  made->columns = columns;
  made->element = element;
  return made;
}

std::string makeTokenizer() {
  TokenizerSpec spec;
  const char *words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
  uint32_t id = 0;
  for (const char *word : words)
    spec.vocabulary.emplace_back(word, id++);
  for (char letter = 'a'; letter <= 'z'; ++letter)
    spec.vocabulary.emplace_back(std::string(1, letter), id++);
  spec.unknownId = 1;
  spec.classifyId = 2;
  spec.separateId = 3;
  std::vector<std::byte> blob;
  EXPECT_EQ(writeTokenizerBlob(spec, blob), "");
  return std::string(reinterpret_cast<const char *>(blob.data()), blob.size());
}

} // namespace

TestModule::TestModule() {
  code = readFile(QUERN_TEST_KERNELS);
  tokenizer = makeTokenizer();
  weights.assign(size_t(vocabulary + columns) * stride, '\0');
  for (int id = 0; id < vocabulary; ++id)
    for (int j = 0; j < width; ++j)
      weights[size_t(id * stride + j)] = char(tableValue(id, j));
  for (int c = 0; c < columns; ++c)
    for (int j = 0; j < width; ++j)
      weights[size_t((vocabulary + c) * stride + j)] = char(weightValue(c, j));

  manifest.abi_version = QUERN_ABI_VERSION;
  manifest.model = std::make_unique<ModelT>();
  ModelT &model = *manifest.model;
  model.family = "bert";
  model.name = "tiny";
  model.head = Head::Classification;
  model.labels = {"low", "middle", "high"};
  model.problem = "single_label";
  model.hidden = width;
  model.layers = 1;
  model.heads = 1;
  model.vocab = vocabulary;
  model.max_length = 32;
  model.pooling = Pooling::Mean;
  model.columns = columns;
  model.rows = Unit::Sequences;

  auto &buffers = manifest.buffers;
  buffers.push_back(buffer("ids", Unit::Tokens, Role::Ids, Element::I32, 4, 1));
  buffers.push_back(
      buffer("types", Unit::Tokens, Role::Types, Element::I32, 4, 1));
  buffers.push_back(
      buffer("positions", Unit::Tokens, Role::Positions, Element::I32, 4, 1));
  buffers.push_back(
      buffer("offsets", Unit::Offsets, Role::Offsets, Element::I32, 4, 1));
  // x needs 64 bytes a token and its slack; y follows it.
  buffers.push_back(
      buffer("x", Unit::Tokens, Role::Arena, Element::U8, stride, width));
  buffers.back()->arena = std::make_unique<Extent>(0, 0, 0);
  buffers.push_back(
      buffer("y", Unit::Tokens, Role::Arena, Element::U16, 2 * stride, width));
  buffers.back()->arena =
      std::make_unique<Extent>(stride, 0, (QUERN_SLACK_ROWS + 1) * stride);
  buffers.push_back(
      buffer("factors", Unit::Pairs, Role::Tap, Element::U8, 1, 1));
  buffers.push_back(
      buffer("out", Unit::Sequences, Role::Output, Element::F32, 64, columns));
  manifest.arena = std::make_unique<Extent>(
      3 * stride, 0, (3 * QUERN_SLACK_ROWS + 2) * stride);
  manifest.scratch_bytes = width * 4;

  manifest.data.push_back(
      constant("table", 0, vocabulary * stride, Element::U8));
  manifest.data.push_back(
      constant("weights", vocabulary * stride, columns * stride, Element::I8));

  for (const char *name : {"embed", "mix", "head"})
    manifest.kernels.push_back(kernel(name));
  auto in = [](uint32_t index) { return Operand(OperandKind::Buffer, index); };
  auto data = [](uint32_t index) { return Operand(OperandKind::Data, index); };
  auto tap = [](uint32_t index) { return Operand(OperandKind::Tap, index); };
  manifest.steps.push_back(step(0, "embed",
                                {in(0), in(1), in(2), data(0), in(4)},
                                ChunkBase::Tokens, 4, 1));
  manifest.steps.push_back(step(1, "mix", {in(3), in(4), in(5), tap(6)},
                                ChunkBase::Sequences, 1, 2));
  manifest.steps.push_back(step(2, "head", {in(3), in(5), data(1), in(7)},
                                ChunkBase::Sequences, 1, 1));
  manifest.steps[1]->macs_per_pair = width;
  manifest.steps[2]->macs_per_token = width * columns;
  manifest.steps[2]->gemm_n = columns;
  manifest.steps[2]->gemm_k = width;

  manifest.sites.push_back(site("E.z", 4, 0, 0, width, Element::U8));
  manifest.sites.push_back(site("L0.k", 4, 0, 8, 8, Element::U8));
  manifest.sites.push_back(site("L0.p", 6, 1, 0, 1, Element::U8));
  manifest.sites.push_back(site("L0.h", -1, -1, 0, 8, Element::U8));
  manifest.steps[0]->sites = {0, 1};
  manifest.steps[1]->sites = {2};
  manifest.tiers = {QUERN_TIER_SSE2, QUERN_TIER_AVX512VNNI};
  manifest.recipe_name = "test";
  manifest.recipe_json = "{}";
}

void TestModule::pack() {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Manifest::Pack(builder, &manifest), ManifestIdentifier());
  manifestBytes.assign(
      reinterpret_cast<const char *>(builder.GetBufferPointer()),
      builder.GetSize());
  size_t room = (weights.size() + 63) / 64 * 64;
  alignedWeights.reset(static_cast<char *>(aligned_alloc(64, room)));
  memcpy(alignedWeights.get(), weights.data(), weights.size());
}

std::string TestModule::file() const {
  std::string bytes;
  quern_trailer trailer = {};
  memcpy(trailer.magic, QUERN_FILE_MAGIC, sizeof(trailer.magic));
  trailer.version = QUERN_FILE_VERSION;
  trailer.section_count = QUERN_SECTION_COUNT;
  auto pad = [&](size_t align) {
    bytes.resize((bytes.size() + align - 1) / align * align);
  };
  auto add = [&](quern_section_id id, size_t align, const std::string &part) {
    pad(align);
    trailer.sections[id] = {bytes.size(), part.size(),
                            XXH64(part.data(), part.size(), 0)};
    bytes += part;
  };
  add(QUERN_SECTION_CODE, 1, code);
  add(QUERN_SECTION_MANIFEST, QUERN_MANIFEST_ALIGN, manifestBytes);
  add(QUERN_SECTION_TOKENIZER, QUERN_TOKENIZER_ALIGN, tokenizer);
  add(QUERN_SECTION_WEIGHTS, QUERN_WEIGHTS_ALIGN, weights);
  pad(QUERN_TRAILER_ALIGN);
  trailer.file_bytes = bytes.size() + sizeof(trailer);
  bytes.append(reinterpret_cast<const char *>(&trailer), sizeof(trailer));
  sealTrailer(bytes);
  return bytes;
}

quern_linked_image TestModule::image() const {
  quern_linked_image image = {};
  image.abi_version = QUERN_ABI_VERSION;
  image.table = &quern_test_linked_table;
  image.manifest = manifestBytes.data();
  image.manifest_bytes = manifestBytes.size();
  image.tokenizer = tokenizer.data();
  image.tokenizer_bytes = tokenizer.size();
  image.weights = alignedWeights.get();
  image.weights_bytes = weights.size();
  return image;
}

std::vector<float> TestModule::expected(const std::vector<int> &ids,
                                        const std::vector<int> &types) const {
  std::vector<float> out(columns);
  for (int c = 0; c < columns; ++c) {
    int64_t sum = 0;
    for (size_t t = 0; t < ids.size(); ++t)
      for (int j = 0; j < width; ++j) {
        int mixed = 0;
        for (size_t u = 0; u < ids.size(); ++u)
          mixed += (tableValue(ids[u], j) + int(u & 7) +
                    (types.empty() ? 0 : types[u])) *
                   int(1 + (t + u) % 3);
        sum += (mixed & 0xffff) * weightValue(c, j);
      }
    out[size_t(c)] = float(sum);
  }
  return out;
}

void takeImages(ManifestT &manifest, uint32_t size, uint32_t patch) {
  ModelT &model = *manifest.model;
  model.vocab = 0;
  model.max_length = 1 + (size / patch) * (size / patch);
  model.image = std::make_unique<ImageT>();
  model.image->size = size;
  model.image->patch = patch;
  model.image->channels = 1;
  model.image->rescale = 0.5;
  model.image->mean = {1};
  model.image->deviation = {4};
  BufferT &patches = *manifest.buffers[0];
  patches.role = Role::Patches;
  patches.element = Element::F32;
  patches.bytes_per_unit = 4 * patch * patch;
  patches.columns = patch * patch;
  // No types: zeros that nobody writes.
  BufferT &types = *manifest.buffers[1];
  types.role = Role::Arena;
  types.bytes_per_unit = 64;
  types.arena = std::make_unique<Extent>(*manifest.arena);
  *manifest.arena =
      Extent(types.arena->per_token() + 64, 0,
             types.arena->constant() + 64 * (QUERN_SLACK_ROWS + 1));
}

void sealTrailer(std::string &file) {
  char *trailer = file.data() + file.size() - sizeof(quern_trailer);
  uint64_t hash = XXH64(trailer, offsetof(quern_trailer, xxh64), 0);
  memcpy(trailer + offsetof(quern_trailer, xxh64), &hash, sizeof(hash));
}

std::string readFile(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream.good()) << path;
  std::stringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

TemporaryFile::TemporaryFile(const std::string &contents) {
  name = testing::TempDir() + "quern-module-XXXXXX";
  int fd = mkstemp(name.data());
  EXPECT_GE(fd, 0);
  close(fd);
  std::ofstream(name, std::ios::binary) << contents;
}

TemporaryFile::~TemporaryFile() { unlink(name.c_str()); }

std::string outputOf(const std::string &command) {
  std::string output;
  FILE *pipe = popen(command.c_str(), "r");
  if (!pipe) {
    ADD_FAILURE() << command;
    return output;
  }
  char part[4096];
  while (size_t count = fread(part, 1, sizeof(part), pipe))
    output.append(part, count);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

} // namespace quern::test
