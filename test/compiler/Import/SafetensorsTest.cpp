//===- SafetensorsTest.cpp - The safetensors file format ------------------===//
//
// Good files of every element type, and files that lie in every field.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Safetensors.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::test;
using testing::AllOf;
using testing::HasSubstr;

namespace {
class SafetensorsTest : public testing::Test {
protected:
  /// Writes header and data behind a header length, true or not.
  std::string write(const std::string &header, const std::string &data,
                    int64_t length = -1) {
    uint64_t value = length < 0 ? header.size() : length;
    std::string text(reinterpret_cast<const char *>(&value), 8);
    std::string path = folder.file("m.safetensors");
    Error error = writeText(path, text + header + data);
    EXPECT_FALSE(error);
    return path;
  }
  /// The message of a file of 16 bytes of data with this header.
  std::string messageOf(const std::string &header) {
    auto file = readSafetensors(write(header, std::string(16, '\1')));
    return file ? "no error" : file.message();
  }

  TempFolder folder;
};

/// One F32 tensor.
SafetensorsOutput floats(const std::string &name, std::vector<int64_t> shape,
                         const std::vector<float> &values) {
  SafetensorsOutput tensor{name, "F32", std::move(shape), {}};
  tensor.data.resize(4 * values.size());
  if (!values.empty())
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}
} // namespace

TEST_F(SafetensorsTest, WritesAndReads) {
  std::string path = folder.file("m.safetensors");
  ASSERT_FALSE(writeSafetensors(
      path, {floats("b", {2, 2}, {1, 2, 3, 4}), floats("a", {3}, {5, 6, 7}),
             floats("empty", {0, 8}, {}), floats("scalar", {}, {9})}));
  auto file = readSafetensors(path);
  ASSERT_TRUE(file) << file.message();
  ASSERT_EQ(file->size(), 4u);
  const SafetensorsTensor &b = file->at("b");
  EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 2}));
  auto values = readFloats("b", b);
  ASSERT_TRUE(values);
  EXPECT_TRUE(values->mapped);
  EXPECT_EQ(values->data[3], 4);
  EXPECT_EQ(readFloats("empty", file->at("empty"))->size, 0u);
  EXPECT_EQ(readFloats("scalar", file->at("scalar"))->data[0], 9);
}

TEST_F(SafetensorsTest, ValuesOutliveTheMap) {
  std::string path = folder.file("m.safetensors");
  ASSERT_FALSE(writeSafetensors(path, {floats("a", {2}, {1, 2})}));
  FloatData values;
  {
    auto file = readSafetensors(path);
    ASSERT_TRUE(file);
    values = *readFloats("a", file->at("a"));
  }
  EXPECT_EQ(values.data[1], 2);
}

TEST_F(SafetensorsTest, UnalignedDataIsCopied) {
  std::string data(8, '\0');
  float values[] = {1.5f, -2};
  std::memcpy(data.data(), values, 8);
  for (int spaces = 0; spaces < 8; ++spaces) {
    std::string header =
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})" +
        std::string(spaces, ' ');
    auto file = readSafetensors(write(header, data));
    ASSERT_TRUE(file) << file.message();
    auto read = readFloats("a", file->at("a"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->mapped, header.size() % 4 == 0);
    EXPECT_EQ(read->data[0], 1.5f);
    EXPECT_EQ(read->data[1], -2);
  }
}

TEST_F(SafetensorsTest, HalvesAreExact) {
  EXPECT_EQ(halfToFloat(0x3c00), 1);
  EXPECT_EQ(halfToFloat(0xc000), -2);
  EXPECT_EQ(halfToFloat(0x7bff), 65504);
  EXPECT_EQ(halfToFloat(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(halfToFloat(0x83ff), -1023 * std::ldexp(1.0f, -24));
  EXPECT_TRUE(std::signbit(halfToFloat(0x8000)));
  EXPECT_TRUE(std::isinf(halfToFloat(0x7c00)));
  EXPECT_TRUE(std::isnan(halfToFloat(0x7e01)));
  EXPECT_EQ(bfloatToFloat(0x3f80), 1);
  EXPECT_EQ(bfloatToFloat(0xc040), -3);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    if (!std::isnan(halfToFloat(half)))
      ASSERT_EQ(floatToHalf(halfToFloat(half)), half);
    if (!std::isnan(bfloatToFloat(half)))
      ASSERT_EQ(floatToBfloat(bfloatToFloat(half)), half);
  }
}

TEST_F(SafetensorsTest, HalvesRoundToNearestEven) {
  EXPECT_EQ(floatToHalf(1 + 0x1p-11f), 0x3c00);
  EXPECT_EQ(floatToHalf(1 + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(floatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(0x1p-25f), 0);
  EXPECT_EQ(floatToHalf(3 * 0x1p-25f), 2);
  EXPECT_EQ(floatToHalf(NAN) & 0x7e00, 0x7e00);
  EXPECT_EQ(floatToBfloat(1 + 0x1p-8f), 0x3f80);
  EXPECT_EQ(floatToBfloat(1 + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(floatToBfloat(NAN) & 0x7fc0, 0x7fc0);
}

TEST_F(SafetensorsTest, ReadsHalves) {
  std::string data("\x00\x3c\x00\xc0\x80\x3f\x40\xc0", 8);
  auto file = readSafetensors(
      write(R"({"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},)"
            R"("b":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]}})",
            data));
  ASSERT_TRUE(file) << file.message();
  auto half = readFloats("h", file->at("h"));
  auto bfloat = readFloats("b", file->at("b"));
  EXPECT_EQ(half->data[0], 1);
  EXPECT_EQ(half->data[1], -2);
  EXPECT_EQ(bfloat->data[0], 1);
  EXPECT_EQ(bfloat->data[1], -3);
  EXPECT_FALSE(bfloat->mapped);
}

TEST_F(SafetensorsTest, OtherTypesAreNoWeights) {
  auto file = readSafetensors(
      write(R"({"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})",
            std::string(16, '\0')));
  ASSERT_TRUE(file) << file.message();
  EXPECT_THAT(readFloats("a", file->at("a")).message(),
              HasSubstr("m.safetensors: tensor a: found dtype I64, expected "
                        "F32, F16 or BF16"));
}

TEST_F(SafetensorsTest, FindsNonFiniteValues) {
  std::vector<float> values(10000, 1.0f);
  EXPECT_EQ(findNonFinite(values.data(), values.size()), values.size());
  for (size_t at : {size_t(9999), size_t(4096), size_t(0)}) {
    values[at] = at == 4096 ? NAN : -INFINITY;
    EXPECT_EQ(findNonFinite(values.data(), values.size()), at);
  }
  EXPECT_EQ(findNonFinite(nullptr, 0), 0u);
}

TEST_F(SafetensorsTest, TruncatedFiles) {
  std::string path = folder.file("m.safetensors");
  ASSERT_FALSE(writeSafetensors(
      path, {floats("a", {3}, {5, 6, 7}), floats("b", {2}, {1, 2})}));
  std::string whole = *readFile(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_FALSE(writeText(path, whole.substr(0, size)));
    auto file = readSafetensors(path);
    ASSERT_FALSE(file) << size << " bytes were accepted";
    EXPECT_THAT(file.message(),
                AllOf(HasSubstr("m.safetensors: "), HasSubstr("expected")));
  }
}

TEST_F(SafetensorsTest, AnyAlteredByteIsHarmless) {
  std::string path = folder.file("m.safetensors");
  ASSERT_FALSE(writeSafetensors(
      path, {floats("a", {3}, {5, 6, 7}), floats("b", {2, 1}, {1, 2})}));
  std::string whole = *readFile(path);
  size_t header = whole.size() - 20;
  for (size_t at = 0; at < header; ++at) {
    for (char byte : std::string_view("\0\x7f\xff\"{}[]9-,", 11)) {
      std::string altered = whole;
      altered[at] = byte;
      ASSERT_FALSE(writeText(path, altered));
      auto file = readSafetensors(path);
      if (!file)
        continue;
      // What is accepted can be read to its last byte.
      for (auto &[name, tensor] : *file)
        if (auto values = readFloats(name, tensor))
          EXPECT_LE(findNonFinite(values->data, values->size), values->size);
    }
  }
}

TEST_F(SafetensorsTest, LyingHeaderLengths) {
  std::string header = "{}";
  EXPECT_THAT(readSafetensors(write(header, "", 3)).message(),
              HasSubstr("found a header length of 3 bytes, expected at most "
                        "the 2 bytes that follow it"));
  EXPECT_THAT(readSafetensors(write(header, "", INT64_MAX)).message(),
              HasSubstr("expected at most 100000000"));
  EXPECT_THAT(readSafetensors(write(header, "", 0)).message(),
              HasSubstr("found an empty file, expected JSON"));
  EXPECT_THAT(readSafetensors(write(header, "", 1)).message(),
              HasSubstr("parse error"));
  EXPECT_THAT(readSafetensors(write("[1]", "")).message(),
              HasSubstr("expected an object"));
}

TEST_F(SafetensorsTest, LyingOffsets) {
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
                R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})"),
      HasSubstr("tensor b: found data that starts at byte 8 and overlaps "
                "tensor a, which ends at byte 16"));
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}})"),
      HasSubstr("tensor a: found data_offsets [0, 20), expected them within "
                "the file's 16 bytes of data"));
  EXPECT_THAT(messageOf(R"({"a":{"dtype":"F32","shape":[1],)"
                        R"("data_offsets":[18446744073709551612,0]}})"),
              HasSubstr("expected them in ascending order"));
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}})"),
      HasSubstr("found 16 bytes of data, expected 12 for F32 3"));
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}})"),
      HasSubstr("tensor a: found data that starts at byte 4, expected byte 0"));
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})"),
      HasSubstr("found 16 bytes of data, expected 12, where the last"));
  for (const char *bad : {"[0]", "[0,16,3]", "[-1,16]", "[0.0,16]", "\"x\""})
    EXPECT_THAT(messageOf(std::string(R"({"a":{"dtype":"F32","shape":[4],)"
                                      R"("data_offsets":)") +
                          bad + "}}"),
                HasSubstr("expected two integers"));
}

TEST_F(SafetensorsTest, LyingShapesAndTypes) {
  auto shaped = [&](const std::string &shape) {
    return messageOf(R"({"a":{"dtype":"F32","shape":)" + shape +
                     R"(,"data_offsets":[0,16]}})");
  };
  EXPECT_THAT(shaped("[-4]"), HasSubstr("tensor a: found dimension -4"));
  EXPECT_THAT(shaped("[4.0]"), HasSubstr("found dimension 4.0"));
  EXPECT_THAT(shaped("[18446744073709551615]"), HasSubstr("found dimension"));
  EXPECT_THAT(shaped("[4611686018427387904,4611686018427387904]"),
              HasSubstr("exceed 64 bits"));
  EXPECT_THAT(shaped("[4294967297,4294967296]"), HasSubstr("exceed 64 bits"));
  // Zeros must not hide a product that overflows.
  EXPECT_THAT(shaped("[0,4611686018427387904,4]"), HasSubstr("exceed 64 bits"));
  EXPECT_THAT(shaped("[9223372036854775807,2,0]"), HasSubstr("exceed 64 bits"));
  EXPECT_THAT(shaped("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,4]"),
              HasSubstr("tensor a: found 17 dimensions, expected at most 16"));
  EXPECT_THAT(shaped("{}"), HasSubstr("found no shape"));
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}})"),
      HasSubstr("tensor a: found dtype \"F31\""));
  EXPECT_THAT(messageOf(R"({"a":{"shape":[4],"data_offsets":[0,16]}})"),
              HasSubstr("found no dtype"));
  EXPECT_THAT(messageOf(R"({"a":3})"),
              HasSubstr("found 3, expected an object"));
}

TEST_F(SafetensorsTest, RepeatedNamesAndDepth) {
  EXPECT_THAT(
      messageOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})"),
      HasSubstr("key \"a\" is given twice"));
  std::string deep(10000, '[');
  EXPECT_THAT(messageOf("{\"a\":" + deep), HasSubstr("nested deeper than 8"));
}

TEST_F(SafetensorsTest, DirectoriesAndMissingFiles) {
  EXPECT_THAT(readSafetensors(folder.path()).message(),
              HasSubstr("found a directory, expected a file"));
  EXPECT_THAT(readSafetensors(folder.file("none")).message(),
              HasSubstr("No such file"));
}
