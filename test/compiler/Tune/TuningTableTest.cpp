//===- TuningTableTest.cpp - Tables of untrusted files --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/TuningTable.h"

#include <gtest/gtest.h>

using namespace quern;

namespace {

constexpr char kEntry[] = R"({"k": 64, "n": 96, "bits": 8, "rows": 4})";

std::string machineOf(const std::string &name, const std::string &features,
                      const std::string &caches, const std::string &gemm) {
  return "{\"name\": " + name + ", \"features\": " + features +
         ", \"caches\": " + caches + ", \"gemm\": " + gemm + "}";
}

std::string tableOf(const std::string &machines) {
  return "{\"version\": 1, \"machines\": [" + machines + "]}";
}

const std::string kFeatures = R"(["sse41", "avx2"])";
const std::string kCaches = R"({"l1d": 32768, "l2": 1048576, "l3": 0})";

/// The message of a table that is refused, without the file.
std::string problemOf(const std::string &text) {
  Expected<TuningTable> table = TuningTable::parse(text, "t.json");
  if (table)
    return "none";
  EXPECT_EQ(table.message().rfind("t.json: ", 0), 0u) << table.message();
  return table.message().substr(8);
}

std::string problemOfEntry(const std::string &entry) {
  std::string problem = problemOf(
      tableOf(machineOf("\"m\"", kFeatures, kCaches, "[" + entry + "]")));
  std::string at = "machines[0].gemm[0]";
  return problem.rfind(at, 0) == 0 ? problem.substr(at.size()) : problem;
}

TEST(TuningTable, ReadsAndWrites) {
  Expected<TuningTable> table = TuningTable::parse(
      tableOf(machineOf("\"a \\\"b\\\"\"", kFeatures, kCaches,
                        std::string("[") + kEntry + "]") +
              "," + machineOf("\"c\"", "[]", kCaches, "[]")),
      "t.json");
  ASSERT_TRUE(table) << table.message();
  ASSERT_EQ(table->machines.size(), 2u);
  const TunedMachine &machine = table->machines[0];
  EXPECT_EQ(machine.tuning.machine, "a \"b\"");
  EXPECT_EQ(machine.key.features, (std::vector<std::string>{"sse41", "avx2"}));
  EXPECT_EQ(machine.key.l2, 1 << 20);
  ASSERT_EQ(machine.tuning.gemm.size(), 1u);
  EXPECT_EQ(machine.tuning.gemm[0].tuning.rows, 4);
  EXPECT_EQ(machine.tuning.gemm[0].tuning.panels, GemmTuning().panels);
  std::string text = table->toJson();
  Expected<TuningTable> again = TuningTable::parse(text, "again.json");
  ASSERT_TRUE(again) << again.message();
  EXPECT_EQ(again->toJson(), text);
  // A machine that is there keeps its other shapes, until it has another key.
  TunedMachine other = machine;
  other.tuning.gemm[0].tuning.rows = 8;
  other.tuning.gemm.push_back(other.tuning.gemm[0]);
  other.tuning.gemm[1].bits = 4;
  other.tuning.gemm.push_back(other.tuning.gemm[0]);
  other.tuning.gemm[2].input = TunedInput::Groups;
  again->put(other);
  EXPECT_EQ(again->machines.size(), 2u);
  Expected<TuningTable> written = TuningTable::parse(again->toJson(), "w.json");
  ASSERT_TRUE(written) << written.message();
  other.tuning.gemm.resize(1);
  other.tuning.gemm[0].tuning.rows = 12;
  again->put(other);
  for (const TuningTable *each : {&*written, &*again}) {
    const std::vector<TunedGemm> &gemm = each->machines[0].tuning.gemm;
    ASSERT_EQ(gemm.size(), 3u);
    EXPECT_EQ(gemm[0].tuning.rows, each == &*again ? 12 : 8);
    EXPECT_EQ(gemm[1].tuning.rows, 8);
    EXPECT_EQ(gemm[1].bits, 4);
    EXPECT_EQ(gemm[2].bits, 8);
    EXPECT_EQ(gemm[2].input, TunedInput::Groups);
  }
  other.key.l2 *= 2;
  again->put(other);
  EXPECT_EQ(again->machines[0].tuning.gemm.size(), 1u);
  other.tuning.machine = "d";
  again->put(other);
  EXPECT_EQ(again->names(), "a \"b\", c, d");
}

TEST(TuningTable, BadTablesAreNamed) {
  EXPECT_EQ(problemOf("[]"),
            "the file: found an array of 0, expected an object");
  EXPECT_EQ(problemOf("{}"),
            "version: found nothing, expected an integer from 1 to 1");
  EXPECT_EQ(problemOf(R"({"version": 2, "machines": []})"),
            "version: found 2, expected an integer from 1 to 1");
  EXPECT_EQ(problemOf(R"({"version": 1, "machines": {}})"),
            "machines: found an object, expected an array of at most 4096");
  EXPECT_EQ(problemOf(R"({"version": 1, "machines": [], "extra": 1})"),
            "extra: found an unknown key, expected one of version, machines");
  EXPECT_NE(problemOf("{"), "none");
  EXPECT_NE(problemOf(""), "none");
  EXPECT_EQ(problemOf(tableOf("3")),
            "machines[0]: found 3, expected an object");
  EXPECT_EQ(problemOf(tableOf(machineOf("\"\"", kFeatures, kCaches, "[]"))),
            "machines[0].name: found \"\", expected a string of one line");
  EXPECT_EQ(problemOf(tableOf(machineOf("7", kFeatures, kCaches, "[]"))),
            "machines[0].name: found 7, expected a string of one line");
  std::string one = machineOf("\"m\"", kFeatures, kCaches, "[]");
  EXPECT_EQ(problemOf(tableOf(one + "," + one)),
            "machines[1].name: found \"m\" again, expected a name for each "
            "machine");
}

TEST(TuningTable, BadKeysAreNamed) {
  auto problem = [](const std::string &features, const std::string &caches) {
    return problemOf(tableOf(machineOf("\"m\"", features, caches, "[]")));
  };
  EXPECT_EQ(problem("[\"mmx\"]", kCaches),
            "machines[0].features[0]: found \"mmx\", expected one of sse41, "
            "avx2, avxvnni, avx512bw, avx512vnni, amx");
  EXPECT_NE(problem("[1]", kCaches).find("features[0]: found 1"),
            std::string::npos);
  for (const char *features : {R"(["avx2", "sse41"])", R"(["avx2", "avx2"])"})
    EXPECT_NE(problem(features, kCaches).find("once each and in the order"),
              std::string::npos);
  EXPECT_EQ(problem(kFeatures, R"({"l1d": 1, "l2": -1, "l3": 1})"),
            "machines[0].caches.l2: found -1, expected an integer from 0 to "
            "1099511627776");
  EXPECT_EQ(problem(kFeatures, R"({"l1d": 1, "l2": 1})"),
            "machines[0].caches.l3: found nothing, expected an integer from 0 "
            "to 1099511627776");
  EXPECT_EQ(problem(kFeatures, "[]"),
            "machines[0].caches: found an array of 0, expected an object");
}

TEST(TuningTable, BadEntriesAreNamed) {
  EXPECT_EQ(problemOfEntry(kEntry), "none");
  EXPECT_EQ(problemOfEntry("1"), ": found 1, expected an object");
  EXPECT_EQ(problemOfEntry(R"({"n": 96, "bits": 8})"),
            ".k: found nothing, expected an integer from 1 to 16777216");
  EXPECT_EQ(problemOfEntry(R"({"k": 64, "n": 96, "bits": 6})"),
            ".bits: found 6, expected 2, 4 or 8");
  EXPECT_NE(problemOfEntry(R"({"k": 64, "n": 96, "bits": 8, "hue": 1})")
                .find(".hue: found an unknown key"),
            std::string::npos);
  for (const char *value :
       {"0", "-8", "6", "20", "8.0", "\"8\"", "null", "true", "[8]", "1e3",
        "9223372036854775807", "18446744073709551615"}) {
    std::string text =
        std::string(R"({"k": 64, "n": 96, "bits": 8, "rows": )") + value + "}";
    std::string problem = problemOfEntry(text);
    EXPECT_EQ(problem.rfind(".rows: found ", 0), 0u) << value << problem;
    EXPECT_NE(problem.find("expected a multiple of 4 from 4 to 16"),
              std::string::npos)
        << value;
  }
  EXPECT_EQ(
      problemOfEntry(
          R"({"k": 64, "n": 96, "bits": 8, "rows": 8, "panels": 4})"),
      ".rows: found 8 beside 4 panels, expected a tile that fits 32 registers");
  EXPECT_EQ(
      problemOfEntry(
          R"({"k": 64, "n": 96, "bits": 8, "input": "planes", "panels": 4})"),
      ".rows: found 8 beside 4 panels, expected a tile that fits 32 registers");
  for (const char *value : {"\"bytes\"", "\"\"", "1", "null"})
    EXPECT_EQ(problemOfEntry(
                  std::string(R"({"k": 64, "n": 96, "bits": 8, "input": )") +
                  value + "}")
                  .rfind(".input: found ", 0),
              0u)
        << value;
  std::string twice = std::string(kEntry) + "," + kEntry;
  EXPECT_EQ(problemOf(tableOf(
                machineOf("\"m\"", kFeatures, kCaches, "[" + twice + "]"))),
            "machines[0].gemm[1]: found a shape again, expected an entry for "
            "each shape");
  EXPECT_EQ(problemOfEntry(R"({"k": 64, "n": 96, "bits": 8, "why": "a\nb"})")
                .rfind(".why: found", 0),
            0u);
}

TunedMachine machine(const char *name, std::vector<std::string> features,
                     int64_t l1d, int64_t l2, int64_t l3) {
  TunedMachine result;
  result.key = {std::move(features), l1d, l2, l3};
  result.tuning.machine = name;
  return result;
}

TEST(TuningTable, NearestMachineOfTheClassIsChosen) {
  const std::vector<std::string> small = {"sse41", "avx2"};
  const std::vector<std::string> large = {"sse41", "avx2", "avx512bw"};
  TuningTable table;
  table.machines = {machine("a", small, 32768, 1 << 20, 1 << 25),
                    machine("b", small, 32768, 1 << 21, 1 << 25),
                    machine("c", large, 49152, 1 << 21, 0)};
  auto chosen = [&](const MachineKey &key) -> std::string {
    const TunedMachine *found = table.choose(key);
    return found ? found->tuning.machine : "none";
  };
  EXPECT_EQ(chosen({small, 32768, 1 << 20, 1 << 25}), "a");
  EXPECT_EQ(chosen({small, 32768, 1 << 21, 1 << 20}), "b");
  EXPECT_EQ(chosen({small, 32768, 1 << 19, 1 << 25}), "a");
  // Another first level, a second level of more than twice, other features.
  EXPECT_EQ(chosen({small, 49152, 1 << 20, 1 << 25}), "none");
  EXPECT_EQ(chosen({small, 32768, 1 << 18, 1 << 25}), "none");
  EXPECT_EQ(chosen({{"sse41"}, 32768, 1 << 20, 1 << 25}), "none");
  EXPECT_EQ(chosen({large, 49152, 1 << 21, 1 << 28}), "c");
  // What the system does not say decides nothing.
  EXPECT_EQ(chosen({large, 0, 0, 0}), "c");
  EXPECT_EQ(table.find("b"), &table.machines[1]);
  EXPECT_EQ(table.find("z"), nullptr);
}

TEST(TuningTable, ShippedTableIsWhole) {
  TuningTable table = TuningTable::shipped();
  for (const char *name :
       {"zen-4-class", "zen-5-class", "sapphire-rapids-class"}) {
    const TunedMachine *machine = table.find(name);
    ASSERT_NE(machine, nullptr);
    EXPECT_FALSE(machine->measured.empty());
    EXPECT_EQ(table.choose(machine->key), machine);
  }
}

TEST(MachineKey, HasNoTierBeyondTheLast) {
  EXPECT_TRUE(hostKey(Tier::Sse2).features.empty());
  for (const std::string &name : hostKey(Tier::Avx2).features)
    EXPECT_TRUE(name == "sse41" || name == "avx2") << name;
}

} // namespace
