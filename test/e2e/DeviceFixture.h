//===- DeviceFixture.h - Models on a GPU that the emulator plays *- C++ -*-===//
//
// The emulator's driver in place of that of CUDA, and the comparison of a run
// with the graph of L2.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_E2E_DEVICEFIXTURE_H
#define QUERN_TEST_E2E_DEVICEFIXTURE_H

#include "compiler/Verify/SiteRuns.h"
#include "runtime/src/manifest_generated.h"
#include "test/e2e/DeviceModule.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <dlfcn.h>
#include <optional>

namespace quern::test {

/// A model of two layers whose widths are no multiples of a tile.
inline TinyModelOptions optionsFor(HeadKind head) {
  TinyModelOptions options;
  options.head = head;
  options.hidden = 64;
  options.heads = 2;
  options.intermediate = 80;
  options.positions = 40;
  options.vocab = tinyVocabularySize();
  options.labels = 3;
  return options;
}

/// What the emulator counts under a name.
inline size_t counted(const char *name) {
  void *library = dlopen(QUERN_TEST_EMULATED_CUDA, RTLD_NOW);
  auto count =
      reinterpret_cast<size_t (*)()>(library ? dlsym(library, name) : nullptr);
  return count ? count() : 0;
}

class DeviceTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("QUERN_CUDA_DRIVER", QUERN_TEST_EMULATED_CUDA, 1);
  }
  void TearDown() override {
    unsetenv("QUERN_CUDA_DRIVER");
    unsetenv("EMULATED_CUDA_MEMORY");
    unsetenv("EMULATED_CUDA_CAPABILITY");
    unsetenv("EMULATED_CUDA_VERSION");
    unsetenv("EMULATED_CUDA_REFUSES");
  }

  /// What a session launches, one a line; those of one layer, if not of all.
  std::string sessionKernels(const DeviceModule &module,
                             std::optional<int32_t> layer = std::nullopt) {
    quern_error error = {};
    quern_session *session = nullptr;
    if (quern_session_create_on(module.get(), QUERN_DEVICE_CUDA, 0, &session,
                                &error)) {
      ADD_FAILURE() << error.message;
      return "";
    }
    std::string names;
    for (uint32_t i = 0; i != quern_session_step_count(session); ++i) {
      quern_step_info info;
      EXPECT_EQ(quern_session_step(session, i, &info, &error), QUERN_OK);
      if (*info.kernel && (!layer || info.layer == *layer))
        names += std::string(info.kernel) + "\n";
    }
    quern_session_destroy(session);
    return names;
  }

  /// Compares all sites and the output with L2; gives the sites that do not
  /// leave their kernels.
  std::vector<std::string> compareWithGraph(DeviceModule &module,
                                            const TokenBatch &batch) {
    std::vector<std::string> hidden;
    auto gpu = MachineRun::create(module.get(), QUERN_TIER_CUDA, 1);
    if (!gpu) {
      ADD_FAILURE() << gpu.message();
      return hidden;
    }
    auto expected = runGraph(module.integer(), Arithmetic::Machine, batch);
    EXPECT_TRUE(mlir::succeeded(expected));
    if (Error error = gpu->run(batch)) {
      ADD_FAILURE() << error.message();
      return hidden;
    }
    for (const std::string &name : expected->order) {
      Difference difference;
      if (!gpu->compareSite(name, expected->sites.at(name), difference)) {
        hidden.push_back(name);
        continue;
      }
      EXPECT_EQ(difference.differ, 0u) << name;
      EXPECT_GT(difference.values, 0u) << name;
    }
    Difference output;
    gpu->compareOutput(expected->output, output);
    EXPECT_EQ(output.differ, 0u);
    EXPECT_GT(output.values, 0u);
    return hidden;
  }
};

} // namespace quern::test

#endif // QUERN_TEST_E2E_DEVICEFIXTURE_H
