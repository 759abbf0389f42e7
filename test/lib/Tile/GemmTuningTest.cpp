//===- GemmTuningTest.cpp - A choice changes no byte ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Every number of a tuning, at values that `quern tune` tries, against the
// plain reference; and which choice a product gets.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Gemm.h"
#include "lib/Tile/KernelNotes.h"
#include "lib/Tile/ModuleTuning.h"

#include "compiler/Bench/GemmCase.h"
#include "test/support/KernelRunner.h"

#include <gtest/gtest.h>

using namespace quern;

namespace {

using Settings = std::vector<std::pair<const char *, int64_t>>;

GemmTuning makeTuning(const Settings &settings) {
  GemmTuning tuning;
  for (auto &[name, value] : settings)
    for (const TuningField &field : tuningFields())
      if (name == std::string(field.name))
        tuning.*field.member = value;
  return tuning;
}

GemmShape makeShape(const Settings &settings, int64_t bits = 8) {
  GemmShape shape = linearShape(320, 192, GemmActivation::None, bits);
  shape.setTuning(makeTuning(settings));
  return shape;
}

void check(const GemmShape &shape, Tier tier) {
  KernelRunner runner;
  GemmCase(shape, 1).build(runner.module());
  ASSERT_EQ(runner.compile(tier), "");
  for (int64_t rows : {1, 6, 13, 43, 139}) {
    GemmCase gemm(shape, rows);
    std::vector<void *> operands = gemm.operands();
    RunCounts counts{rows, 1};
    counts.end = gemm.chunks();
    ASSERT_TRUE(
        runner.run(gemm.name(), {operands.begin(), operands.end()}, counts));
    EXPECT_EQ(gemm.countWrong(), 0)
        << describeTuning(shape.tuning) << " on " << getTierName(tier).str()
        << ", " << rows << " rows of " << shape.weightBits << " bits";
  }
}

TEST(GemmTuning, RegisterTiles) {
  for (auto [rows, panels] : {std::pair(4, 6), {16, 1}, {12, 2}, {4, 4}}) {
    ASSERT_TRUE(
        fitsRegisters(makeTuning({{"rows", rows}, {"panels", panels}})));
    GemmShape shape = makeShape({{"rows", rows}, {"panels", panels}});
    check(shape, Tier::Avx512Vnni);
    // The end of a tile waits for the next one.
    shape.activation = GemmActivation::Gelu;
    check(shape, Tier::Avx512Vnni);
  }
}

TEST(GemmTuning, PrefetchesAndUnpacking) {
  check(makeShape({{"ahead", 0}}), Tier::Avx512Vnni);
  check(makeShape({{"ahead", 3}, {"ahead_cache", 2}, {"ahead_rows", 8}}),
        Tier::Avx512Vnni);
  check(makeShape({{"packed_rows", 0}, {"rows", 4}}, 4), Tier::Avx512Vnni);
  check(makeShape({{"packed_rows", 1 << 20}}, 2), Tier::Avx512Vnni);
}

TEST(GemmTuning, TileRegisters) {
  check(makeShape({{"least_tile_rows", 1}, {"span_steps", 2}}), Tier::Amx);
  check(makeShape({{"least_tile_rows", 1},
                   {"group_panels", 2},
                   {"group_bytes", 4096},
                   {"tile_cache", 0}},
                  4),
        Tier::Amx);
  check(makeShape({{"rows", 12}, {"panels", 2}, {"tile_cache", 1}}), Tier::Amx);
}

TEST(GemmTuning, LibraryOrMicroOps) {
  check(makeShape({{"library", 0}, {"rows", 4}, {"panels", 1}}), Tier::Avx2);
  check(makeShape({{"library", 0}}), Tier::Avx512Bw);
  check(makeShape({{"library_rows", 8}}, 4), Tier::Avx2);
  // So many rows to a call are Halide's; with fewer it is another kernel's.
  check(makeShape({{"library_rows", 32}}), Tier::Avx2);
  for (Tier tier : test::tiersBetween())
    check(makeShape({{"library_rows", 32}}), tier);
}

TEST(GemmTuning, SmallTiles) {
  for (int64_t bits : {8, 4, 2})
    for (auto activation : {GemmActivation::None, GemmActivation::Gelu}) {
      // Chunks are those of the other tiles, whose panels do not divide them.
      GemmShape shape = makeShape({{"library", 0}, {"panels", 5}}, bits);
      shape.activation = activation;
      check(shape, Tier::Scalar);
      check(shape, Tier::Sse2);
      check(shape, Tier::Avx2);
    }
}

TEST(GemmTuning, ChunksAreWholeTiles) {
  EXPECT_EQ(makeTuning({}).chunkRows(128), 128);
  EXPECT_EQ(makeTuning({{"rows", 16}}).chunkRows(128), 128);
  EXPECT_EQ(makeTuning({{"rows", 12}}).chunkRows(128), 96);
  EXPECT_EQ(makeTuning({{"rows", 12}}).chunkRows(8), 96);
}

TEST(GemmTuning, NotesBlameTheWidthOnlyIfItIsToBlame) {
  auto says = [](const GemmShape &shape) {
    std::string all;
    for (const std::string &reason : gemmNotes(shape, GemmInput::Codes).reasons)
      all += reason + "\n";
    return all.find("no multiple of 3") != std::string::npos;
  };
  GemmShape shape = makeShape({{"panels", 2}});
  shape.n = 96 * 16;
  EXPECT_FALSE(says(shape));
  shape.n = 97 * 16;
  EXPECT_TRUE(says(shape));
}

TEST(GemmTuning, NearestShapeIsChosen) {
  ModuleTuning tuning;
  tuning.machine = "one";
  for (auto [k, n] : {std::pair(768, 768), {768, 3072}, {3072, 768}})
    tuning.gemm.push_back({k, n, 8, {}, "of " + std::to_string(n)});
  EXPECT_EQ(tuning.choose(768, 3072, 8), &tuning.gemm[1]);
  EXPECT_EQ(tuning.choose(768, 2304, 8), &tuning.gemm[1]);
  EXPECT_EQ(tuning.choose(384, 384, 8), &tuning.gemm[0]);
  EXPECT_EQ(tuning.choose(383, 384, 8), nullptr);
  EXPECT_EQ(tuning.choose(768, 768, 4), nullptr);
  GemmShape shape = makeShape({});
  EXPECT_EQ(tuning.apply(shape), "");
  tuning.gemm[0].tuning.rows = 12;
  tuning.gemm[0].tuning.panels = 2;
  shape.k = shape.n = 768;
  EXPECT_EQ(tuning.apply(shape), "tuned for one, rows 12, panels 2: of 768");
  EXPECT_EQ(shape.rowsPerChunk, 96);
  shape = makeShape({});
  shape.k = shape.n = 512;
  EXPECT_EQ(tuning.apply(shape),
            "tuned for one by 768x768, rows 12, panels 2: of 768");
}

TEST(GemmTuning, InputsHaveChoicesOfTheirOwn) {
  ModuleTuning tuning;
  for (TunedInput input :
       {TunedInput::Codes, TunedInput::Groups, TunedInput::Planes}) {
    EXPECT_EQ(parseTunedInput(tunedInputName(input)), input);
    EXPECT_EQ(tuning.choose(64, 64, 8, input), nullptr);
    tuning.gemm.push_back({64, 64, 8, {}, "", input});
    EXPECT_EQ(tuning.choose(64, 64, 8, input), &tuning.gemm.back());
  }
  EXPECT_EQ(parseTunedInput("bytes"), std::nullopt);
  // Planes take 4 rows at a time, so two for each of 8 sums of bytes.
  GemmTuning tile;
  for (auto [rows, panels, codes, planes] : {std::tuple(8, 3, true, true),
                                             {4, 6, true, false},
                                             {4, 4, true, false},
                                             {16, 2, false, true},
                                             {16, 1, true, true}}) {
    tile.rows = rows;
    tile.panels = panels;
    EXPECT_EQ(fitsRegisters(tile), codes) << rows;
    EXPECT_EQ(fitsRegisters(tile, TunedInput::Groups), codes) << rows;
    EXPECT_EQ(fitsRegisters(tile, TunedInput::Planes), planes) << rows;
  }
}

/// What is read back is what was written.
TEST(GemmTuning, AttributeKeepsAll) {
  KernelRunner runner;
  mlir::ModuleOp module = runner.module();
  ModuleTuning tuning;
  tuning.machine = "one";
  TunedGemm entry{64, 96, 4, {}, "because"};
  int64_t at = 0;
  for (const TuningField &field : tuningFields())
    entry.tuning.*field.member = ++at % 2 ? field.low : field.low + field.step;
  tuning.gemm = {entry, {64, 64, 8, {}, "", TunedInput::Planes}};
  tuning.write(module);
  ASSERT_TRUE(succeeded(mlir::verify(module)));
  auto read = ModuleTuning::read(module);
  ASSERT_TRUE(succeeded(read));
  EXPECT_EQ(read->machine, "one");
  ASSERT_EQ(read->gemm.size(), 2u);
  EXPECT_EQ(read->gemm[0].tuning, entry.tuning);
  EXPECT_EQ(read->gemm[0].why, "because");
  EXPECT_EQ(read->gemm[0].bits, 4);
  EXPECT_EQ(read->gemm[0].input, TunedInput::Codes);
  EXPECT_EQ(read->gemm[1].tuning, GemmTuning());
  EXPECT_EQ(read->gemm[1].input, TunedInput::Planes);
  ModuleTuning().write(module);
  EXPECT_TRUE(succeeded(ModuleTuning::read(module)));
  EXPECT_FALSE(module->hasAttr("tk.tuning"));
}

/// Parses a module with this attribute and reads it; gives the errors.
std::string problemOf(const std::string &attribute) {
  KernelRunner runner;
  mlir::MLIRContext &context = *runner.module().getContext();
  std::string problem;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          problem += diagnostic.str();
                                          return mlir::success();
                                        });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      "module attributes {tk.tuning = " + attribute + "} {}", &context);
  if (module && succeeded(ModuleTuning::read(*module)))
    return "none";
  return problem;
}

std::string problemOfEntry(const std::string &numbers) {
  return problemOf("{machine = \"m\", gemm = [{" + numbers + "}]}");
}

TEST(GemmTuning, BadAttributesAreNamed) {
  const char *form = "'tk.tuning' on a module with a string 'machine' and a "
                     "list 'gemm'";
  for (const char *text : {"3 : i64", "{}", "{machine = 1, gemm = []}",
                           "{machine = \"m\"}", "{machine = \"m\", gemm = 1}",
                           "{machine = \"m\", gemm = [], more = 1}"})
    EXPECT_NE(problemOf(text).find(form), std::string::npos) << text;
  EXPECT_EQ(problemOf("{machine = \"m\", gemm = [1]}"),
            "tk.tuning: gemm[0]: found 1 : i64, expected a dictionary");
  const std::string shape = "k = 64 : i64, n = 64 : i64, bits = 8 : i64";
  EXPECT_EQ(problemOfEntry(shape), "none");
  EXPECT_EQ(problemOfEntry("n = 64 : i64, bits = 8 : i64"),
            "tk.tuning: gemm[0].k: found nothing, expected an integer from 1 "
            "to 16777216 as i64");
  EXPECT_EQ(problemOfEntry("k = 64 : i64, n = 64 : i64, bits = 6 : i64"),
            "tk.tuning: gemm[0].bits: found 6, expected 2, 4 or 8");
  for (auto &[numbers, found] :
       std::vector<std::pair<std::string, std::string>>{
           {"rows = 0 : i64", "0 : i64"},
           {"rows = -4 : i64", "-4 : i64"},
           {"rows = 6 : i64", "6 : i64"},
           {"rows = 9223372036854775807 : i64", "9223372036854775807 : i64"},
           {"rows = 8 : i32", "8 : i32"},
           {"rows = \"8\"", "\"8\""}})
    EXPECT_EQ(problemOfEntry(shape + ", " + numbers),
              "tk.tuning: gemm[0].rows: found " + found +
                  ", expected a multiple of 4 from 4 to 16 as i64");
  EXPECT_EQ(problemOfEntry(shape + ", rows = 16 : i64, panels = 2 : i64"),
            "tk.tuning: gemm[0].rows: found 16 beside 2 panels, expected a "
            "tile that fits 32 registers");
  EXPECT_EQ(problemOfEntry(shape + ", input = \"planes\", panels = 4 : i64"),
            "tk.tuning: gemm[0].rows: found 8 beside 4 panels, expected a tile "
            "that fits 32 registers");
  for (const char *text : {"\"bytes\"", "1 : i64"})
    EXPECT_EQ(problemOfEntry(shape + ", input = " + text),
              "tk.tuning: gemm[0].input: found " + std::string(text) +
                  ", expected \"codes\", \"groups\" or \"planes\"");
  EXPECT_EQ(problemOfEntry(shape + ", why = 1"),
            "tk.tuning: gemm[0].why: found 1 : i64, expected a string");
  EXPECT_EQ(problemOfEntry(shape + ", colour = 1"),
            "tk.tuning: gemm[0].colour: is no number of a product");
}

} // namespace
