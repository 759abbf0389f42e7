//===- FixedCase.h - Fixed-point numbers for tests --------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What tests of GPU kernels without floats have in common.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_FIXEDCASE_H
#define QUERN_TEST_LIB_TARGET_NVPTX_FIXEDCASE_H

#include "quern/integer_requant.h"

#include "gtest/gtest.h"

namespace quern::nvptx::test {

inline qi_affine affine(double multiplier, double offset) {
  qi_affine a = {};
  EXPECT_EQ(qi_make_affine(multiplier, offset, &a), 0);
  return a;
}

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_FIXEDCASE_H
