//===- ConstantsTest.cpp - constants made when a module is opened ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Every making against plain loops, in a session from a file and linked, and
// every way in which its description or its parts can be wrong.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/Constants.h"
#include "test/runtime/TestModule.h"

#include "quern/expand.h"
#include "quern/huffman.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <xmmintrin.h>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::HasSubstr;

namespace {

/// A module with constants appended to those of TestModule.
struct MadeModule : TestModule {
  /// Appends stored elements; gives their index.
  template <typename T>
  uint32_t store(const char *name, Element element,
                 const std::vector<T> &values, uint8_t bits = 0) {
    weights.resize((weights.size() + 63) / 64 * 64);
    auto data = std::make_unique<DataT>();
    data->name = name;
    data->element = element;
    data->bits = bits;
    data->offset = weights.size();
    data->bytes = values.size() * sizeof(T);
    weights.append(reinterpret_cast<const char *>(values.data()), data->bytes);
    manifest.data.push_back(std::move(data));
    return uint32_t(manifest.data.size() - 1);
  }

  uint32_t make(const char *name, Making making, Element element,
                uint64_t bytes, std::vector<uint32_t> from,
                std::vector<uint32_t> blocks = {}) {
    auto data = std::make_unique<DataT>();
    data->name = name;
    data->element = element;
    data->bytes = bytes;
    data->making = making;
    data->from = std::move(from);
    data->blocks = std::move(blocks);
    manifest.data.push_back(std::move(data));
    return uint32_t(manifest.data.size() - 1);
  }

  /// Packs, checks and makes all constants.
  quern_status open(Constants &constants, std::string &message) {
    pack();
    // The manifest must be aligned.
    bytes.reset(static_cast<char *>(
        aligned_alloc(64, (manifestBytes.size() + 63) / 64 * 64)));
    memcpy(bytes.get(), manifestBytes.data(), manifestBytes.size());
    const Manifest *read = nullptr;
    quern_error error = {};
    quern_status status =
        readManifest("some.qbm", bytes.get(), manifestBytes.size(),
                     weights.size(), &read, &error);
    if (!status)
      status = constants.open("some.qbm", *read, alignedWeights.get(), nullptr,
                              &error);
    message = error.message;
    return status;
  }

  std::unique_ptr<char, void (*)(void *)> bytes{nullptr, free};
};

template <typename T>
std::vector<T> madeValues(const Constants &constants, uint32_t index,
                          size_t count) {
  std::vector<T> values(count);
  memcpy(values.data(), constants[index], count * sizeof(T));
  return values;
}

TEST(Constants, StoredOnesStayWhereTheyAre) {
  MadeModule module;
  Constants constants;
  std::string message;
  ASSERT_EQ(module.open(constants, message), QUERN_OK) << message;
  EXPECT_EQ(constants[0], module.alignedWeights.get());
  EXPECT_EQ(constants[1],
            module.alignedWeights.get() + module.manifest.data[1]->offset);
  EXPECT_EQ(constants.madeBytes(), 0u);
}

TEST(Constants, EveryMaking) {
  MadeModule module;
  uint32_t narrow =
      module.store<int16_t>("narrow", Element::I16, {-32768, -1, 0, 7, 32767});
  uint32_t index =
      module.store<uint8_t>("index", Element::U8, {2, 0, 0, 1, 255, 2});
  uint32_t pick = module.store<uint8_t>("pick", Element::U8, {2, 0, 1, 1});
  uint32_t values =
      module.store<float>("values", Element::F32, {1.5f, -0.0f, 3e-40f});
  uint32_t rows =
      module.store<float>("rows", Element::F32, {0.1f, 1e-30f, 3.0f});
  uint32_t columns =
      module.store<float>("columns", Element::F32, {0.3f, 1e-12f, 0.0f, -7.0f});
  // Made ones may come before their parts.
  module.make("widened", Making::Widened, Element::I32, 20, {narrow});
  module.make("picked", Making::Picked, Element::F32, 16, {pick, values});
  module.make("marked", Making::Marked, Element::I8, 18, {index});
  uint32_t outer =
      module.make("outer", Making::Outer, Element::F32, 48, {rows, columns});
  Constants constants;
  std::string message;
  // As a program built with -ffast-math has it: subnormals would be zero.
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  quern_status status = module.open(constants, message);
  EXPECT_EQ(_mm_getcsr() & 0x8040, 0x8040u);
  _mm_setcsr(before);
  ASSERT_EQ(status, QUERN_OK) << message;
  EXPECT_EQ(madeValues<int32_t>(constants, outer - 3, 5),
            (std::vector<int32_t>{-32768, -1, 0, 7, 32767}));
  std::vector<float> expected = {3e-40f, 1.5f, -0.0f, -0.0f};
  EXPECT_EQ(memcmp(constants[outer - 2], expected.data(), 16), 0);
  EXPECT_EQ(madeValues<int8_t>(constants, outer - 1, 18),
            (std::vector<int8_t>{0, 1, 1, 0, 0, 0, 0, 0, 0, //
                                 1, 0, 0, 1, 0, 0, 0, 0, 1}));
  expected.clear();
  for (float row : {0.1f, 1e-30f, 3.0f})
    for (float column : {0.3f, 1e-12f, 0.0f, -7.0f})
      expected.push_back(float(double(row) * double(column)));
  EXPECT_EQ(memcmp(constants[outer], expected.data(), 48), 0);
  EXPECT_NE(madeValues<float>(constants, outer, 12)[5], 0.0f);
  for (uint32_t i = outer - 3; i <= outer; ++i)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(constants[i]) % QUERN_DATA_ALIGN, 0u);
}

/// Packed weights of random codes, also the largest and least ones, against
/// sums of the codes one by one.
void expectSums(uint32_t bits, const std::vector<uint32_t> &blocks,
                uint64_t panels) {
  uint64_t panel = 0;
  for (uint32_t count : blocks)
    panel += uint64_t(count) * 64;
  std::mt19937 random(bits);
  std::vector<int8_t> packed(panels * panel);
  for (size_t i = 0; i < packed.size(); ++i)
    packed[i] = int8_t(i / panel == 1 ? 0x80 | 0x88 * (bits == 4) : random());
  std::vector<int32_t> factors;
  for (size_t g = 0; g < blocks.size(); ++g)
    factors.push_back(int32_t(random() % 511) - 255);
  std::vector<int32_t> expected(blocks.size() * panels * 16);
  size_t at = 0;
  for (uint64_t p = 0; p < panels; ++p)
    for (size_t g = 0; g < blocks.size(); ++g)
      for (uint32_t b = 0; b < blocks[g]; ++b)
        for (int i = 0; i < 64; ++i, ++at)
          for (uint32_t shift = 0; shift < 8; shift += bits) {
            int digits = packed[at] >> shift & ((1 << bits) - 1);
            int code =
                digits >= 1 << (bits - 1) ? digits - (1 << bits) : digits;
            expected[(g * panels + p) * 16 + size_t(i) / 4] +=
                code * factors[g];
          }
  MadeModule module;
  uint32_t w = module.store("w", Element::I8, packed, uint8_t(bits));
  uint32_t f = module.store("f", Element::I32, factors);
  uint32_t sums = module.make("sums", Making::Sums, Element::I32,
                              expected.size() * 4, {w, f}, blocks);
  Constants constants;
  std::string message;
  ASSERT_EQ(module.open(constants, message), QUERN_OK) << message;
  EXPECT_EQ(madeValues<int32_t>(constants, sums, expected.size()), expected)
      << bits << " bits";
}

TEST(Constants, SumsOfPackedWeights) {
  for (uint32_t bits : {2u, 4u, 8u}) {
    expectSums(bits, {1}, 1);
    expectSums(bits, {7, 1, 300}, 3);
    expectSums(bits, {1030}, 2);
  }
}

/// A code of 256 words of eight bits, which are the symbols, first bit lowest.
std::vector<uint8_t> codeOfBytes(const std::vector<int8_t> &values) {
  std::vector<uint8_t> coded(QUERN_CODED_HEADER, 0);
  std::fill_n(coded.begin(), 128, uint8_t(0x88));
  for (uint32_t s = 0; s < 3; ++s)
    coded[128 + 4 * s] = uint8_t(quern_stream_symbols(values.size(), s));
  for (int8_t value : values) {
    uint8_t reversed = 0;
    for (int bit = 0; bit < 8; ++bit)
      reversed |= uint8_t((uint8_t(value) >> bit & 1) << (7 - bit));
    coded.push_back(reversed);
  }
  return coded;
}

TEST(Constants, CodedWeightsAndTheirSums) {
  std::mt19937 random(5);
  std::vector<int8_t> packed(5 * 64);
  for (int8_t &byte : packed)
    byte = int8_t(random());
  MadeModule module;
  uint32_t f = module.store<int32_t>("f", Element::I32, {-3});
  uint32_t plain = module.store("plain", Element::I8, packed, 4);
  uint32_t s0 =
      module.make("s0", Making::Sums, Element::I32, 64, {plain, f}, {5});
  // Sums may come before the weights.
  uint32_t s1 =
      module.make("s1", Making::Sums, Element::I32, 64, {plain + 3, f}, {5});
  uint32_t w =
      module.make("w", Making::Coded, Element::I8, packed.size(), {plain + 4});
  module.manifest.data.back()->bits = 4;
  module.store("code", Element::U8, codeOfBytes(packed));
  Constants constants;
  std::string message;
  ASSERT_EQ(module.open(constants, message), QUERN_OK) << message;
  EXPECT_EQ(madeValues<int8_t>(constants, w, packed.size()), packed);
  EXPECT_EQ(madeValues<int32_t>(constants, s1, 16),
            madeValues<int32_t>(constants, s0, 16));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(constants[w]) % QUERN_DATA_ALIGN, 0u);
}

/// Replaces the weights by marks: stored and made ones give the same output.
TEST(Constants, SessionsSeeMadeOnes) {
  MadeModule made, stored;
  std::vector<uint8_t> index(64, 255);
  std::vector<int8_t> marks(3 * 64);
  for (size_t j = 0; j < 24; ++j) {
    index[j] = uint8_t(j * 5 % 3);
    marks[index[j] * 64 + j] = 1;
  }
  uint32_t w = stored.store("marks", Element::I8, marks);
  uint32_t i = made.store("index", Element::U8, index);
  uint32_t m = made.make("marks", Making::Marked, Element::I8, 3 * 64, {i});
  stored.manifest.steps[2]->operands[2] = Operand(OperandKind::Data, w);
  made.manifest.steps[2]->operands[2] = Operand(OperandKind::Data, m);
  std::vector<std::vector<float>> results;
  auto run = [&](quern_module *module) {
    quern_error error;
    quern_session *session = nullptr;
    ASSERT_EQ(quern_session_create(module, 1, &session, &error), QUERN_OK)
        << error.message;
    quern_text text = {"a b c x y z", 11, nullptr, 0};
    quern_output output = {};
    ASSERT_EQ(quern_run_texts(session, &text, 1, 0, &output, &error), QUERN_OK)
        << error.message;
    results.emplace_back(output.data, output.data + 3);
    quern_session_destroy(session);
    quern_module_close(module);
  };
  for (MadeModule *parts : {&stored, &made}) {
    parts->pack();
    quern_error error;
    quern_module *module = nullptr;
    TemporaryFile file(parts->file());
    ASSERT_EQ(quern_module_open(file.path(), &module, &error), QUERN_OK)
        << error.message;
    run(module);
    quern_linked_image image = parts->image();
    ASSERT_EQ(quern_module_open_linked(&image, &module, &error), QUERN_OK)
        << error.message;
    run(module);
  }
  ASSERT_EQ(results.size(), 4u);
  EXPECT_NE(results[0], std::vector<float>(3));
  for (const auto &result : results)
    EXPECT_EQ(result, results[0]);
}

TEST(Constants, DamagedDescriptions) {
  using Change = std::function<void(MadeModule &)>;
  struct Case {
    const char *what;
    Change change;
    const char *text;
  };
  auto at = [](MadeModule &m, const char *name) -> DataT & {
    for (auto &data : m.manifest.data)
      if (data->name == name)
        return *data;
    ADD_FAILURE() << name;
    return *m.manifest.data[0];
  };
  const std::vector<Case> cases = {
      {"making", [&](auto &m) { at(m, "outer").making = Making(77); },
       "constant outer: making: found 77, expected at most 6"},
      {"no parts", [&](auto &m) { at(m, "outer").from = {}; },
       "constant outer: parts: found 0, expected 2"},
      {"too many parts", [&](auto &m) { at(m, "widened").from = {2, 2}; },
       "constant widened: parts: found 2, expected 1"},
      {"unknown part", [&](auto &m) { at(m, "outer").from[1] = 99; },
       "constant outer: part: found 99, expected below"},
      {"itself", [&](auto &m) { at(m, "outer").from[1] = 12; },
       "constant outer: making of a part: found 4, expected 0"},
      {"element", [&](auto &m) { at(m, "outer").element = Element::I32; },
       "constant outer: element: found 4, expected 5"},
      {"picked of bytes",
       [&](auto &m) { at(m, "picked").element = Element::I8; },
       "constant picked: element: found 0"},
      {"picked of others",
       [&](auto &m) { at(m, "picked").element = Element::I32; },
       "constant picked: element of a part: found 5, expected 4"},
      {"element of a part",
       [&](auto &m) { at(m, "rows").element = Element::I32; },
       "constant outer: element of a part: found 4, expected 5"},
      {"bytes of a part", [&](auto &m) { at(m, "rows").bytes = 11; },
       "constant outer: bytes of a part: found 11, expected a multiple of 4"},
      {"empty part", [&](auto &m) { at(m, "columns").bytes = 0; },
       "constant outer: bytes of a part: found 0"},
      {"huge part", [&](auto &m) { at(m, "rows").bytes = UINT64_MAX - 3; },
       "constant rows: bytes: found 18446744073709551612"},
      {"nothing", [&](auto &m) { at(m, "outer").bytes = 0; },
       "constant outer: bytes: found 0"},
      {"everything", [&](auto &m) { at(m, "outer").bytes = UINT64_MAX; },
       "constant outer: bytes: found"},
      {"too small", [&](auto &m) { at(m, "outer").bytes -= 4; },
       "constant outer: bytes: found 44, expected 48"},
      {"too large", [&](auto &m) { at(m, "widened").bytes += 4; },
       "constant widened: bytes: found 24, expected 20"},
      {"picked too large", [&](auto &m) { at(m, "picked").bytes += 4; },
       "constant picked: bytes: found 20, expected 16"},
      {"half a row", [&](auto &m) { at(m, "marked").bytes -= 1; },
       "constant marked: bytes: found 17, expected at most 255 times 6"},
      {"too many rows", [&](auto &m) { at(m, "marked").bytes = 256 * 6; },
       "constant marked: bytes: found 1536, expected at most 255 times 6"},
      {"index", [&](auto &m) { m.weights[at(m, "pick").offset + 2] = 3; },
       "constant picked: index of element 2: found 3, expected below 3"},
      {"bits", [&](auto &m) { at(m, "w").bits = 3; },
       "constant sums: bits of the weights: found 3"},
      {"groups", [&](auto &m) { at(m, "sums").blocks = {1}; },
       "constant sums: groups of blocks: found 1, expected 2"},
      {"blocks", [&](auto &m) { at(m, "sums").blocks = {1, 3}; },
       "constant sums: bytes of the weights: found 192, expected 256"},
      {"no blocks", [&](auto &m) { at(m, "sums").blocks = {0, 0}; },
       "constant sums: bytes of the weights: found 192, expected 0"},
      {"many blocks", [&](auto &m) { at(m, "sums").blocks = {~0u, ~0u}; },
       "constant sums: bytes of the weights"},
      {"columns", [&](auto &m) { at(m, "sums").bytes = 64; },
       "constant sums: bytes: found 64, expected a multiple of 128"},
      {"sums of floats", [&](auto &m) { at(m, "sums").from[0] = 8; },
       "constant sums: element of a part"},
      {"sums of sums", [&](auto &m) { at(m, "sums").from[0] = 12; },
       "constant sums: making of a part: found 4, expected 0"},
      {"picked by a code", [&](auto &m) { at(m, "picked").from[0] = 16; },
       "constant picked: making of a part: found 6, expected 0"},
      {"short code",
       [&](auto &m) { at(m, "code").bytes = QUERN_CODED_HEADER - 1; },
       "constant coded: bytes of the code: found 139, expected at least 140"},
      {"long for its code", [&](auto &m) { at(m, "coded").bytes = 8 * 7 + 1; },
       "constant coded: bytes: found 57, expected at most 56"},
      {"no code", [&](auto &m) { m.weights[at(m, "code").offset] = 0x68; },
       "constant coded: its Huffman code is malformed"},
      {"long words", [&](auto &m) { m.weights[at(m, "code").offset] = '\xdd'; },
       "constant coded: its Huffman code is malformed"},
      {"long stream",
       [&](auto &m) { m.weights[at(m, "code").offset + 132] = 6; },
       "constant coded: its Huffman code is malformed"},
      {"few symbols", [&](auto &m) { at(m, "coded").bytes = 6; },
       "constant coded: its Huffman code is malformed"},
      {"many symbols", [&](auto &m) { at(m, "coded").bytes = 8; },
       "constant coded: its Huffman code is malformed"},
  };
  for (const Case &damage : cases) {
    MadeModule module;
    module.store<int16_t>("narrow", Element::I16, {1, 2, 3, 4, 5});
    module.store<uint8_t>("index", Element::U8, {2, 0, 0, 1, 255, 2});
    module.store<uint8_t>("pick", Element::U8, {2, 0, 1, 1});
    module.store<float>("values", Element::F32, {1, 2, 3});
    module.store<int8_t>("w", Element::I8, std::vector<int8_t>(192, 17), 4);
    module.store<int32_t>("f", Element::I32, {3, 4});
    module.store<float>("rows", Element::F32, {1, 2, 3});
    module.store<float>("columns", Element::F32, {1, 2, 3, 4});
    module.make("widened", Making::Widened, Element::I32, 20, {2});
    module.make("picked", Making::Picked, Element::F32, 16, {4, 5});
    module.make("outer", Making::Outer, Element::F32, 48, {8, 9});
    module.make("marked", Making::Marked, Element::I8, 18, {3});
    module.make("sums", Making::Sums, Element::I32, 128, {6, 7}, {1, 2});
    uint32_t code =
        module.store("code", Element::U8, codeOfBytes({1, 2, 3, 4, 5, 6, 7}));
    module.make("coded", Making::Coded, Element::I8, 7, {code});
    std::string message;
    {
      Constants constants;
      ASSERT_EQ(module.open(constants, message), QUERN_OK) << message;
    }
    damage.change(module);
    Constants constants;
    EXPECT_EQ(module.open(constants, message), QUERN_ERROR_FORMAT)
        << damage.what;
    EXPECT_THAT(message, HasSubstr(damage.text)) << damage.what;
    EXPECT_THAT(message, testing::StartsWith("some.qbm: ")) << damage.what;
  }
}

/// Checksums are no defence: what passes the checks can be made.
TEST(Constants, AlteredManifestNeverCrashes) {
  MadeModule module;
  uint32_t index = module.store<uint8_t>("index", Element::U8, {2, 0, 0, 1});
  uint32_t values = module.store<float>("values", Element::F32, {1, 2, 3});
  uint32_t w =
      module.store<int8_t>("w", Element::I8, std::vector<int8_t>(192, 17), 4);
  uint32_t f = module.store<int32_t>("f", Element::I32, {3, 4});
  module.make("picked", Making::Picked, Element::F32, 16, {index, values});
  module.make("outer", Making::Outer, Element::F32, 36, {values, values});
  module.make("marked", Making::Marked, Element::I8, 12, {index});
  module.make("sums", Making::Sums, Element::I32, 128, {w, f}, {1, 2});
  uint32_t code =
      module.store("code", Element::U8, codeOfBytes({1, -2, 3, 4, 5}));
  module.make("coded", Making::Coded, Element::I8, 5, {code});
  module.pack();
  size_t size = module.manifestBytes.size();
  std::unique_ptr<char, void (*)(void *)> bytes(
      static_cast<char *>(aligned_alloc(64, (size + 63) / 64 * 64)), free);
  int accepted = 0, refused = 0;
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    memcpy(bytes.get(), module.manifestBytes.data(), size);
    for (unsigned i = 0; i < 1 + random() % 3; ++i) {
      uint32_t word = random() % 3 ? random() % 64 : random();
      memcpy(bytes.get() + random() % (size / 4) * 4, &word, 4);
    }
    const Manifest *read = nullptr;
    quern_error error;
    if (readManifest("altered", bytes.get(), size, module.weights.size(), &read,
                     &error)) {
      ++refused;
      continue;
    }
    Constants constants;
    (void)constants.open("altered", *read, module.alignedWeights.get(), nullptr,
                         &error);
    ++accepted;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, 0);
}

} // namespace
