//===- DeviceSessionTest.cpp - sessions that want a GPU -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Whatever may be missing, with the driver of FakeCuda.c: a sentence where a
// GPU was asked for, the CPU where either would do. What a GPU computes is
// shown by test/e2e/DeviceTest.cpp.
//
//===----------------------------------------------------------------------===//
#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::HasSubstr;

namespace {

class DeviceSession : public testing::Test {
protected:
  void SetUp() override {
    setenv("QUERN_CUDA_DRIVER", QUERN_TEST_FAKE_CUDA, 1);
  }
  void TearDown() override {
    unsetenv("QUERN_CUDA_DRIVER");
    unsetenv("FAKE_CUDA");
  }

  /// A module with PTX that the fake takes, or other text, or none; with text
  /// for sm_90a, steps have a kernel of that, too.
  void make(const char *ptx, const char *hopper = nullptr) {
    auto device = std::make_unique<DeviceT>();
    auto addCode = [&](const char *variant, const char *text,
                       const char *kernel) {
      device->kernels.push_back(std::make_unique<DeviceKernelT>());
      device->kernels.back()->name = kernel;
      device->kernels.back()->threads = 32;
      if (!text)
        return;
      device->code.push_back(std::make_unique<DeviceCodeT>());
      device->code.back()->variant = variant;
      device->code.back()->ptx = text;
    };
    addCode("sm_80", ptx, "count");
    if (hopper)
      addCode("sm_90a", hopper, "warpgroup");
    for (size_t i = 0; i != parts.manifest.steps.size(); ++i) {
      device->steps.push_back(std::make_unique<DeviceStepT>());
      DeviceStepT &step = *device->steps.back();
      step.x = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
      step.y = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
      step.params.emplace_back(DeviceParamKind::Data, 0);
      if (!hopper)
        continue;
      step.warpgroup.push_back(std::make_unique<DeviceChoiceT>());
      DeviceChoiceT &choice = *step.warpgroup.back();
      choice.kernel = 1;
      choice.cost = 1;
      choice.x = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
      choice.y = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
    }
    if (ptx || hopper)
      parts.manifest.device = std::move(device);
    parts.pack();
    image = parts.image();
    quern_error error = {};
    ASSERT_EQ(quern_module_open_linked(&image, &module, &error), QUERN_OK)
        << error.message;
  }

  /// What a session says that must have a GPU; with `auto` the CPU is taken
  /// for the same reason, and works.
  std::string refusal(quern_status expected) {
    quern_session *session = nullptr;
    quern_error error = {};
    EXPECT_EQ(
        quern_session_create_on(module, QUERN_DEVICE_CUDA, 1, &session, &error),
        expected);
    EXPECT_EQ(session, nullptr);
    quern_error none = {};
    EXPECT_EQ(
        quern_session_create_on(module, QUERN_DEVICE_AUTO, 1, &session, &none),
        QUERN_OK)
        << none.message;
    const char *why = nullptr;
    EXPECT_EQ(quern_session_device(session, &why), QUERN_DEVICE_CPU);
    EXPECT_STREQ(why, error.message);
    EXPECT_STREQ(quern_session_device_note(session), error.message);
    const int32_t ids[] = {1, 2}, offsets[] = {0, 2};
    quern_output output = {};
    EXPECT_EQ(quern_run_ids(session, ids, nullptr, offsets, 1, &output, &none),
              QUERN_OK)
        << none.message;
    EXPECT_EQ(std::vector<float>(output.data, output.data + output.columns),
              parts.expected({1, 2}));
    quern_session_destroy(session);
    quern_module_close(module);
    return error.message;
  }

  TestModule parts;
  quern_linked_image image = {};
  quern_module *module = nullptr;
};

const char *const kPtx = ".version 7.0\n.visible .entry count(...)";

TEST_F(DeviceSession, ModuleWithoutCode) {
  make(nullptr);
  EXPECT_EQ(refusal(QUERN_ERROR_UNSUPPORTED),
            "the module has no code for GPUs; compile it with --target nvptx");
}

TEST_F(DeviceSession, NoDriver) {
  setenv("QUERN_CUDA_DRIVER", "no-such-driver.so", 1);
  make(kPtx);
  EXPECT_THAT(refusal(QUERN_ERROR_UNSUPPORTED),
              HasSubstr("no CUDA driver: no-such-driver.so"));
}

TEST_F(DeviceSession, NoDevice) {
  setenv("FAKE_CUDA", "nodevice", 1);
  make(kPtx);
  EXPECT_EQ(refusal(QUERN_ERROR_UNSUPPORTED),
            "the CUDA driver finds no device");
}

TEST_F(DeviceSession, OldDevices) {
  setenv("FAKE_CUDA", "old", 1);
  make(kPtx);
  EXPECT_EQ(refusal(QUERN_ERROR_UNSUPPORTED),
            "CUDA device 0, Fake T4: it is too old: the kernels need compute "
            "capability 8.0");
}

TEST_F(DeviceSession, CodeThatDoesNotCompile) {
  make("no PTX");
  EXPECT_EQ(refusal(QUERN_ERROR_UNSUPPORTED),
            "the CUDA driver cannot compile the kernels: CUDA_ERROR_UNKNOWN: "
            "unknown error; ptxas fatal: line 7 that is all");
}

const char *const kHopper =
    ".version 8.4\n.target sm_90a\n.visible .entry warpgroup(...)";

/// The kernel that a session on the GPU takes for the first step, and what it
/// says of that; it runs.
std::string takenKernel(const quern_module *module, std::string *note) {
  quern_session *session = nullptr;
  quern_error error = {};
  EXPECT_EQ(
      quern_session_create_on(module, QUERN_DEVICE_CUDA, 1, &session, &error),
      QUERN_OK)
      << error.message;
  if (!session)
    return "";
  quern_step_info info = {};
  EXPECT_EQ(quern_session_step(session, 0, &info, &error), QUERN_OK);
  std::string name = info.kernel;
  *note = quern_session_device_note(session);
  // The fake has no launches of kernels for sm_90a.
  const int32_t ids[] = {1, 2}, offsets[] = {0, 2};
  quern_output output = {};
  quern_status expected = name == "count" ? QUERN_OK : QUERN_ERROR_UNSUPPORTED;
  EXPECT_EQ(quern_run_ids(session, ids, nullptr, offsets, 1, &output, &error),
            expected);
  quern_session_destroy(session);
  return name;
}

TEST_F(DeviceSession, TextForHopperThatIsRefused) {
  make(kPtx, kHopper);
  std::string note;
  EXPECT_EQ(takenKernel(module, &note), "warpgroup");
  EXPECT_EQ(note, "");
  setenv("FAKE_CUDA", "refuse", 1);
  EXPECT_EQ(takenKernel(module, &note), "count");
  EXPECT_EQ(note,
            "the CUDA driver cannot compile the kernels: CUDA_ERROR_UNKNOWN: "
            "unknown error; ptxas fatal: line 7 that is all");
  quern_module_close(module);
}

TEST_F(DeviceSession, TextForHopperAloneThatIsRefused) {
  setenv("FAKE_CUDA", "refuse", 1);
  make(nullptr, kHopper);
  EXPECT_EQ(refusal(QUERN_ERROR_UNSUPPORTED),
            "the CUDA driver cannot compile the kernels: CUDA_ERROR_UNKNOWN: "
            "unknown error; ptxas fatal: line 7 that is all");
}

TEST_F(DeviceSession, OutOfMemory) {
  setenv("FAKE_CUDA", "full", 1);
  make(kPtx);
  EXPECT_THAT(refusal(QUERN_ERROR_MEMORY),
              HasSubstr("CUDA device 0, Fake H100: out of memory for "));
}

TEST_F(DeviceSession, TakesTheFirstDeviceThatWillDo) {
  setenv("FAKE_CUDA", "swapped", 1);
  make(kPtx);
  quern_session *session = nullptr;
  quern_error error = {};
  ASSERT_EQ(
      quern_session_create_on(module, QUERN_DEVICE_AUTO, 2, &session, &error),
      QUERN_OK)
      << error.message;
  const char *name = nullptr;
  EXPECT_EQ(quern_session_device(session, &name), QUERN_DEVICE_CUDA);
  EXPECT_STREQ(name, "Fake H100");
  EXPECT_EQ(quern_session_tier(session), uint32_t(QUERN_TIER_CUDA));
  quern_step_info info;
  ASSERT_EQ(quern_session_step(session, 0, &info, &error), QUERN_OK);
  EXPECT_STREQ(info.kernel, "count");
  quern_session_destroy(session);
  quern_module_close(module);
}

TEST_F(DeviceSession, UnknownDevices) {
  make(nullptr);
  quern_session *session = nullptr;
  quern_error error = {};
  EXPECT_EQ(
      quern_session_create_on(module, quern_device(3), 1, &session, &error),
      QUERN_ERROR_ARGUMENT);
  EXPECT_STREQ(error.message, "device: found 3, expected 0 to 2");
  quern_module_close(module);
}

} // namespace
