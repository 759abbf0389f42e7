//===- ModuleFileTest.cpp - damaged and lying module files ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Each case ends in an error that names the file, what was found and what was
// expected; none reaches the dynamic loader.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/ManifestCheck.h"
#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

using namespace quern;
using namespace quern::test;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

/// Opens `bytes` as a file, with and without loading. Both must agree.
quern_status openBytes(const std::string &bytes, std::string &message) {
  TemporaryFile file(bytes);
  quern_error error = {};
  quern_module *module = nullptr;
  quern_status status = quern_module_open(file.path(), &module, &error);
  EXPECT_EQ(module == nullptr, status != QUERN_OK);
  quern_module_close(module);

  quern_inspection *inspection = nullptr;
  quern_error inspectError = {};
  EXPECT_EQ(quern_inspect_open(file.path(), &inspection, &inspectError),
            status);
  EXPECT_STREQ(error.message, inspectError.message);
  quern_inspect_close(inspection);
  if (status) {
    EXPECT_EQ(error.status, status);
    EXPECT_THAT(error.message, StartsWith(file.path()));
  }
  message = error.message;
  return status;
}

void expectError(const std::string &bytes, quern_status expected,
                 const std::string &text) {
  std::string message;
  EXPECT_EQ(openBytes(bytes, message), expected) << message;
  EXPECT_THAT(message, HasSubstr(text));
}

quern_trailer trailerOf(const std::string &file) {
  quern_trailer trailer;
  memcpy(&trailer, file.data() + file.size() - sizeof(trailer),
         sizeof(trailer));
  return trailer;
}

std::string withTrailer(std::string file, const quern_trailer &trailer) {
  memcpy(file.data() + file.size() - sizeof(trailer), &trailer,
         sizeof(trailer));
  sealTrailer(file);
  return file;
}

class ModuleFileTest : public testing::Test {
protected:
  void SetUp() override {
    module.pack();
    file = module.file();
  }
  /// The module with its manifest altered.
  std::string altered(void (*change)(manifest::ManifestT &)) {
    TestModule other;
    change(other.manifest);
    other.pack();
    return other.file();
  }

  TestModule module;
  std::string file;
};

TEST_F(ModuleFileTest, OpensAGoodFile) {
  std::string message;
  EXPECT_EQ(openBytes(file, message), QUERN_OK) << message;
}

TEST_F(ModuleFileTest, MissingFileAndDirectory) {
  quern_error error;
  quern_module *opened;
  EXPECT_EQ(quern_module_open("/no/such/file.qbm", &opened, &error),
            QUERN_ERROR_FILE);
  EXPECT_THAT(error.message, HasSubstr("/no/such/file.qbm: cannot open"));
  EXPECT_EQ(opened, nullptr);
  EXPECT_EQ(quern_module_open("/", &opened, &error), QUERN_ERROR_FILE);
  EXPECT_THAT(error.message, HasSubstr("found a directory"));
  EXPECT_EQ(quern_module_open("/dev/zero", &opened, nullptr), QUERN_ERROR_FILE);
}

TEST_F(ModuleFileTest, EmptyAndForeignFiles) {
  expectError("", QUERN_ERROR_FORMAT, "found 0 bytes");
  expectError("hello", QUERN_ERROR_FORMAT, "found 5 bytes");
  expectError(std::string(100000, 'x'), QUERN_ERROR_FORMAT, "QUERNQBM");
  expectError(module.code, QUERN_ERROR_FORMAT, "QUERNQBM");
}

TEST_F(ModuleFileTest, TruncatedAnywhere) {
  quern_trailer trailer = trailerOf(file);
  std::vector<size_t> sizes = {
      1, 64, 127, 128, file.size() - 1, file.size() - 64, file.size() - 128};
  for (const quern_section &section : trailer.sections)
    for (uint64_t at : {section.offset, section.offset + section.bytes / 2,
                        section.offset + section.bytes})
      sizes.push_back(at);
  std::string message;
  for (size_t size : sizes)
    EXPECT_NE(openBytes(file.substr(0, size), message), QUERN_OK) << size;
}

TEST_F(ModuleFileTest, LongerThanItSays) {
  expectError(file + std::string(64, '\0'), QUERN_ERROR_FORMAT, "QUERNQBM");
  std::string tail = file.substr(file.size() - sizeof(quern_trailer));
  expectError(file + tail, QUERN_ERROR_FORMAT, "size of the file");
}

TEST_F(ModuleFileTest, AnyFlippedByteIsFound) {
  quern_trailer trailer = trailerOf(file);
  const char *names[] = {"code", "manifest", "tokenizer", "weights"};
  for (uint32_t i = 0; i < QUERN_SECTION_COUNT; ++i) {
    const quern_section &section = trailer.sections[i];
    for (uint64_t at : {uint64_t(0), section.bytes / 2, section.bytes - 1}) {
      std::string damaged = file;
      damaged[section.offset + at] ^= 0x10;
      expectError(damaged, QUERN_ERROR_FORMAT,
                  std::string(names[i]) + " section is damaged");
    }
  }
  // Padding, and every byte of the trailer.
  std::string damaged = file;
  damaged[trailer.sections[QUERN_SECTION_WEIGHTS].offset - 1] = 1;
  expectError(damaged, QUERN_ERROR_FORMAT,
              "padding before the weights section");
  std::string message;
  for (size_t i = file.size() - sizeof(quern_trailer); i < file.size(); ++i) {
    damaged = file;
    damaged[i] ^= 0x01;
    EXPECT_NE(openBytes(damaged, message), QUERN_OK) << i;
  }
}

TEST_F(ModuleFileTest, WrongMagicAndVersions) {
  quern_trailer trailer = trailerOf(file);
  trailer.magic[0] = 'q';
  expectError(withTrailer(file, trailer), QUERN_ERROR_FORMAT, "QUERNQBM");
  trailer = trailerOf(file);
  trailer.version = 99;
  expectError(withTrailer(file, trailer), QUERN_ERROR_VERSION,
              "found 99, expected 2");
  trailer = trailerOf(file);
  trailer.section_count = 3;
  expectError(withTrailer(file, trailer), QUERN_ERROR_FORMAT,
              "sections: found 3, expected 4");
  expectError(altered([](auto &m) { m.abi_version = 7; }), QUERN_ERROR_VERSION,
              "ABI version: found 7, expected 4");
}

TEST_F(ModuleFileTest, LyingSections) {
  for (uint32_t i = 0; i < QUERN_SECTION_COUNT; ++i)
    for (uint64_t value : {uint64_t(0), uint64_t(1) << 63, UINT64_MAX,
                           UINT64_MAX - 4095, uint64_t(file.size())}) {
      std::string message;
      quern_trailer trailer = trailerOf(file);
      if (trailer.sections[i].offset != value) {
        trailer.sections[i].offset = value;
        EXPECT_NE(openBytes(withTrailer(file, trailer), message), QUERN_OK);
      }
      trailer = trailerOf(file);
      trailer.sections[i].bytes = value;
      EXPECT_NE(openBytes(withTrailer(file, trailer), message), QUERN_OK);
    }
  quern_trailer trailer = trailerOf(file);
  trailer.file_bytes += 64;
  expectError(withTrailer(file, trailer), QUERN_ERROR_FORMAT,
              "size of the file");
}

TEST_F(ModuleFileTest, ManifestThatIsNoFlatBuffer) {
  module.manifestBytes = std::string(4096, '\xff');
  expectError(module.file(), QUERN_ERROR_FORMAT, "no FlatBuffer");
  module.manifestBytes = "";
  expectError(module.file(), QUERN_ERROR_FORMAT, "manifest section is empty");
}

/// Checksums are no defence: any bytes must be refused or be harmless.
TEST_F(ModuleFileTest, AlteredManifestNeverCrashes) {
  size_t size = module.manifestBytes.size();
  std::unique_ptr<char, void (*)(void *)> bytes(
      static_cast<char *>(aligned_alloc(64, (size + 63) / 64 * 64)), free);
  int accepted = 0, refused = 0;
  auto check = [&](size_t length) {
    const manifest::Manifest *read = nullptr;
    quern_error error;
    quern_status status = readManifest("altered", bytes.get(), length,
                                       module.weights.size(), &read, &error);
    EXPECT_EQ(status == QUERN_OK, read != nullptr);
    ++(status == QUERN_OK ? accepted : refused);
  };
  auto restore = [&] {
    memcpy(bytes.get(), module.manifestBytes.data(), size);
  };
  for (size_t at = 0; at < size; ++at)
    for (char flip : {'\x01', '\x40', '\x80', '\xff'}) {
      restore();
      bytes.get()[at] ^= flip;
      check(size);
    }
  for (size_t length = 0; length < size; ++length) {
    restore();
    check(length);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    restore();
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      uint32_t word = random() % 3 ? random() % 256 : random();
      memcpy(bytes.get() + random() % (size / 4) * 4, &word, 4);
    }
    check(size);
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(ModuleFileTest, LyingManifest) {
  struct {
    void (*change)(manifest::ManifestT &);
    const char *text;
  } cases[] = {
      {[](auto &m) { m.model->max_length = 0; }, "max_length: found 0"},
      {[](auto &m) { m.model->vocab = 0; }, "vocab: found 0"},
      {[](auto &m) { m.model->columns = 4; }, "columns of the output"},
      {[](auto &m) { m.model->head = manifest::Head(9); }, "head: found 9"},
      {[](auto &m) { m.model->rows = manifest::Unit::Pairs; }, "rows"},
      {[](auto &m) { m.scratch_bytes = UINT64_MAX; }, "scratch"},
      {[](auto &m) { *m.arena = manifest::Extent(UINT64_MAX, 0, 0); },
       "arena: bytes per token"},
      {[](auto &m) {
         *m.buffers[5]->arena =
             manifest::Extent(128, 0, (QUERN_SLACK_ROWS + 1) * 64);
       },
       "buffer y: end per token: found 256, expected at most 192"},
      {[](auto &m) {
         *m.buffers[5]->arena = manifest::Extent(64, 0, UINT64_MAX - 63);
       },
       "buffer y: end of the constant part"},
      {[](auto &m) {
         *m.buffers[5]->arena =
             manifest::Extent(60, 0, (QUERN_SLACK_ROWS + 1) * 64);
       },
       "a multiple of 64"},
      {[](auto &m) { m.buffers[4]->columns = 65; }, "buffer x"},
      {[](auto &m) { m.buffers[4]->bytes_per_unit = 1u << 31; }, "buffer x"},
      {[](auto &m) { m.buffers[4]->element = manifest::Element(77); },
       "element: found 77"},
      {[](auto &m) { m.buffers[4]->arena.reset(); }, "places in the arena"},
      {[](auto &m) { m.buffers[7]->role = manifest::Role::Tap; },
       "outputs: found 0, expected 1"},
      {[](auto &m) { m.buffers[1]->role = manifest::Role::Ids; }, "Ids"},
      {[](auto &m) { m.data[1]->offset = 1u << 30; },
       "constant weights: offset"},
      {[](auto &m) { m.data[1]->offset = 65; }, "a multiple of 64"},
      {[](auto &m) { m.data[1]->bytes = UINT64_MAX; },
       "constant weights: bytes"},
      {[](auto &m) { m.steps[2]->kernel = 3; },
       "step head: kernel: found 3, expected below 3"},
      {[](auto &m) { m.steps[2]->divide = 0; }, "chunk divisor"},
      {[](auto &m) { m.steps[2]->multiply = UINT32_MAX; }, "chunk factor"},
      {[](auto &m) {
         m.steps[2]->operands[0] =
             manifest::Operand(manifest::OperandKind::Buffer, 8);
       },
       "step head: buffer: found 8, expected below 8"},
      {[](auto &m) {
         m.steps[2]->operands[0] =
             manifest::Operand(manifest::OperandKind::Buffer, 6);
       },
       "buffer factors of role Tap as a Buffer operand"},
      {[](auto &m) {
         std::swap(m.steps[1]->operands[0], m.steps[1]->operands[3]);
       },
       "expected taps last"},
      {[](auto &m) { m.steps[0]->sites = {4}; }, "site: found 4"},
      {[](auto &m) {
         m.sites[0]->scale = {0.5f};
         m.sites[0]->zero.clear();
       },
       "site E.z: zero points: found 0, expected as many as scales, 1"},
      {[](auto &m) { m.sites[0]->buffer = 8; }, "site E.z: buffer: found 8"},
      {[](auto &m) { m.sites[0]->step = 3; }, "site E.z: step: found 3"},
      {[](auto &m) { m.sites[1]->column = 60; }, "site L0.k"},
      {[](auto &m) { m.sites[1]->columns = UINT32_MAX; }, "site L0.k"},
      {[](auto &m) { m.sites[0]->element = manifest::Element::F32; },
       "site E.z: element"},
      {[](auto &m) { m.sites[0]->range = 20; },
       "site E.z: bytes of the row to its range: found 20"},
      {[](auto &m) { m.sites[0]->range = 26; },
       "site E.z: bytes of the row to its range: found 26"},
      {[](auto &m) { m.sites[0]->range = 60; },
       "site E.z: bytes of the row to its range: found 60"},
      {[](auto &m) { m.sites[0]->range = UINT32_MAX - 3; },
       "site E.z: bytes of the row to its range: found 4294967292"},
  };
  for (const auto &lie : cases)
    expectError(altered(lie.change), QUERN_ERROR_FORMAT, lie.text);
}

TEST_F(ModuleFileTest, CodeThatIsNotCode) {
  module.code = "no ELF file at all";
  TemporaryFile changed(module.file());
  quern_error error;
  quern_module *opened;
  EXPECT_EQ(quern_module_open(changed.path(), &opened, &error),
            QUERN_ERROR_FORMAT);
  EXPECT_THAT(error.message, HasSubstr("cannot load the code"));
  // Reading without executing does not care.
  quern_inspection *inspection;
  ASSERT_EQ(quern_inspect_open(changed.path(), &inspection, &error), QUERN_OK);
  quern_inspect_close(inspection);
}

TEST_F(ModuleFileTest, CodeWithAnotherTable) {
  quern_error error;
  quern_module *opened;
  module.code = readFile(QUERN_TEST_KERNELS_OTHER_ABI);
  EXPECT_EQ(
      quern_module_open(TemporaryFile(module.file()).path(), &opened, &error),
      QUERN_ERROR_VERSION);
  EXPECT_THAT(error.message, HasSubstr("kernel table: ABI version: found 9"));
  module.code = readFile(QUERN_TEST_KERNELS_NO_TABLE);
  EXPECT_EQ(
      quern_module_open(TemporaryFile(module.file()).path(), &opened, &error),
      QUERN_ERROR_FORMAT);
  EXPECT_THAT(error.message, HasSubstr("quern_module_table"));
}

TEST_F(ModuleFileTest, KernelsThatTheManifestDoesNotHave) {
  module.manifest.kernels.push_back(
      std::make_unique<manifest::KernelT>(*module.manifest.kernels[0]));
  module.pack();
  quern_error error;
  quern_module *opened;
  EXPECT_EQ(
      quern_module_open(TemporaryFile(module.file()).path(), &opened, &error),
      QUERN_ERROR_FORMAT);
  EXPECT_THAT(error.message,
              HasSubstr("kernels of tier sse2: found 3, expected 4"));
}

TEST_F(ModuleFileTest, DamagedTokenizer) {
  module.tokenizer[40] ^= 0x7f;
  module.tokenizer.resize(module.tokenizer.size() / 2);
  quern_error error;
  quern_module *opened;
  EXPECT_EQ(
      quern_module_open(TemporaryFile(module.file()).path(), &opened, &error),
      QUERN_ERROR_FORMAT);
  EXPECT_THAT(error.message, HasSubstr("tokenizer: "));
}

TEST_F(ModuleFileTest, InspectionGivesTheSections) {
  TemporaryFile good(file);
  quern_inspection *inspection;
  ASSERT_EQ(quern_inspect_open(good.path(), &inspection, nullptr), QUERN_OK);
  uint64_t bytes;
  auto *found = static_cast<const char *>(
      quern_inspect_section(inspection, QUERN_SECTION_MANIFEST, &bytes));
  EXPECT_EQ(std::string(found, bytes), module.manifestBytes);
  EXPECT_EQ(manifest::GetManifest(found)->model()->name()->str(), "tiny");
  found = static_cast<const char *>(
      quern_inspect_section(inspection, QUERN_SECTION_WEIGHTS, &bytes));
  EXPECT_EQ(std::string(found, bytes), module.weights);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(found) % QUERN_DATA_ALIGN, 0u);
  EXPECT_EQ(quern_inspect_trailer(inspection)->file_bytes, file.size());
  EXPECT_EQ(quern_inspect_section(inspection, 4, &bytes), nullptr);
  quern_inspect_close(inspection);
}

} // namespace
