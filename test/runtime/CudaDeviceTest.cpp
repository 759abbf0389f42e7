//===- CudaDeviceTest.cpp - contexts, modules and memory of a GPU ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Against the driver of FakeCuda.c: the order of calls, and every refusal.
//
//===----------------------------------------------------------------------===//
#include "runtime/src/cuda/Device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>

using namespace quern;
using namespace quern::cuda;
using testing::HasSubstr;

namespace {

const char *const kPtx = ".version 7.0\n.visible .entry count(...)";

class CudaDevice : public testing::Test {
protected:
  void SetUp() override {
    setenv("QUERN_CUDA_DRIVER", QUERN_TEST_FAKE_CUDA, 1);
    ASSERT_EQ(driver.load(&error), QUERN_OK) << error.message;
  }
  void TearDown() override {
    unsetenv("QUERN_CUDA_DRIVER");
    unsetenv("FAKE_CUDA");
  }
  void mode(const char *name) { setenv("FAKE_CUDA", name, 1); }

  /// What the fake counts.
  int count(const char *name) {
    void *library = dlopen(QUERN_TEST_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    auto get = reinterpret_cast<int (*)()>(dlsym(library, name));
    int value = get ? get() : -1;
    dlclose(library);
    return value;
  }

  Driver driver;
  quern_error error = {};
};

TEST_F(CudaDevice, RunsAKernel) {
  {
    DeviceContext device(driver);
    ASSERT_EQ(device.open(0, &error), QUERN_OK) << error.message;
    EXPECT_EQ(count("fakeCudaHeld"), 1);
    Module module;
    ASSERT_EQ(device.load(kPtx, module, &error), QUERN_OK) << error.message;
    Function function;
    ASSERT_EQ(device.find(module, "count", 65536, function, &error), QUERN_OK);
    Address address;
    ASSERT_EQ(device.allocate(4, address, &error), QUERN_OK);
    int value = 41;
    ASSERT_EQ(device.copyIn(address, &value, 4, &error), QUERN_OK);
    void *parameters[] = {&address};
    ASSERT_EQ(device.launch(function, {2, 3, 128, 65536}, parameters, &error),
              QUERN_OK);
    ASSERT_EQ(device.copyOut(&value, address, 4, &error), QUERN_OK);
    ASSERT_EQ(device.synchronize(&error), QUERN_OK);
    EXPECT_EQ(value, 42);
    device.release(address);
    device.unload(module);
  }
  // The context of others on this thread is as it was.
  EXPECT_EQ(count("fakeCudaHeld"), 0);
  EXPECT_EQ(count("fakeCudaPushed"), 0);
}

TEST_F(CudaDevice, DevicesThatCannotBeUsed) {
  DeviceContext device(driver);
  EXPECT_EQ(device.open(1, &error), QUERN_ERROR_UNSUPPORTED);
  EXPECT_STREQ(error.message, "CUDA device 1, Fake T4: it is too old: the "
                              "kernels need compute capability 8.0");
  EXPECT_EQ(device.open(-1, &error), QUERN_ERROR_ARGUMENT);
  mode("busy");
  EXPECT_EQ(device.open(0, &error), QUERN_ERROR_UNSUPPORTED);
  EXPECT_THAT(error.message, HasSubstr("the CUDA context: CUDA_ERROR_UNKNOWN"));
  EXPECT_EQ(count("fakeCudaHeld"), 0);
}

TEST_F(CudaDevice, KernelsThatCannotBeUsed) {
  DeviceContext device(driver);
  ASSERT_EQ(device.open(0, &error), QUERN_OK);
  Module module;
  EXPECT_EQ(device.load("no PTX", module, &error), QUERN_ERROR_UNSUPPORTED);
  EXPECT_STREQ(error.message,
               "the CUDA driver cannot compile the kernels: "
               "CUDA_ERROR_UNKNOWN: unknown error; ptxas fatal: line 7 that is "
               "all");
  ASSERT_EQ(device.load(kPtx, module, &error), QUERN_OK);
  Function function;
  EXPECT_EQ(device.find(module, "other", 0, function, &error),
            QUERN_ERROR_UNSUPPORTED);
  EXPECT_THAT(error.message, HasSubstr("other: CUDA_ERROR_UNKNOWN"));
  EXPECT_EQ(device.find(module, "count", 300000, function, &error),
            QUERN_ERROR_UNSUPPORTED);
  EXPECT_STREQ(error.message, "kernel count needs 300000 bytes of shared "
                              "memory, Fake H100 has 232448");
}

TEST_F(CudaDevice, MemoryAndCrashes) {
  DeviceContext device(driver);
  ASSERT_EQ(device.open(0, &error), QUERN_OK);
  mode("full");
  Address address;
  EXPECT_EQ(device.allocate(123456, address, &error), QUERN_ERROR_MEMORY);
  EXPECT_STREQ(error.message,
               "CUDA device 0, Fake H100: out of memory for 123456 bytes");
  mode("crash");
  EXPECT_EQ(device.synchronize(&error), QUERN_ERROR_UNSUPPORTED);
  EXPECT_THAT(error.message, HasSubstr("kernels on the device: CUDA_ERROR"));
}

} // namespace
