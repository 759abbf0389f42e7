//===- SessionTest.cpp - runs of a hand-made module -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Values, batches, threads, capacity. What tools see of a run is in
// SessionToolsTest.cpp.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/SessionFixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

using namespace quern;
using namespace quern::test;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

//===----------------------------------------------------------------------===//
// Allocation counting
//===----------------------------------------------------------------------===//

// Sanitizers bring their own allocator; without them the test binary's
// definitions come before libc's.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QUERN_TEST_NO_COUNTING
#endif
#endif

static std::atomic<long> allocations{0};

#ifndef QUERN_TEST_NO_COUNTING
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *malloc(size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes) {
  ++allocations;
  return __libc_realloc(old, bytes);
}
}
#endif

namespace {

TEST_F(SessionTest, Describes) {
  quern_description d;
  quern_module_describe(module, &d);
  EXPECT_EQ(d.head, QUERN_HEAD_CLASSIFICATION);
  EXPECT_STREQ(d.name, "tiny");
  EXPECT_STREQ(d.family, "bert");
  EXPECT_STREQ(d.recipe, "test");
  EXPECT_STREQ(d.pooling, "mean");
  EXPECT_EQ(d.max_length, 32u);
  EXPECT_EQ(d.columns, 3u);
  EXPECT_EQ(d.rows_are_tokens, 0);
  EXPECT_EQ(d.has_tokenizer, 1);
  EXPECT_EQ(d.label_count, 3u);
  EXPECT_STREQ(quern_module_label(module, 1), "middle");
  EXPECT_EQ(quern_module_label(module, 3), nullptr);
  size_t bytes;
  const char *token = quern_module_token(module, 2, &bytes);
  EXPECT_EQ(std::string(token, bytes), "[CLS]");
  EXPECT_EQ(quern_module_token(module, -1, &bytes), nullptr);
  EXPECT_EQ(quern_module_token(module, 30, &bytes), nullptr);
}

TEST_F(SessionTest, ComputesWhatTheKernelsSay) {
  Batch batch({{1, 2, 3}, {7}, {5, 5, 5, 5, 39, 0}});
  EXPECT_EQ(run(session, batch), expected(batch));
}

TEST_F(SessionTest, BatchAndThreadsDoNotMatter) {
  Batch batch = Batch::mixed(23);
  std::vector<float> wanted = expected(batch);
  for (uint32_t threads : {1u, 2u, 3u, 4u}) {
    quern_session *other = open(threads);
    EXPECT_EQ(quern_session_threads(other), threads);
    for (int repeat = 0; repeat < 5; ++repeat)
      ASSERT_EQ(run(other, batch), wanted) << threads;
    quern_session_destroy(other);
  }
}

TEST_F(SessionTest, SessionsRunInParallel) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      quern_session *own = open(2);
      for (int repeat = 0; repeat < 20; ++repeat) {
        Batch batch = Batch::mixed(5 + caller, repeat);
        ASSERT_EQ(run(own, batch), expected(batch));
      }
      quern_session_destroy(own);
    });
  for (std::thread &caller : callers)
    caller.join();
}

/// A second thread in the middle of a run, and the callback itself.
TEST_F(SessionTest, OneThreadAtATime) {
  struct Caller {
    quern_session *session;
    int refused = 0;
    void operator()() {
      int32_t ids[] = {1, 2}, offsets[] = {0, 2};
      quern_error error = {};
      quern_output output;
      quern_text text = {"a", 1, nullptr, 0};
      const quern_status found[] = {
          quern_run_ids(session, ids, nullptr, offsets, 1, &output, &error),
          quern_run_texts(session, &text, 1, 0, &output, &error),
          quern_tokenize(session, &text, 1, 0, &output, &error),
          quern_session_set_max_length(session, 8, &error),
          quern_session_reserve(session, 100000, 100, &error)};
      for (quern_status status : found)
        refused += status == QUERN_ERROR_ARGUMENT;
      EXPECT_THAT(error.message, HasSubstr("in use by another call"));
    }
  } caller = {session};
  quern_session_set_callback(
      session,
      [](void *context, uint32_t step) {
        if (step != 0)
          return;
        Caller &caller = *static_cast<Caller *>(context);
        caller();
        std::thread([&] { caller(); }).join();
      },
      &caller);
  Batch batch = Batch::mixed(3);
  EXPECT_EQ(run(session, batch), expected(batch));
  EXPECT_EQ(caller.refused, 10);
  quern_session_set_callback(session, nullptr, nullptr);
  EXPECT_EQ(run(session, batch), expected(batch));
}

TEST_F(SessionTest, RunsTextsAndPairs) {
  quern_text texts[] = {{"a b c", 5, nullptr, 0}, {"d", 1, "e f", 3}};
  quern_error error;
  quern_output output;
  ASSERT_EQ(quern_run_texts(session, texts, 2, 0, &output, &error), QUERN_OK)
      << error.message;
  // [CLS] a b c [SEP], [CLS] d [SEP] e f [SEP]; a is 4.
  std::vector<int> first = {2, 4, 5, 6, 3}, second = {2, 7, 3, 8, 9, 3};
  std::vector<int> types = {0, 0, 0, 1, 1, 1};
  EXPECT_EQ(output.sequences, 2u);
  EXPECT_EQ(output.rows, 2u);
  EXPECT_EQ(output.tokens, 11u);
  EXPECT_EQ(std::vector<int>(output.ids, output.ids + 5), first);
  EXPECT_EQ(std::vector<int>(output.ids + 5, output.ids + 11), second);
  EXPECT_EQ(std::vector<int>(output.type_ids + 5, output.type_ids + 11), types);
  EXPECT_EQ(output.offsets[1], 5);
  EXPECT_EQ(output.truncated[0], 0);
  EXPECT_EQ(output.spans[3][0], 4u);
  EXPECT_EQ(output.spans[3][1], 5u);
  EXPECT_EQ(std::vector<float>(output.data, output.data + 3),
            parts.expected(first));
  EXPECT_EQ(std::vector<float>(output.data + 3, output.data + 6),
            parts.expected(second, types));

  ASSERT_EQ(quern_tokenize(session, texts + 1, 1, 0, &output, &error),
            QUERN_OK);
  EXPECT_EQ(output.tokens, 6u);
  EXPECT_EQ(output.data, nullptr);
}

TEST_F(SessionTest, EmptyTextIsAText) {
  quern_text text = {nullptr, 0, nullptr, 0};
  quern_output output;
  ASSERT_EQ(quern_run_texts(session, &text, 1, 0, &output, nullptr), QUERN_OK);
  EXPECT_EQ(std::vector<int>(output.ids, output.ids + output.tokens),
            (std::vector<int>{2, 3}));
}

TEST_F(SessionTest, LongTextIsTruncatedOrRefused) {
  std::string longText;
  for (int i = 0; i < 50; ++i)
    longText += "a ";
  quern_text texts[] = {{"b", 1, nullptr, 0},
                        {longText.data(), longText.size(), nullptr, 0}};
  quern_error error;
  quern_output output;
  ASSERT_EQ(quern_run_texts(session, texts, 2, 0, &output, &error), QUERN_OK);
  EXPECT_EQ(output.truncated[0], 0);
  EXPECT_EQ(output.truncated[1], 1);
  EXPECT_EQ(output.offsets[2] - output.offsets[1], 32);
  EXPECT_EQ(
      quern_run_texts(session, texts, 2, QUERN_RUN_STRICT, &output, &error),
      QUERN_ERROR_TOO_LONG);
  EXPECT_THAT(error.message, HasSubstr("text 1: found more than 32 tokens"));
  EXPECT_EQ(output.data, nullptr);
}

TEST_F(SessionTest, RefusesBadIds) {
  auto refuse = [&](std::vector<int32_t> ids, std::vector<int32_t> offsets,
                    const char *text, const int32_t *types = nullptr) {
    quern_error error = {};
    quern_output output;
    EXPECT_NE(quern_run_ids(session, ids.data(), types, offsets.data(),
                            uint32_t(offsets.size() - 1), &output, &error),
              QUERN_OK);
    EXPECT_THAT(error.message, HasSubstr(text));
  };
  refuse({1, 40}, {0, 2}, "token 1: id: found 40, expected 0 to 39");
  refuse({-1}, {0, 1}, "found -1");
  refuse({1, 2}, {0, 0, 2}, "sequence 0: found 0 tokens, expected 1 to 32");
  refuse({1, 2}, {0, 2, 1}, "sequence 1: found -1 tokens");
  refuse({1, 2}, {1, 2}, "offsets[0]: found 1, expected 0");
  refuse(std::vector<int32_t>(33, 1), {0, 33}, "found 33 tokens");
  int32_t types[] = {0, 2};
  refuse({1, 2}, {0, 2}, "token 1: type id: found 2, expected 0 to 1", types);
  quern_error error;
  quern_output output;
  EXPECT_EQ(
      quern_run_ids(session, nullptr, nullptr, nullptr, 0, &output, &error),
      QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(quern_run_texts(session, nullptr, 0, 0, &output, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(quern_session_reserve(nullptr, 1, 1, &error), QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(quern_session_set_max_length(nullptr, 8, &error),
            QUERN_ERROR_ARGUMENT);
  // And still works.
  Batch batch = Batch::mixed(3);
  EXPECT_EQ(run(session, batch), expected(batch));
}

TEST_F(SessionTest, GrowsAndThenAllocatesNothing) {
  Batch small = Batch::mixed(2), large = Batch::mixed(300);
  EXPECT_EQ(run(session, small), expected(small));
  EXPECT_EQ(run(session, large), expected(large));
  EXPECT_EQ(run(session, small), expected(small));

  quern_output output;
  quern_text text = {"a b c d e f", 11, "g h i", 5};
  ASSERT_EQ(quern_run_texts(session, &text, 1, 0, &output, nullptr), QUERN_OK);
  quern_run_counters before, after;
  quern_session_counters(session, &before);
  long start = allocations;
  for (int i = 0; i < 10; ++i) {
    quern_run_ids(session, large.ids.data(), nullptr, large.offsets.data(), 300,
                  &output, nullptr);
    quern_run_texts(session, &text, 1, 0, &output, nullptr);
  }
  EXPECT_EQ(allocations - start, 0);
  quern_session_counters(session, &after);
  EXPECT_EQ(before.arena_bytes, after.arena_bytes);
}

TEST_F(SessionTest, ReserveIsChecked) {
  EXPECT_EQ(quern_session_reserve(session, 5000, 100, nullptr), QUERN_OK);
  quern_error error;
  EXPECT_EQ(quern_session_reserve(session, UINT32_MAX, 1, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("4294967295 tokens"));
  Batch batch = Batch::mixed(100);
  EXPECT_EQ(run(session, batch), expected(batch));
  quern_session *other;
  EXPECT_EQ(quern_session_create(module, 257, &other, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_EQ(other, nullptr);
}

TEST_F(SessionTest, TiersCanBeForced) {
  bool wide = quern_tier_usable(QUERN_TIER_AVX512VNNI, nullptr);
  EXPECT_EQ(quern_session_tier(session),
            uint32_t(wide ? QUERN_TIER_AVX512VNNI : QUERN_TIER_SSE2));
  quern_step_info info;
  ASSERT_EQ(quern_session_step(session, 1, &info, nullptr), QUERN_OK);
  // The wide tier declines this kernel.
  EXPECT_EQ(info.tier, uint32_t(QUERN_TIER_SSE2));
  EXPECT_STREQ(info.family, "sse2");
  Batch batch = Batch::mixed(4);
  std::vector<float> best = run(session, batch);
  ASSERT_EQ(quern_session_force_tier(session, QUERN_TIER_SSE2, nullptr),
            QUERN_OK);
  EXPECT_EQ(quern_session_tier(session), uint32_t(QUERN_TIER_SSE2));
  EXPECT_EQ(run(session, batch), best);
}

TEST_F(SessionTest, EnvironmentCapsTheTier) {
  setenv("QUERN_MAX_ISA", "sse2", 1);
  quern_session *plain = open(1);
  EXPECT_EQ(quern_session_tier(plain), uint32_t(QUERN_TIER_SSE2));
  quern_session_destroy(plain);
  setenv("QUERN_MAX_ISA", "fast", 1);
  quern_error error;
  quern_session *none;
  EXPECT_EQ(quern_session_create(module, 1, &none, &error),
            QUERN_ERROR_UNSUPPORTED);
  EXPECT_THAT(error.message, HasSubstr("QUERN_MAX_ISA: found \"fast\""));
  unsetenv("QUERN_MAX_ISA");
}

TEST_F(SessionTest, AffinityIsChecked) {
  int cpus[] = {0, 0, 0};
  quern_error error;
  EXPECT_EQ(quern_session_set_affinity(session, cpus, 3, &error),
            QUERN_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("found 3 CPUs"));
}

TEST_F(SessionTest, LinkedModuleGivesTheSame) {
  quern_linked_image image = parts.image();
  quern_module *linked;
  quern_error error;
  ASSERT_EQ(quern_module_open_linked(&image, &linked, &error), QUERN_OK)
      << error.message;
  quern_session *own;
  ASSERT_EQ(quern_session_create(linked, 1, &own, &error), QUERN_OK);
  Batch batch = Batch::mixed(9);
  EXPECT_EQ(run(own, batch), expected(batch));
  quern_session_destroy(own);
  quern_module_close(linked);

  image.abi_version = 7;
  EXPECT_EQ(quern_module_open_linked(&image, &linked, &error),
            QUERN_ERROR_VERSION);
  image = parts.image();
  image.weights_bytes -= 64;
  EXPECT_EQ(quern_module_open_linked(&image, &linked, &error),
            QUERN_ERROR_FORMAT);
  EXPECT_THAT(error.message, HasSubstr("constant weights"));
}

} // namespace
