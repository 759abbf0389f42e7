//===- LinkingTest.cpp - what the libraries need and export ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Programs that run models need libc only: no LLVM, no C++ library.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

using namespace quern::test;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QUERN_TEST_SANITIZED
#endif
#endif

TEST(Linking, CProgramRunsAModel) {
  TestModule parts;
  parts.pack();
  TemporaryFile file(parts.file());
  for (const char *program :
       {QUERN_TEST_EXAMPLE_STATIC, QUERN_TEST_EXAMPLE_SHARED}) {
    std::string output =
        outputOf(std::string(program) + " " + file.path() + " 'a b'");
    auto values = parts.expected({2, 4, 5, 3});
    std::ostringstream wanted;
    wanted << "low " << values[0] << "\nmiddle " << values[1] << "\nhigh "
           << values[2] << "\n";
    EXPECT_EQ(output, wanted.str());
  }
}

TEST(Linking, NothingOfLlvm) {
  for (const char *library :
       {QUERN_TEST_LIBRARY_STATIC, QUERN_TEST_LIBRARY_SHARED}) {
    std::string symbols = outputOf(std::string("nm ") + library);
    EXPECT_THAT(symbols, Not(HasSubstr("LLVM")));
    EXPECT_THAT(symbols, Not(HasSubstr("_ZN4llvm")));
    EXPECT_THAT(symbols, Not(HasSubstr("_ZN4mlir")));
  }
}

#ifndef QUERN_TEST_SANITIZED
std::vector<std::string> linesOf(const std::string &text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

TEST(Linking, ExportsOnlyTheApi) {
  std::string shared = outputOf(std::string("nm -D --defined-only ") +
                                QUERN_TEST_LIBRARY_SHARED);
  std::string archive = outputOf(std::string("nm -g --defined-only ") +
                                 QUERN_TEST_LIBRARY_STATIC);
  int count = 0;
  for (const std::string &line : linesOf(shared + archive)) {
    size_t space = line.rfind(' ');
    if (space == std::string::npos)
      continue;
    EXPECT_THAT(line.substr(space + 1), StartsWith("quern_"));
    ++count;
  }
  EXPECT_GT(count, 60);
}

TEST(Linking, NeedsOnlyLibc) {
  for (const char *file :
       {QUERN_TEST_LIBRARY_SHARED, QUERN_TEST_EXAMPLE_STATIC}) {
    std::string dynamic = outputOf(std::string("readelf -d ") + file);
    for (const std::string &line : linesOf(dynamic))
      if (line.find("NEEDED") != std::string::npos) {
        EXPECT_THAT(line,
                    AnyOf(HasSubstr("[libc.so.6]"), HasSubstr("[libm.so.6]")));
      }
  }
}
#endif

} // namespace
