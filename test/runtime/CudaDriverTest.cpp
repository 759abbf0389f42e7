//===- CudaDriverTest.cpp - every way in which a GPU may be missing -------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Against a driver made for the purpose (FakeCuda.c): machines that build Quern
// have none as a rule.
//
//===----------------------------------------------------------------------===//
#include "quern/quern.h"
#include "runtime/src/cuda/Driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

using namespace quern;
using namespace quern::cuda;
using testing::HasSubstr;

namespace {

class CudaDriver : public testing::Test {
protected:
  void use(const char *library, const char *mode = "") {
    setenv("QUERN_CUDA_DRIVER", library, 1);
    setenv("FAKE_CUDA", mode, 1);
  }
  void TearDown() override {
    unsetenv("QUERN_CUDA_DRIVER");
    unsetenv("FAKE_CUDA");
  }

  /// Why the driver cannot be used.
  std::string refusal() {
    Driver driver;
    quern_error error = {};
    EXPECT_EQ(driver.load(&error), QUERN_ERROR_UNSUPPORTED);
    return error.message;
  }

  std::string report(int json) {
    std::string text(quern_doctor(json, nullptr, 0) + 1, '\0');
    quern_doctor(json, text.data(), text.size());
    text.pop_back();
    return text;
  }
};

TEST(CudaPeak, IsWhatDataSheetsSay) {
  // Half of the operations: an A100 has 624, an H100 1979, an L4 242 * 10^12.
  auto peak = [](int major, int minor, int multiprocessors, int clock) {
    DeviceInfo info = {};
    info.major = major;
    info.minor = minor;
    info.multiprocessors = multiprocessors;
    info.clock = clock;
    return 2e-12 * peakOf(info);
  };
  EXPECT_NEAR(peak(8, 0, 108, 1410000), 624, 1);
  EXPECT_NEAR(peak(9, 0, 132, 1830000), 1979, 1);
  EXPECT_NEAR(peak(8, 9, 58, 2040000), 242, 1);
  EXPECT_EQ(peak(9, 0, 132, 0), 0);
  // GB a second: an A100 has 2039, an H100 3352, an L4 300.
  auto bandwidth = [](int clock, int bus) {
    DeviceInfo info = {};
    info.memoryClock = clock;
    info.memoryBus = bus;
    return 1e-9 * bandwidthOf(info);
  };
  EXPECT_NEAR(bandwidth(1593000, 5120), 2039, 1);
  EXPECT_NEAR(bandwidth(2619000, 5120), 3352, 1);
  EXPECT_NEAR(bandwidth(6251000, 192), 300, 1);
  EXPECT_EQ(bandwidth(0, 5120), 0);
}

TEST_F(CudaDriver, SaysWhyThereIsNone) {
  use("no-such-driver.so");
  EXPECT_THAT(refusal(), HasSubstr("no CUDA driver: no-such-driver.so"));
  use(QUERN_TEST_FAKE_CUDA_OLD);
  EXPECT_EQ(refusal(), "the CUDA driver is too old: it has no cuLaunchKernel");
  use(QUERN_TEST_FAKE_CUDA, "nodevice");
  EXPECT_EQ(refusal(), "the CUDA driver finds no device");
  use(QUERN_TEST_FAKE_CUDA, "unstarted");
  EXPECT_EQ(refusal(), "the CUDA driver does not start: CUDA_ERROR_UNKNOWN: "
                       "unknown error");
}

TEST_F(CudaDriver, DescribesDevices) {
  use(QUERN_TEST_FAKE_CUDA);
  Driver driver;
  quern_error error = {};
  ASSERT_EQ(driver.load(&error), QUERN_OK) << error.message;
  EXPECT_EQ(driver.version(), 12040);
  ASSERT_EQ(driver.deviceCount(), 2);
  DeviceInfo info;
  ASSERT_EQ(driver.describe(0, info, &error), QUERN_OK);
  EXPECT_STREQ(info.name, "Fake H100");
  EXPECT_EQ(info.memory, uint64_t(80) << 30);
  EXPECT_EQ(info.sharedPerBlock, 232448);
  EXPECT_STREQ(ptxVariant(info, nullptr), "sm_90a");
  ASSERT_EQ(driver.describe(1, info, &error), QUERN_OK);
  const char *reason;
  EXPECT_EQ(ptxVariant(info, &reason), nullptr);
  EXPECT_STREQ(reason,
               "it is too old: the kernels need compute capability 8.0");
  EXPECT_EQ(driver.describe(2, info, &error), QUERN_ERROR_ARGUMENT);
  EXPECT_STREQ(error.message, "there is no CUDA device 2; the last one is 1");
  setenv("FAKE_CUDA", "mute", 1);
  EXPECT_EQ(driver.describe(0, info, &error), QUERN_ERROR_UNSUPPORTED);
  EXPECT_THAT(error.message, HasSubstr("does not describe its device"));
}

TEST_F(CudaDriver, VariantsAreThoseOfTheirGenerations) {
  DeviceInfo info = {};
  const struct {
    int major, minor;
    const char *variant;
  } cases[] = {{8, 0, "sm_80"}, {8, 9, "sm_80"},  {9, 0, "sm_90a"},
               {9, 1, "sm_80"}, {10, 0, "sm_80"}, {12, 0, "sm_80"}};
  for (auto [major, minor, variant] : cases) {
    info.major = major;
    info.minor = minor;
    EXPECT_STREQ(ptxVariant(info, nullptr), variant) << major << "." << minor;
  }
}

TEST_F(CudaDriver, UnnamedErrorsHaveTheirNumber) {
  use(QUERN_TEST_FAKE_CUDA);
  Driver driver;
  quern_error error = {};
  driver.failed(&error, QUERN_ERROR_MEMORY, "doing this", 77);
  EXPECT_STREQ(error.message, "doing this: the CUDA driver returns 77");
  ASSERT_EQ(driver.load(&error), QUERN_OK);
  EXPECT_EQ(driver.failed(&error, QUERN_ERROR_MEMORY, "the arena", 2),
            QUERN_ERROR_MEMORY);
  EXPECT_STREQ(error.message,
               "the arena: CUDA_ERROR_OUT_OF_MEMORY: out of memory");
}

TEST_F(CudaDriver, TheDoctorTells) {
  use("no-such-driver.so");
  EXPECT_THAT(report(0), HasSubstr("cuda        no CUDA driver: "));
  EXPECT_THAT(report(1), HasSubstr("\"cuda\": {\"driver\": null, \"reason\": "
                                   "\"no CUDA driver: no-such-driver.so"));
  use(QUERN_TEST_FAKE_CUDA);
  std::string text = report(0);
  EXPECT_THAT(text, HasSubstr("cuda        driver for 12.4"));
  EXPECT_THAT(text, HasSubstr("device 0    Fake H100, compute capability 9.0, "
                              "132 multiprocessors, 80.0 GiB"));
  EXPECT_THAT(text, HasSubstr("would take sm_90a kernels"));
  EXPECT_THAT(text, HasSubstr("device 1    no: it is too old"));
  std::string json = report(1);
  EXPECT_THAT(json, HasSubstr("\"cuda\": {\"driver\": \"12.4\", \"devices\": "
                              "[{\"name\": \"Fake H100\""));
  EXPECT_THAT(json, HasSubstr("\"variant\": \"sm_90a\"}, {"));
  EXPECT_THAT(json, HasSubstr("\"reason\": \"it is too old: "));
}

} // namespace
