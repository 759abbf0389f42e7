//===- HugePagesTest.cpp - weights in huge pages --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// When matrices are read into memory of the module's own, that they hold the
// file's bytes there, and every way back to the mapping.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/HugePages.h"
#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::HasSubstr;

namespace {

/// QUERN_WEIGHTS while it lives.
struct Setting {
  explicit Setting(const char *value) { setenv("QUERN_WEIGHTS", value, 1); }
  ~Setting() { unsetenv("QUERN_WEIGHTS"); }
};

/// A module with matrices of more than `leastHugeBytes` that its head step is
/// given, and as large a table that no matrix step uses.
struct LargeModule : TestModule {
  static constexpr uint32_t count = 5, bytes = 1u << 20;

  LargeModule() {
    first = uint32_t(manifest.data.size());
    for (uint32_t i = 0; i <= count; ++i) {
      weights.resize((weights.size() + 63) / 64 * 64);
      auto data = std::make_unique<DataT>();
      data->name = i < count ? "matrix" : "table of rows";
      data->element = Element::I8;
      data->offset = weights.size();
      data->bytes = bytes - i;
      for (uint32_t k = 0; k < data->bytes; ++k)
        weights.push_back(char(k * 31 + k / 251 + i));
      // After what the kernel reads.
      uint32_t step = i < count ? 2 : 0;
      manifest.steps[step]->operands.push_back(
          Operand(OperandKind::Data, first + i));
      manifest.data.push_back(std::move(data));
    }
    pack();
  }

  /// Where a constant is of an opened module, after its bytes were compared.
  const char *checked(const quern_module *module, uint32_t index) const {
    auto at = static_cast<const char *>(quern_module_constant(module, index));
    const DataT &data = *manifest.data[index];
    EXPECT_EQ(memcmp(at, weights.data() + data.offset, data.bytes), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % QUERN_DATA_ALIGN, 0u);
    return at;
  }

  uint32_t first = 0;
};

struct Opened {
  explicit Opened(const std::string &bytes) : file(bytes) {
    status = quern_module_open(file.path(), &module, &error);
    if (!status)
      quern_module_weights(module, &info);
  }
  ~Opened() { quern_module_close(module); }

  TemporaryFile file;
  quern_error error = {};
  quern_status status;
  quern_module *module = nullptr;
  quern_weights_info info = {};
};

std::vector<float> answer(const quern_module *module) {
  quern_session *session = nullptr;
  quern_error error = {};
  EXPECT_EQ(quern_session_create(module, 1, &session, &error), QUERN_OK);
  const int32_t ids[] = {2, 4, 5, 3}, offsets[] = {0, 4};
  quern_output output = {};
  EXPECT_EQ(quern_run_ids(session, ids, nullptr, offsets, 1, &output, &error),
            QUERN_OK)
      << error.message;
  std::vector<float> values(output.data, output.data + output.columns);
  quern_session_destroy(session);
  return values;
}

TEST(HugePages, MatricesAreReadAndTablesStay) {
  LargeModule parts;
  Setting setting("huge");
  Opened opened(parts.file());
  ASSERT_EQ(opened.status, QUERN_OK) << opened.error.message;
  EXPECT_EQ(opened.info.reason, nullptr);
  EXPECT_GE(opened.info.read_bytes, uint64_t(parts.count) * (parts.bytes - 4));
  EXPECT_LT(opened.info.read_bytes, uint64_t(parts.count + 1) * parts.bytes);
  EXPECT_LE(opened.info.huge_bytes, opened.info.read_bytes);
  const char *begin = parts.checked(opened.module, parts.first);
  for (uint32_t i = 0; i < parts.first + parts.count + 1; ++i) {
    const char *at = parts.checked(opened.module, i);
    bool isMatrix = i >= parts.first && i < parts.first + parts.count;
    EXPECT_EQ(at >= begin && at < begin + opened.info.read_bytes, isMatrix)
        << i;
  }
  EXPECT_EQ(answer(opened.module), parts.expected({2, 4, 5, 3}));
}

TEST(HugePages, KernelGivesThem) {
  char mode[32];
  readHugePageMode(mode);
  if (std::string(mode) != "madvise" && std::string(mode) != "always")
    GTEST_SKIP() << "the kernel's transparent huge pages are " << mode;
  LargeModule parts;
  Opened opened(parts.file());
  ASSERT_EQ(opened.status, QUERN_OK) << opened.error.message;
  if (opened.info.huge_bytes == 0)
    GTEST_SKIP() << "the kernel has no huge page left";
  // All but the last one, which is not whole, were those free.
  EXPECT_LE(opened.info.huge_bytes, opened.info.read_bytes);
}

TEST(HugePages, MappedOnesAreTheFile) {
  LargeModule parts;
  Setting setting("mapped");
  Opened opened(parts.file());
  ASSERT_EQ(opened.status, QUERN_OK) << opened.error.message;
  EXPECT_STREQ(opened.info.reason, "QUERN_WEIGHTS=mapped");
  EXPECT_EQ(opened.info.read_bytes, 0u);
  EXPECT_EQ(opened.info.huge_bytes, 0u);
  const char *base = parts.checked(opened.module, 0);
  for (uint32_t i = 0; i < parts.first + parts.count + 1; ++i)
    EXPECT_EQ(parts.checked(opened.module, i),
              base + parts.manifest.data[i]->offset);
  EXPECT_EQ(answer(opened.module), parts.expected({2, 4, 5, 3}));
}

/// Kilobytes of a file's mappings that are in memory.
uint64_t residentOf(const char *path) {
  std::istringstream maps(readFile("/proc/self/smaps"));
  uint64_t sum = 0, kilobytes = 0, low = 0;
  bool isOurs = false;
  for (std::string line; std::getline(maps, line);)
    if (sscanf(line.c_str(), "%lx-%*x ", &low) == 1)
      isOurs = line.find(path) != std::string::npos;
    else if (isOurs && sscanf(line.c_str(), "Rss: %lu", &kilobytes) == 1)
      sum += kilobytes;
  return sum;
}

// The checksum has looked at every byte.
TEST(HugePages, MappingOfWhatWasReadIsGivenBack) {
  LargeModule parts;
  uint64_t all = parts.weights.size() / 1024;
  for (auto [value, isHuge] : {std::pair("huge", true), {"mapped", false}}) {
    Setting setting(value);
    Opened opened(parts.file());
    ASSERT_EQ(opened.status, QUERN_OK) << opened.error.message;
    uint64_t resident = residentOf(opened.file.path());
    if (isHuge)
      EXPECT_LT(resident, all / 2);
    else
      EXPECT_GE(resident, all);
  }
}

TEST(HugePages, SmallModulesStayMapped) {
  TestModule parts;
  parts.pack();
  Opened opened(parts.file());
  ASSERT_EQ(opened.status, QUERN_OK) << opened.error.message;
  EXPECT_STREQ(opened.info.reason, "they are small");
}

TEST(HugePages, LinkedModulesStayWhereTheyAre) {
  LargeModule parts;
  quern_linked_image image = parts.image();
  quern_module *module = nullptr;
  quern_error error = {};
  ASSERT_EQ(quern_module_open_linked(&image, &module, &error), QUERN_OK)
      << error.message;
  quern_weights_info info = {};
  quern_module_weights(module, &info);
  EXPECT_STREQ(info.reason, "they are linked into the program");
  EXPECT_EQ(parts.checked(module, parts.first),
            parts.alignedWeights.get() +
                parts.manifest.data[parts.first]->offset);
  quern_module_close(module);
}

TEST(HugePages, UnknownSettingIsRefused) {
  LargeModule parts;
  Setting setting("hgue");
  Opened opened(parts.file());
  EXPECT_EQ(opened.status, QUERN_ERROR_UNSUPPORTED);
  EXPECT_STREQ(opened.error.message,
               "QUERN_WEIGHTS: found \"hgue\", expected huge or mapped");
}

// The first, a middle and the last byte of every constant: whoever checks them
// is not who reads them.
TEST(HugePages, DamageIsFoundHoweverTheyAreRead) {
  LargeModule parts;
  const std::string file = parts.file();
  quern_trailer trailer;
  memcpy(&trailer, file.data() + file.size() - sizeof(trailer),
         sizeof(trailer));
  uint64_t base = trailer.sections[QUERN_SECTION_WEIGHTS].offset;
  for (const char *value : {"huge", "mapped"}) {
    Setting setting(value);
    for (const auto &data : parts.manifest.data)
      for (uint64_t at : {uint64_t(0), data->bytes / 2, data->bytes - 1}) {
        std::string damaged = file;
        damaged[base + data->offset + at] ^= 0x20;
        Opened opened(damaged);
        EXPECT_EQ(opened.status, QUERN_ERROR_FORMAT);
        EXPECT_THAT(opened.error.message,
                    HasSubstr("weights section is damaged"));
      }
  }
}

// Address space for the mapping, but not for memory beside it.
TEST(HugePages, TooLittleMemoryFallsBack) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "the sanitizer needs the address space";
#endif
#endif
  LargeModule parts;
  std::string bytes = parts.file();
  TemporaryFile file(bytes);
  auto openWithLess = [&] {
    quern_error error = {};
    quern_module *module = nullptr;
    uint64_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm || fscanf(statm, "%lu", &pages) != 1)
      exit(1);
    fclose(statm);
    uint64_t limit = pages * 4096 + bytes.size() + (4u << 20);
    rlimit less = {limit, limit};
    setrlimit(RLIMIT_AS, &less);
    if (quern_module_open(file.path(), &module, &error))
      exit(2);
    quern_weights_info info = {};
    quern_module_weights(module, &info);
    if (!info.reason || strcmp(info.reason, "there is not enough memory"))
      exit(3);
    parts.checked(module, parts.first);
    exit(testing::Test::HasFailure() ? 4 : 0);
  };
  EXPECT_EXIT(openWithLess(), testing::ExitedWithCode(0), "");
}

TEST(HugePages, Policy) {
  constexpr uint64_t large = leastHugeBytes, small = large - 1;
  for (const char *setting : {static_cast<const char *>(nullptr), ""}) {
    EXPECT_EQ(whyMapped(setting, "madvise", large), nullptr);
    EXPECT_EQ(whyMapped(setting, "always", large), nullptr);
    EXPECT_EQ(whyMapped(setting, "unknown", large), nullptr);
    EXPECT_STREQ(whyMapped(setting, "madvise", small), "they are small");
    EXPECT_STREQ(whyMapped(setting, "never", large),
                 "the kernel's transparent huge pages are off");
  }
  EXPECT_EQ(whyMapped("huge", "never", small), nullptr);
  EXPECT_STREQ(whyMapped("mapped", "always", large), "QUERN_WEIGHTS=mapped");
}

TEST(HugePages, WordsOfTheKernel) {
  char word[32];
  chosenWord("always [madvise] never\n", word);
  EXPECT_STREQ(word, "madvise");
  for (const char *line :
       {"", "[", "]always[", "always never",
        "[abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz]"}) {
    chosenWord(line, word);
    EXPECT_STREQ(word, "unknown") << line;
  }
}

TEST(HugePages, CountsOnlyWhatWasAskedFor) {
  constexpr uint64_t page = 2u << 20;
  auto memory =
      static_cast<char *>(mmap(nullptr, 6 * page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, 6 * page, MADV_NOHUGEPAGE);
  memset(memory, 1, 6 * page);
  EXPECT_EQ(hugeBytes(memory, 6 * page), 0u);
  EXPECT_EQ(hugeBytes(memory, 0), 0u);
  munmap(memory, 6 * page);
}

} // namespace
