//===- ForgedModuleTest.cpp - Modules whose manifest was changed ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Kernels have the sizes of their operands inside, so no manifest but the one
// they were compiled with may launch them, whether its checksum is right or
// not. The runtime's own use of a manifest is in
// test/runtime/ForgedManifestTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "test/e2e/TinyModule.h"
#include "test/support/ManifestFields.h"

#include "lib/Support/File.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace quern;
using namespace quern::test;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

class ForgedModule : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_TRUE(tiny.get());
    Expected<std::string> bytes = readFile(tiny.path());
    ASSERT_TRUE(bytes) << bytes.message();
    file = *bytes;
    memcpy(&trailer, file.data() + file.size() - sizeof(trailer),
           sizeof(trailer));
  }

  std::string section(quern_section_id id) const {
    return file.substr(trailer.sections[id].offset, trailer.sections[id].bytes);
  }

  /// Writes the module with other bytes in a section's place, of the same
  /// number, and with all checksums right.
  void writeForged(quern_section_id id, const std::string &bytes) {
    std::string forged = file;
    quern_trailer sealed = trailer;
    forged.replace(sealed.sections[id].offset, bytes.size(), bytes);
    sealed.sections[id].xxh64 = XXH64(bytes.data(), bytes.size(), 0);
    sealed.xxh64 = XXH64(&sealed, offsetof(quern_trailer, xxh64), 0);
    memcpy(forged.data() + forged.size() - sizeof(sealed), &sealed,
           sizeof(sealed));
    Error error = writeFile(forgedPath(), forged);
    ASSERT_FALSE(error) << error.message();
  }
  std::string forgedPath() const { return tiny.path() + ".forged"; }

  /// What opening the forged file says; "" where it is taken.
  std::string refusal() {
    quern_module *module = nullptr;
    quern_error error = {};
    quern_module_open(forgedPath().c_str(), &module, &error);
    quern_module_close(module);
    return error.message;
  }

  TinyModule tiny{TinyModelOptions(), "w8a8", {}, false, {"x86-sse2"}};
  std::string file;
  quern_trailer trailer = {};
};

TEST_F(ForgedModule, EveryNumberOfTheManifest) {
  std::string manifest = section(QUERN_SECTION_MANIFEST);
  writeForged(QUERN_SECTION_MANIFEST, manifest);
  EXPECT_EQ(refusal(), "");
  int bound = 0, checked = 0;
  std::map<std::string, int> kinds;
  for (const ManifestField &field : fieldsOf(manifest)) {
    // A few of each: layers repeat, and scales and recipe are long.
    if (++kinds[field.kind()] > 3)
      continue;
    for (uint64_t value : forgeriesOf(field, manifest)) {
      writeForged(QUERN_SECTION_MANIFEST, forge(manifest, field, value));
      std::string message = refusal();
      EXPECT_THAT(message, StartsWith(forgedPath() + ": manifest"))
          << field.name << " = " << value;
      bool isBound =
          message.find("but the code was made for") != std::string::npos;
      ++(isBound ? bound : checked);
    }
  }
  // Most are in nobody's way but the kernels'.
  EXPECT_GT(bound, 100);
  EXPECT_GT(checked, 100);
}

TEST_F(ForgedModule, OtherWeights) {
  std::string weights = section(QUERN_SECTION_WEIGHTS);
  weights[weights.size() / 2] ^= 1;
  writeForged(QUERN_SECTION_WEIGHTS, weights);
  EXPECT_THAT(refusal(), HasSubstr(": weights section: found checksum "));
}

} // namespace
