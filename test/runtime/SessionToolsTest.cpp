//===- SessionToolsTest.cpp - what tools see of a run ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Steps, sites and buffers of a hand-made module.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/SessionFixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

using namespace quern;
using namespace quern::test;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

namespace {

/// Of its own name: another file's fixture is the same.
class SessionToolsTest : public SessionTest {};

TEST_F(SessionToolsTest, StepsCanBeWatchedAndTimed) {
  std::vector<uint32_t> seen;
  quern_session_set_callback(
      session,
      [](void *context, uint32_t index) {
        static_cast<std::vector<uint32_t> *>(context)->push_back(index);
      },
      &seen);
  quern_session_set_timing(session, 1);
  Batch batch({{1, 2, 3}, {4, 5}});
  run(session, batch);
  EXPECT_THAT(seen, ElementsAre(0, 1, 2));
  ASSERT_EQ(quern_session_step_count(session), 3u);
  quern_step_info info;
  quern_error error;
  ASSERT_EQ(quern_session_step(session, 1, &info, &error), QUERN_OK);
  EXPECT_STREQ(info.name, "mix");
  EXPECT_STREQ(info.kernel, "mix");
  EXPECT_EQ(info.chunks, 4u);
  EXPECT_EQ(info.macs, 24u * (9 + 4));
  // Three offsets, and five rows of x and y.
  EXPECT_EQ(info.bytes, 3u * 4 + 5 * (64 + 128));
  ASSERT_EQ(quern_session_step(session, 2, &info, &error), QUERN_OK);
  EXPECT_EQ(info.macs, 72u * 5);
  // Offsets, y, the weights of a GEMM, and two rows of the result.
  EXPECT_EQ(info.bytes, 3u * 4 + 5 * 128 + 3 * 64 + 2 * 64);
  EXPECT_EQ(info.gemm_k, 24u);
  EXPECT_EQ(quern_session_step(session, 3, &info, &error),
            QUERN_ERROR_ARGUMENT);
  quern_run_counters counters;
  quern_session_counters(session, &counters);
  EXPECT_EQ(counters.chunks, 2u + 4 + 2);
  EXPECT_LE(counters.chunks_by_caller, counters.chunks);
  EXPECT_GT(counters.nanoseconds, 0u);
}

TEST_F(SessionToolsTest, CaptureKeepsEverySite) {
  Batch batch({{1, 2, 3}, {4, 5}});
  quern_view view;
  quern_error error;
  run(session, batch);
  EXPECT_EQ(quern_session_site(session, "E.z", &view, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("capture was off"));
  EXPECT_EQ(quern_session_buffer(session, "factors", &view, &error),
            QUERN_ERROR_ARGUMENT);

  quern_session_set_capture(session, 1);
  std::vector<float> with = run(session, batch);
  EXPECT_EQ(with, expected(batch));
  ASSERT_EQ(quern_session_site(session, "E.z", &view, &error), QUERN_OK);
  EXPECT_EQ(view.rows, 5u);
  EXPECT_EQ(view.columns, 24u);
  EXPECT_EQ(view.stride, 24u);
  auto *codes = static_cast<const uint8_t *>(view.data);
  std::vector<int> rows(codes + 24, codes + 48);
  for (int j = 0; j < 24; ++j)
    EXPECT_EQ(rows[size_t(j)], (2 * 7 + j * 3) % 11 + 1);
  ASSERT_EQ(quern_session_site(session, "L0.k", &view, &error), QUERN_OK);
  auto *part = static_cast<const uint8_t *>(view.data);
  EXPECT_EQ(view.columns, 8u);
  EXPECT_THAT(std::vector<int>(part + 8, part + 16),
              ElementsAreArray(rows.begin() + 8, rows.begin() + 16));
  ASSERT_EQ(quern_session_site(session, "L0.p", &view, &error), QUERN_OK);
  EXPECT_EQ(view.rows, 9u + 4u);
  auto *factors = static_cast<const uint8_t *>(view.data);
  EXPECT_THAT(std::vector<int>(factors, factors + 13),
              ElementsAre(1, 2, 3, 2, 3, 1, 3, 1, 2, 1, 2, 2, 3));
  EXPECT_EQ(quern_session_site(session, "L0.h", &view, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("not materialized"));
  EXPECT_EQ(quern_session_site(session, "L9.x", &view, &error),
            QUERN_ERROR_ARGUMENT);

  // A larger run moves everything; switching off gives the memory back.
  Batch large = Batch::mixed(64);
  EXPECT_EQ(run(session, large), expected(large));
  quern_session_set_capture(session, 0);
  EXPECT_EQ(run(session, large), expected(large));
  quern_run_counters counters;
  quern_session_counters(session, &counters);
  EXPECT_EQ(counters.capture_bytes, 0u);
}

/// Here the codes that follow those of the site stand for a range.
TEST_F(SessionToolsTest, CaptureKeepsRangesOfRows) {
  TestModule with;
  with.manifest.sites[1]->range = 16;
  with.pack();
  TemporaryFile file(with.file());
  quern_module *opened;
  quern_session *own;
  quern_error error;
  ASSERT_EQ(quern_module_open(file.path(), &opened, &error), QUERN_OK)
      << error.message;
  ASSERT_EQ(quern_session_create(opened, 1, &own, &error), QUERN_OK);
  quern_session_set_capture(own, 1);
  Batch batch({{1, 2, 3}, {4, 5}});
  run(own, batch);
  quern_view all, view;
  ASSERT_EQ(quern_session_site(own, "E.z", &all, &error), QUERN_OK);
  EXPECT_EQ(all.ranges, nullptr);
  ASSERT_EQ(quern_session_site(own, "L0.k", &view, &error), QUERN_OK);
  EXPECT_EQ(view.columns, 8u);
  ASSERT_NE(view.ranges, nullptr);
  for (uint64_t row = 0; row < 5; ++row) {
    auto *codes = static_cast<const char *>(all.data) + row * all.stride;
    EXPECT_EQ(memcmp(static_cast<const char *>(view.data) + row * view.stride,
                     codes + 8, 8),
              0);
    EXPECT_EQ(memcmp(static_cast<const char *>(view.ranges) + row * view.stride,
                     codes + 16, 8),
              0);
  }
  quern_session_destroy(own);
  quern_module_close(opened);
}

TEST_F(SessionToolsTest, BuffersCanBeRead) {
  Batch batch({{1, 2, 3}, {4, 5}});
  run(session, batch);
  quern_view view;
  ASSERT_EQ(quern_session_buffer(session, "positions", &view, nullptr),
            QUERN_OK);
  auto *positions = static_cast<const int32_t *>(view.data);
  EXPECT_THAT(std::vector<int>(positions, positions + view.rows),
              ElementsAre(0, 1, 2, 0, 1));
  ASSERT_EQ(quern_session_buffer(session, "offsets", &view, nullptr), QUERN_OK);
  EXPECT_EQ(view.rows, 3u);
  EXPECT_EQ(quern_session_buffer(session, "nothing", &view, nullptr),
            QUERN_ERROR_ARGUMENT);
  // More than has ever run is in no buffer.
  const std::vector<quern_text> texts(5000, {"a b c", 5, nullptr, 0});
  quern_output output;
  quern_error error = {};
  ASSERT_EQ(quern_tokenize(session, texts.data(), uint32_t(texts.size()), 0,
                           &output, &error),
            QUERN_OK)
      << error.message;
  EXPECT_EQ(quern_session_buffer(session, "positions", &view, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, testing::HasSubstr("expected a run"));
  EXPECT_EQ(view.data, nullptr);
  run(session, batch);
  EXPECT_EQ(quern_session_buffer(session, "positions", &view, nullptr),
            QUERN_OK);
}

} // namespace
