//===- ImagesTest.cpp - a hand-made module that takes images --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernels of TestKernels.c look up i32: pixels here are the floats that
// have the same bits as small numbers, all of them finite and near 0.
//
//===----------------------------------------------------------------------===//

#include "quern/image.h"
#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

namespace {

float pixelOf(int32_t id) {
  float pixel;
  memcpy(&pixel, &id, sizeof(pixel));
  return pixel;
}

/// Images of 2 x 2 pixels, each a patch.
class ImagesTest : public testing::Test {
protected:
  void SetUp() override {
    takeImages(parts.manifest, 2, 1);
    parts.tokenizer.clear();
    module = open(parts);
    ASSERT_TRUE(module);
    ASSERT_EQ(quern_session_create(module, 2, &session, &error), QUERN_OK)
        << error.message;
  }
  void TearDown() override {
    quern_session_destroy(session);
    quern_module_close(module);
  }

  /// Null, and the message in `error`, where it cannot be opened.
  quern_module *open(TestModule &with) {
    with.pack();
    TemporaryFile file(with.file());
    quern_module *opened = nullptr;
    quern_module_open(file.path(), &opened, &error);
    return opened;
  }

  TestModule parts;
  quern_module *module = nullptr;
  quern_session *session = nullptr;
  quern_error error = {};
  quern_output output = {};
};

TEST_F(ImagesTest, Description) {
  quern_description about;
  quern_module_describe(module, &about);
  EXPECT_EQ(about.image.channels, 1u);
  EXPECT_EQ(about.image.height, 2u);
  EXPECT_EQ(about.image.width, 2u);
  EXPECT_EQ(about.image.rescale, 0.5);
  ASSERT_TRUE(about.image.mean && about.image.deviation);
  EXPECT_EQ(about.image.mean[0], 1);
  EXPECT_EQ(about.image.deviation[0], 4);
  EXPECT_EQ(about.vocabulary, 0u);
}

TEST_F(ImagesTest, OneAndSeveral) {
  std::vector<float> pixels, all;
  constexpr int count = 40; // More than there is room for at first.
  std::vector<std::vector<float>> each;
  for (int i = 0; i < count; ++i) {
    std::vector<int> ids = {0};
    for (int p = 0; p < 4; ++p) {
      ids.push_back(1 + (i * 5 + p * 7) % 38);
      pixels.push_back(pixelOf(ids.back()));
    }
    each.push_back(parts.expected(ids));
    all.insert(all.end(), each.back().begin(), each.back().end());
  }
  for (int i : {0, 3}) {
    ASSERT_EQ(
        quern_run_images(session, &pixels[size_t(i) * 4], 1, &output, &error),
        QUERN_OK)
        << error.message;
    EXPECT_THAT(std::vector<float>(output.data, output.data + 3),
                ElementsAreArray(each[size_t(i)]));
  }
  ASSERT_EQ(quern_run_images(session, pixels.data(), count, &output, &error),
            QUERN_OK)
      << error.message;
  EXPECT_EQ(output.sequences, uint32_t(count));
  EXPECT_EQ(output.tokens, 5u * count);
  EXPECT_EQ(output.rows, uint32_t(count));
  EXPECT_EQ(output.ids, nullptr);
  EXPECT_EQ(output.type_ids, nullptr);
  EXPECT_EQ(output.spans, nullptr);
  EXPECT_EQ(output.offsets[count], 5 * count);
  EXPECT_THAT(std::vector<float>(output.data, output.data + all.size()),
              ElementsAreArray(all));
}

TEST_F(ImagesTest, WrongInput) {
  std::vector<float> pixels(8);
  EXPECT_EQ(quern_run_images(session, pixels.data(), 0, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_STREQ(error.message, "no image to run");
  EXPECT_EQ(quern_run_images(session, nullptr, 1, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(quern_run_images(nullptr, pixels.data(), 1, &output, &error),
            QUERN_ERROR_ARGUMENT);
  // Refused before a pixel is read.
  EXPECT_EQ(
      quern_run_images(session, pixels.data(), UINT32_MAX, &output, &error),
      QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("too many images at once"));
  for (float wrong : {INFINITY, -INFINITY, NAN}) {
    pixels[6] = wrong;
    EXPECT_EQ(quern_run_images(session, pixels.data(), 2, &output, &error),
              QUERN_ERROR_ARGUMENT);
    EXPECT_THAT(error.message,
                HasSubstr("image 1: channel 0, line 1, column 0: found "));
    EXPECT_EQ(output.data, nullptr);
  }
  pixels[6] = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(quern_run_images(session, pixels.data(), 2, &output, &error),
            QUERN_OK);
}

TEST_F(ImagesTest, TextsAndImagesAreNotMixed) {
  quern_text text = {"a", 1, nullptr, 0};
  int32_t ids[] = {1, 2}, offsets[] = {0, 2};
  const char *expected = "expected images of 1 x 2 x 2";
  EXPECT_EQ(quern_run_texts(session, &text, 1, 0, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr(expected));
  EXPECT_EQ(quern_tokenize(session, &text, 1, 0, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr(expected));
  EXPECT_EQ(quern_run_ids(session, ids, nullptr, offsets, 1, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr(expected));

  TestModule words;
  quern_module *textModule = open(words);
  ASSERT_TRUE(textModule) << error.message;
  quern_session *textSession = nullptr;
  ASSERT_EQ(quern_session_create(textModule, 1, &textSession, &error),
            QUERN_OK);
  float pixels[4] = {};
  EXPECT_EQ(quern_run_images(textSession, pixels, 1, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("found images, expected texts"));
  quern_description about;
  quern_module_describe(textModule, &about);
  EXPECT_EQ(about.image.channels, 0u);
  quern_session_destroy(textSession);
  quern_module_close(textModule);
}

TEST_F(ImagesTest, Normalize) {
  float mean[] = {0.5f, 0.25f}, deviation[] = {0.5f, 0.3f};
  quern_image_format format = {2, 1, 2, 1.0 / 255, mean, deviation};
  uint8_t bytes[] = {0, 255, 128, 7};
  float pixels[4] = {};
  ASSERT_EQ(quern_normalize_image(&format, bytes, pixels, &error), QUERN_OK);
  EXPECT_THAT(pixels, ElementsAre(-1.0f, (float(128.0 / 255) - 0.5f) / 0.5f,
                                  (1.0f - 0.25f) / 0.3f,
                                  (float(7 * (1.0 / 255)) - 0.25f) / 0.3f));
  format.mean = nullptr;
  EXPECT_EQ(quern_normalize_image(&format, bytes, pixels, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("no preprocessor_config.json"));
  EXPECT_EQ(quern_normalize_image(&format, nullptr, pixels, &error),
            QUERN_ERROR_ARGUMENT);
}

TEST_F(ImagesTest, ReadFiles) {
  float mean[] = {0.5f}, deviation[] = {0.25f};
  quern_image_format format = {1, 1, 2, 1.0 / 255, mean, deviation};
  std::string file = "P5 # two\n2 1\t255\n";
  file += std::string("\xff\x00", 2);
  float pixels[2] = {};
  ASSERT_EQ(quern_read_image(&format, file.data(), file.size(), pixels, &error),
            QUERN_OK);
  EXPECT_THAT(pixels, ElementsAre(2.0f, -2.0f));
  std::string array = "{'descr':'<f4','shape':(1,1, 2),'fortran_order':False}";
  array = std::string("\x93NUMPY\x01\x00", 8) + char(array.size()) +
          std::string(1, 0) + array;
  float numbers[] = {0.5f, 7.0f};
  array.append(reinterpret_cast<char *>(numbers), sizeof(numbers));
  ASSERT_EQ(
      quern_read_image(&format, array.data(), array.size(), pixels, &error),
      QUERN_OK);
  EXPECT_THAT(pixels, ElementsAreArray(numbers));
  // No part of either is a file, and nothing is read behind it.
  for (const std::string &whole : {file, array})
    for (size_t size = 0; size < whole.size(); ++size) {
      std::vector<char> part(whole.begin(), whole.begin() + long(size));
      part.reserve(1);
      EXPECT_EQ(quern_read_image(&format, part.data(), size, pixels, &error),
                QUERN_ERROR_ARGUMENT);
      EXPECT_THAT(error.message, HasSubstr("expected"));
    }
  // Where the module cannot normalize, numbers can be read and bytes cannot.
  format.mean = nullptr;
  EXPECT_EQ(
      quern_read_image(&format, array.data(), array.size(), pixels, &error),
      QUERN_OK);
  EXPECT_EQ(quern_read_image(&format, file.data(), file.size(), pixels, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(quern_read_image(&format, nullptr, 0, pixels, &error),
            QUERN_ERROR_ARGUMENT);
}

TEST(ImagePatch, Order) {
  // Two channels of 4 x 4, patches of 2 x 2: number 100 c + 10 y + x.
  float pixels[32], row[8];
  for (int i = 0; i < 32; ++i)
    pixels[i] = float(i / 16 * 100 + i / 4 % 4 * 10 + i % 4);
  quern_image_patch(pixels, 2, 4, 2, 1, row);
  EXPECT_THAT(row, ElementsAre(2, 3, 12, 13, 102, 103, 112, 113));
  quern_image_patch(pixels, 2, 4, 2, 2, row);
  EXPECT_THAT(row, ElementsAre(20, 21, 30, 31, 120, 121, 130, 131));
}

TEST_F(ImagesTest, LyingManifest) {
  constexpr float infinite = INFINITY;
  struct {
    void (*change)(ManifestT &);
    const char *text;
  } cases[] = {
      {[](auto &m) { m.model->vocab = 1; }, "vocab beside images: found 1"},
      {[](auto &m) { m.model->image.reset(); }, "vocab: found 0"},
      {[](auto &m) {
         m.model->image.reset();
         m.model->vocab = 40;
       },
       "image: inputs of patches: found 1, expected 0"},
      {[](auto &m) { m.buffers[0]->role = Role::Types; },
       "bytes per unit of an i32 input"},
      {[](auto &m) {
         m.buffers[0]->role = Role::Types;
         m.buffers[0]->element = Element::I32;
       },
       "image: inputs of patches: found 0, expected 1"},
      {[](auto &m) {
         m.buffers[2]->role = Role::Ids;
         m.buffers[3]->role = Role::Offsets;
       },
       "image: inputs of ids and types: found 1, expected 0"},
      {[](auto &m) {
         m.buffers[2]->role = Role::Patches;
         m.buffers[2]->element = Element::F32;
       },
       "image: inputs of patches: found 2, expected 1"},
      {[](auto &m) { m.buffers[0]->role = Role(8); }, "role: found 8"},
      {[](auto &m) { m.buffers[0]->element = Element::I32; },
       "image: element of the patches: found 4"},
      {[](auto &m) { m.buffers[0]->unit = Unit::Sequences; },
       "image: unit of the patches: found 1"},
      {[](auto &m) { m.buffers[0]->columns = 0; },
       "image: numbers of a patch: found 0, expected 1"},
      {[](auto &m) { m.buffers[0]->columns = 2; },
       "buffer ids: bytes of a row's columns: found 8, expected at most 4"},
      {[](auto &m) { m.model->image->size = 0; }, "image: size: found 0"},
      {[](auto &m) { m.model->image->size = UINT32_MAX; },
       "image: size: found 4294967295, expected 1 to 16384"},
      {[](auto &m) { m.model->image->patch = 0; }, "image: patch: found 0"},
      {[](auto &m) { m.model->image->patch = 1u << 31; },
       "image: patch: found 2147483648"},
      {[](auto &m) { m.model->image->patch = 3; },
       "image: size: found 2, expected a multiple of 3"},
      {[](auto &m) { m.model->image->patch = 2; },
       "image: tokens: found 5, expected 2"},
      {[](auto &m) {
         m.model->image->patch = 2;
         m.model->max_length = 2;
       },
       "image: numbers of a patch: found 1, expected 4"},
      {[](auto &m) { m.model->image->channels = 0; },
       "image: channels: found 0"},
      {[](auto &m) { m.model->image->channels = 65; },
       "image: channels: found 65, expected 1 to 64"},
      {[](auto &m) { m.model->image->channels = 2; },
       "image: numbers of a patch: found 1, expected 2"},
      {[](auto &m) { m.model->image->special = 0; },
       "image: special tokens: found 0"},
      {[](auto &m) { m.model->image->special = 2; },
       "image: tokens: found 5, expected 6"},
      {[](auto &m) { m.model->max_length = 1u << 20; },
       "image: tokens: found 1048576, expected 5"},
      {[](auto &m) { m.model->image->mean.clear(); },
       "image: means: found 0, expected 1"},
      {[](auto &m) { m.model->image->deviation = {1, 1}; },
       "image: deviations: found 2, expected 1"},
      {[](auto &m) { m.model->image->rescale = 0; }, "image: rescale: found 0"},
      {[](auto &m) { m.model->image->rescale = std::nan(""); },
       "image: rescale: found nan, expected a finite number above 0"},
      {[](auto &m) { m.model->image->mean = {infinite}; },
       "image: mean: found inf, expected a finite number"},
      {[](auto &m) { m.model->image->deviation = {-1}; },
       "image: deviation: found -1, expected a finite number above 0"},
  };
  for (const auto &lie : cases) {
    TestModule other;
    takeImages(other.manifest, 2, 1);
    lie.change(other.manifest);
    EXPECT_EQ(open(other), nullptr) << lie.text;
    EXPECT_EQ(error.status, QUERN_ERROR_FORMAT);
    EXPECT_THAT(error.message, HasSubstr(lie.text));
  }
}

} // namespace
