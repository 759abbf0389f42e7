//===- ProgramTest.cpp - the main() of emitted executables ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern::test;
using testing::AllOf;
using testing::HasSubstr;

namespace {

const std::string program = QUERN_TEST_PROGRAM;

/// The line that the program writes for one sequence of the test model.
std::string lineFor(const std::vector<int> &ids,
                    const std::vector<int> &types = {}) {
  auto values = TestModule().expected(ids, types);
  const char *labels[] = {"low", "middle", "very \\\"high\\\""};
  int best =
      int(std::max_element(values.begin(), values.end()) - values.begin());
  std::string line =
      std::string("{\"label\":\"") + labels[best] + "\",\"logits\":[";
  for (int i = 0; i < 3; ++i)
    line += (i ? "," : "") + std::to_string(int(values[size_t(i)]));
  // The logits are far apart: the softmax is one.
  return line + "],\"score\":1}\n";
}

TEST(Program, RunsArguments) {
  EXPECT_EQ(outputOf(program + " 'a b' d"),
            lineFor({2, 4, 5, 3}) + lineFor({2, 7, 3}));
  EXPECT_EQ(outputOf(program + " --threads 2 --pair a b"),
            lineFor({2, 4, 3, 5, 3}, {0, 0, 0, 1, 1}));
}

TEST(Program, RunsLinesOfStandardInput) {
  EXPECT_EQ(outputOf("printf 'a b\\r\\nd\\n' | " + program),
            lineFor({2, 4, 5, 3}) + lineFor({2, 7, 3}));
  EXPECT_EQ(outputOf("printf 'a\\tb' | " + program + " --pair"),
            lineFor({2, 4, 3, 5, 3}, {0, 0, 0, 1, 1}));
  EXPECT_THAT(
      outputOf("(printf 'ab\\n' | " + program + " --pair; echo code $?) 2>&1"),
      HasSubstr("line 1: found no tab"));
}

TEST(Program, ErrorsHaveExitCodes) {
  for (auto [arguments, message] :
       {std::pair("--nothing", "--nothing: is no option"),
        {"--pair a", "--pair: expected an even number of texts"},
        {"--threads 257 a", "--threads: expected a number from 0 to 256"},
        {"--threads", "--threads: expected a number from 0 to 256"}})
    EXPECT_THAT(
        outputOf("(" + program + " " + arguments + "; echo code $?) 2>&1"),
        AllOf(HasSubstr("error: " + std::string(message)),
              HasSubstr("code 2")));
  EXPECT_THAT(outputOf(program + " --help"), HasSubstr("Usage"));
  std::string longText(100, 'a');
  for (size_t i = 1; i < longText.size(); i += 2)
    longText[i] = ' ';
  std::string command = program + " --strict '" + longText + "'";
  std::string output = outputOf("(" + command + "; echo code $?) 2>&1");
  EXPECT_THAT(output, HasSubstr("error: text 1: found more than 32 tokens"));
  EXPECT_THAT(output, HasSubstr("code 1"));
  EXPECT_THAT(outputOf("(" + program + " a > /dev/full; echo code $?) 2>&1"),
              HasSubstr("code 1"));
}

} // namespace
