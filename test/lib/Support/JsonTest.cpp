//===- JsonTest.cpp - JSON of untrusted files -----------------------------===//
//
// Depth limit, repeated keys, typed look-ups and their messages.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/Json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern;
using testing::HasSubstr;

static std::string messageOf(const std::string &text) {
  auto value = parseJson(text, "file.json");
  return value ? "no error" : value.message();
}

TEST(JsonTest, ReadsValues) {
  auto value = parseJson(R"({"a": [1, {"b": "c"}], "d": {"a": 2}})", "f");
  ASSERT_TRUE(value) << value.message();
  EXPECT_EQ((*value)["a"][1]["b"], "c");
}

TEST(JsonTest, DepthIsLimited) {
  for (char open : {'[', '{'}) {
    std::string deep;
    for (int i = 0; i < 10000; ++i)
      deep += open == '{' ? "{\"a\":" : "[";
    EXPECT_EQ(messageOf(deep), "file.json: found JSON nested deeper than 64 "
                               "levels, expected no more");
  }
  EXPECT_TRUE(parseJson(std::string(64, '[') + std::string(64, ']'), "f"));
}

TEST(JsonTest, RefusesWhatIsNoJson) {
  EXPECT_EQ(messageOf(""), "file.json: found an empty file, expected JSON");
  EXPECT_THAT(messageOf("{\"a\": "), HasSubstr("parse error"));
  EXPECT_THAT(messageOf("{} {}"), HasSubstr("parse error"));
  EXPECT_THAT(messageOf("[1e999]"), HasSubstr("number overflow"));
  EXPECT_THAT(messageOf("\"\xff\""), HasSubstr("UTF-8"));
  EXPECT_EQ(messageOf(std::string("{\0}", 3)),
            "file.json: byte 2: found a zero byte, expected JSON");
}

TEST(JsonTest, RefusesRepeatedKeys) {
  EXPECT_EQ(messageOf(R"({"a": 1, "b": {"a": 2}, "a": 3})"),
            "file.json: key \"a\" is given twice");
}

TEST(JsonTest, LookUpsNameKeyFoundAndExpected) {
  nlohmann::json value = {{"n", 7},     {"s", "x\ny"},  {"big", UINT64_MAX},
                          {"f", 1.5},   {"z", nullptr}, {"o", {{"a", 1}}},
                          {"l", {1, 2}}};
  JsonObject object(value, "c.json");
  EXPECT_EQ(*object.getInteger("n", 1, 7), 7);
  EXPECT_EQ(*object.getInteger("z", 1, 7, 3), 3);
  EXPECT_EQ(*object.getNumber("f", 0), 1.5);
  EXPECT_EQ(object.getInteger("n", 1, 6).message(),
            "c.json: n: found 7, expected an integer from 1 to 6");
  EXPECT_THAT(object.getInteger("big", 0, INT64_MAX).message(),
              HasSubstr("found 18446744073709551615"));
  EXPECT_EQ(object.getBool("s", false).message(),
            "c.json: s: found \"x?y\", expected true or false");
  EXPECT_EQ(object.getString("o", "").message(),
            "c.json: o: found an object, expected a string");
  EXPECT_EQ(object.getNumber("l", 0).message(),
            "c.json: l: found an array of 2, expected a number");
  EXPECT_THAT(object.getInteger("none", 0, 1).message(),
              HasSubstr("found nothing"));
}
