//===- SessionFixture.h - sessions of a hand-made module ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_TEST_RUNTIME_SESSIONFIXTURE_H
#define QUERN_TEST_RUNTIME_SESSIONFIXTURE_H

#include "test/runtime/TestModule.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace quern::test {

struct Batch {
  std::vector<std::vector<int>> sequences;
  std::vector<int32_t> ids, offsets = {0};

  explicit Batch(std::vector<std::vector<int>> all)
      : sequences(std::move(all)) {
    for (const auto &sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      offsets.push_back(int32_t(ids.size()));
    }
  }

  /// A batch of `count` sequences of mixed lengths.
  static Batch mixed(int count, int seed = 1) {
    std::vector<std::vector<int>> all;
    for (int s = 0; s < count; ++s) {
      std::vector<int> sequence;
      for (int t = 0; t < 1 + (s * 7 + seed) % 32; ++t)
        sequence.push_back((s * 13 + t * 5 + seed) % 40);
      all.push_back(sequence);
    }
    return Batch(all);
  }
};

class SessionTest : public testing::Test {
protected:
  void SetUp() override {
    parts.pack();
    file = std::make_unique<TemporaryFile>(parts.file());
    quern_error error;
    ASSERT_EQ(quern_module_open(file->path(), &module, &error), QUERN_OK)
        << error.message;
    session = open(2);
  }
  void TearDown() override {
    quern_session_destroy(session);
    quern_module_close(module);
  }

  quern_session *open(uint32_t threads) {
    quern_error error;
    quern_session *opened = nullptr;
    EXPECT_EQ(quern_session_create(module, threads, &opened, &error), QUERN_OK)
        << error.message;
    return opened;
  }

  std::vector<float> run(quern_session *on, const Batch &batch) {
    quern_error error;
    quern_output output;
    EXPECT_EQ(quern_run_ids(on, batch.ids.data(), nullptr, batch.offsets.data(),
                            uint32_t(batch.sequences.size()), &output, &error),
              QUERN_OK)
        << error.message;
    return std::vector<float>(output.data,
                              output.data + output.rows * output.columns);
  }

  std::vector<float> expected(const Batch &batch) {
    std::vector<float> all;
    for (const auto &sequence : batch.sequences)
      for (float value : parts.expected(sequence))
        all.push_back(value);
    return all;
  }

  TestModule parts;
  std::unique_ptr<TemporaryFile> file;
  quern_module *module = nullptr;
  quern_session *session = nullptr;
};

} // namespace quern::test

#endif // QUERN_TEST_RUNTIME_SESSIONFIXTURE_H
