//===- MisuseTest.cpp - the C API in hands that err -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Nulls, options that do not exist, one session on two threads: refused as
// quern.h says, and the session works afterwards.
//
//===----------------------------------------------------------------------===//
#include "quern/introspect.h"
#include "test/runtime/SessionFixture.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstring>
#include <thread>

using namespace quern::test;
using testing::HasSubstr;

namespace {

class MisuseTest : public SessionTest {
protected:
  /// The session still computes what its kernels say.
  void TearDown() override {
    Batch batch = Batch::mixed(3);
    EXPECT_EQ(run(session, batch), expected(batch));
    SessionTest::TearDown();
  }

  quern_error error = {};
  quern_output output = {};
};

} // namespace

TEST_F(MisuseTest, NullIsAnArgumentError) {
  const quern_status wrong = QUERN_ERROR_ARGUMENT;
  quern_text text = {"a", 1, nullptr, 0};
  quern_step_info info;
  quern_view view;
  int cpu = 0;
  quern_module *opened = module;
  quern_session *created = session;
  EXPECT_EQ(quern_module_open(nullptr, &opened, &error), wrong);
  EXPECT_EQ(opened, nullptr);
  EXPECT_EQ(quern_module_open("x", nullptr, nullptr), wrong);
  EXPECT_EQ(quern_module_open_linked(nullptr, nullptr, &error), wrong);
  EXPECT_EQ(quern_inspect_open(nullptr, nullptr, &error), wrong);
  EXPECT_EQ(quern_session_create(nullptr, 1, &created, &error), wrong);
  EXPECT_EQ(created, nullptr);
  EXPECT_EQ(quern_session_create(module, 1, nullptr, &error), wrong);
  EXPECT_EQ(quern_run_texts(nullptr, &text, 1, 0, &output, &error), wrong);
  EXPECT_EQ(quern_run_texts(session, &text, 1, 0, nullptr, &error), wrong);
  EXPECT_EQ(quern_tokenize(nullptr, &text, 1, 0, &output, nullptr), wrong);
  EXPECT_EQ(quern_run_ids(session, &cpu, nullptr, &cpu, 1, nullptr, &error),
            wrong);
  EXPECT_EQ(quern_run_images(session, nullptr, 1, &output, &error), wrong);
  EXPECT_EQ(quern_session_force_tier(nullptr, 0, &error), wrong);
  EXPECT_EQ(quern_session_set_affinity(nullptr, &cpu, 1, &error), wrong);
  EXPECT_EQ(quern_session_set_affinity(session, nullptr, 2, &error), wrong);
  EXPECT_EQ(quern_session_step(nullptr, 0, &info, &error), wrong);
  EXPECT_EQ(quern_session_step(session, 0, nullptr, &error), wrong);
  EXPECT_EQ(quern_session_buffer(session, nullptr, &view, &error), wrong);
  EXPECT_EQ(quern_session_buffer(session, "x", nullptr, &error), wrong);
  EXPECT_EQ(quern_session_site(nullptr, "x", &view, &error), wrong);
  EXPECT_STREQ(error.message, "quern_session_site: null");
}

TEST_F(MisuseTest, NullDescribesAsNothing) {
  quern_description description;
  quern_module_describe(nullptr, &description);
  EXPECT_STREQ(description.name, "");
  EXPECT_EQ(description.columns, 0u);
  quern_module_describe(module, nullptr);
  size_t length = 7;
  EXPECT_EQ(quern_module_token(nullptr, 0, &length), nullptr);
  EXPECT_EQ(length, 0u);
  EXPECT_NE(quern_module_token(module, 1, nullptr), nullptr);
  EXPECT_EQ(quern_module_label(nullptr, 0), nullptr);
  uint64_t bytes = 7;
  EXPECT_EQ(quern_module_manifest(nullptr, &bytes), nullptr);
  EXPECT_EQ(bytes, 0u);
  EXPECT_EQ(quern_module_constant(nullptr, 0), nullptr);
  quern_weights_info weights;
  quern_module_weights(nullptr, &weights);
  EXPECT_EQ(weights.read_bytes, 0u);
  EXPECT_EQ(quern_inspect_trailer(nullptr), nullptr);
  EXPECT_EQ(quern_inspect_section(nullptr, 0, &bytes), nullptr);
  const char *about = nullptr;
  EXPECT_EQ(quern_session_device(nullptr, &about), QUERN_DEVICE_CPU);
  EXPECT_STREQ(about, "");
  EXPECT_STREQ(quern_session_device_note(nullptr), "");
  EXPECT_EQ(quern_session_gpu_peak(nullptr), 0);
  EXPECT_EQ(quern_session_gpu_bandwidth(nullptr), 0);
  EXPECT_EQ(quern_session_tier(nullptr), 0u);
  EXPECT_EQ(quern_session_threads(nullptr), 0u);
  EXPECT_EQ(quern_session_step_count(nullptr), 0u);
  quern_run_counters counters;
  quern_session_counters(nullptr, &counters);
  EXPECT_EQ(counters.chunks, 0u);
  quern_session_set_timing(nullptr, 1);
  quern_session_set_capture(nullptr, 1);
  quern_session_set_callback(nullptr, nullptr, nullptr);
  quern_session_destroy(nullptr);
  quern_module_close(nullptr);
  quern_inspect_close(nullptr);
  EXPECT_GT(quern_doctor(0, nullptr, 100), 100u);
}

TEST_F(MisuseTest, UnknownOptionsAreRefused) {
  quern_text text = {"a", 1, nullptr, 0};
  EXPECT_EQ(quern_run_texts(session, &text, 1, 6, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("options: found 0x6"));
  EXPECT_EQ(quern_tokenize(session, &text, 1, 2, &output, &error),
            QUERN_ERROR_ARGUMENT);
  quern_session *none = session;
  EXPECT_EQ(quern_session_create_on(module, quern_device(3), 1, &none, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(none, nullptr);
}

TEST_F(MisuseTest, AnyBytesAreAText) {
  const char bytes[] = "a\0b\xff\xc3(\xe2\x82 \xf0\x9f";
  quern_text texts[] = {{bytes, sizeof(bytes) - 1, nullptr, 0},
                        {nullptr, 0, nullptr, 0},
                        {"a", 1, "\0", 1}};
  ASSERT_EQ(quern_run_texts(session, texts, 3, 0, &output, &error), QUERN_OK)
      << error.message;
  EXPECT_EQ(output.sequences, 3u);
  EXPECT_EQ(output.offsets[2] - output.offsets[1], 2);
  for (uint32_t t = 0; t < output.tokens; ++t)
    EXPECT_LE(output.spans[t][1], sizeof(bytes) - 1);
  texts[1].text_bytes = 1;
  EXPECT_EQ(quern_run_texts(session, texts, 3, 0, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_STREQ(error.message, "text 1 is null");
}

TEST_F(MisuseTest, OneSessionOnManyThreadsRunsOrRefuses) {
  Batch batch = Batch::mixed(40);
  std::vector<float> wanted = expected(batch);
  std::atomic<int> runs{0}, others{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        quern_output out;
        quern_status status = quern_run_ids(
            session, batch.ids.data(), nullptr, batch.offsets.data(),
            uint32_t(batch.sequences.size()), &out, nullptr);
        if (status == QUERN_OK)
          ++runs;
        else if (status != QUERN_ERROR_ARGUMENT || out.data)
          ++others;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_GT(runs, 0);
  EXPECT_EQ(others, 0);
  EXPECT_EQ(run(session, batch), wanted);
}

TEST_F(MisuseTest, SessionsOnThreadsOfTheirOwn) {
  Batch batch = Batch::mixed(20);
  std::vector<float> wanted = expected(batch);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        quern_session *own = nullptr;
        if (quern_session_create(module, 1 + t % 3, &own, nullptr)) {
          ++wrong;
          continue;
        }
        quern_output out;
        if (quern_run_ids(own, batch.ids.data(), nullptr, batch.offsets.data(),
                          uint32_t(batch.sequences.size()), &out, nullptr) ||
            std::memcmp(out.data, wanted.data(), 4 * wanted.size()) != 0)
          ++wrong;
        quern_session_destroy(own);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}
