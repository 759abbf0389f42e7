//===- TunerTest.cpp - Candidates and how one is chosen -------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Decisions on made-up times; no clock.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/Tuner.h"
#include "compiler/Bench/GemmCase.h"
#include "compiler/Emit/KernelJit.h"

#include <gtest/gtest.h>

#include <set>

using namespace quern;

namespace {

TunedKernel makeKernel(int64_t k, int64_t n, int64_t bits = 8,
                       TunedInput input = TunedInput::Codes) {
  return {linearShape(k, n, GemmActivation::None, bits), input};
}

const TunedInput kInputs[] = {TunedInput::Codes, TunedInput::Groups,
                              TunedInput::Planes};

const std::vector<int64_t> kRows = {8, 32, 128};

TEST(Tuner, CandidatesMayBeUsed) {
  for (Tier tier : {Tier::Sse41, Tier::Avx2, Tier::AvxVnni, Tier::Avx512Bw,
                    Tier::Avx512Vnni, Tier::Amx})
    for (auto [bits, input] : {std::pair(8, TunedInput::Codes),
                               {4, TunedInput::Codes},
                               {4, TunedInput::Groups},
                               {4, TunedInput::Planes}})
      for (auto [k, n] :
           {std::pair(768, 768), {768, 3072}, {3072, 768}, {64, 80}}) {
        TunedKernel kernel = makeKernel(k, n, bits, input);
        for (int number = 0;; ++number) {
          std::optional<Decision> decision =
              nextDecision(number, tier, kernel, GemmTuning(), kRows);
          if (!decision)
            break;
          ASSERT_FALSE(decision->candidates.empty());
          // The default comes first, but where rows alone decide.
          if (decision->name != "few rows")
            EXPECT_EQ(decision->candidates[0].tuning, GemmTuning());
          std::set<std::string> names;
          for (const Candidate &each : decision->candidates) {
            EXPECT_TRUE(names.insert(each.name).second) << each.name;
            EXPECT_TRUE(fitsRegisters(each.tuning, input)) << each.name;
            for (const TuningField &field : tuningFields()) {
              int64_t value = each.tuning.*field.member;
              EXPECT_TRUE(value >= field.low && value <= field.high &&
                          value % field.step == 0)
                  << each.name << " " << field.name;
            }
          }
          EXPECT_LT(number, 10);
        }
      }
}

TEST(Tuner, DecisionsAreOfTheTier) {
  auto count = [](Tier tier, int64_t bits,
                  TunedInput input = TunedInput::Codes) {
    int asked = 0;
    for (int number = 0;; ++number) {
      auto decision =
          nextDecision(number, tier, makeKernel(3072, 768, bits, input),
                       GemmTuning(), kRows);
      if (!decision)
        return asked;
      asked += decision->candidates.size() > 1;
    }
  };
  EXPECT_EQ(count(Tier::Avx512Vnni, 8), 3);
  EXPECT_EQ(count(Tier::Avx512Vnni, 4), 4);
  EXPECT_EQ(count(Tier::Amx, 8), 7);
  EXPECT_EQ(count(Tier::Avx512Vnni, 4, TunedInput::Groups), 4);
  EXPECT_EQ(count(Tier::Avx512Bw, 4, TunedInput::Groups), 4);
  EXPECT_EQ(count(Tier::Amx, 8, TunedInput::Groups), 6);
  EXPECT_EQ(count(Tier::Avx512Vnni, 4, TunedInput::Planes), 3);
  EXPECT_EQ(count(Tier::Avx2, 8, TunedInput::Planes), 0);
  auto first = nextDecision(0, Tier::Amx, makeKernel(768, 768), {}, kRows);
  EXPECT_EQ(first->tier, Tier::Avx512Vnni);
  auto blocks = nextDecision(4, Tier::Amx, makeKernel(768, 768), {}, kRows);
  EXPECT_EQ(blocks->tier, Tier::Amx);
  EXPECT_EQ(blocks->rows, (std::vector<int64_t>{32, 128}));
}

/// What was decided stays decided.
TEST(Tuner, LaterDecisionsKeepEarlierOnes) {
  GemmTuning before;
  before.rows = 4;
  before.panels = 6;
  auto prefetch =
      nextDecision(1, Tier::Avx512Vnni, makeKernel(768, 768), before, kRows);
  for (const Candidate &each : prefetch->candidates) {
    EXPECT_EQ(each.tuning.rows, 4);
    EXPECT_EQ(each.tuning.panels, 6);
  }
}

std::vector<std::vector<FormTime>>
timesOf(const std::vector<std::vector<double>> &gains) {
  std::vector<std::vector<FormTime>> times;
  for (const std::vector<double> &row : gains) {
    times.emplace_back();
    for (double gain : row)
      times.back().push_back({gain, 0.5});
  }
  return times;
}

TEST(Tuner, DefaultStaysUnlessBeaten) {
  EXPECT_EQ(chooseForm({}, 0.02), 0u);
  EXPECT_EQ(chooseForm(timesOf({{1.0, 1.019, 0.9}}), 0.02), 0u);
  EXPECT_EQ(chooseForm(timesOf({{1.0, 1.03, 1.05}}), 0.02), 2u);
  EXPECT_EQ(chooseForm(timesOf({{1.0, 1.10, 1.05}}), 0.02), 1u);
  // Much at some rows for a loss at others is not the default's better.
  EXPECT_EQ(chooseForm(timesOf({{1.0, 1.3, 1.03}, {1.0, 0.9, 1.02}}), 0.02),
            2u);
}

/// The operands of each input are those of its kernel: the timer finds no wrong
/// output. One round, whose times do not matter.
TEST(Tuner, KernelsOfAllInputsAreTimed) {
  if (!canRun(Tier::Avx512Bw))
    GTEST_SKIP() << "NOT CHECKED: this machine has no AVX-512";
  for (TunedInput input : kInputs)
    for (int64_t bits : {8, 2}) {
      TimedForms forms;
      forms.kernel = makeKernel(192, 96, bits, input);
      forms.tier = bestHostTier();
      forms.rows = {5, 40};
      forms.rounds = 1;
      forms.seconds = 0;
      forms.candidates.resize(2);
      forms.candidates[1].rows = 16;
      forms.candidates[1].panels = 1;
      forms.candidates[1].aheadCache = 2;
      auto times = timeForms(forms);
      ASSERT_TRUE(times) << times.message();
      EXPECT_EQ(times->size(), 2u);
      EXPECT_EQ(times->front().size(), 2u);
    }
}

TEST(Tuner, ShapesOfAnEncoder) {
  auto shapes = encoderShapes(384, 1536, GemmActivation::Gelu,
                              {TunedInput::Codes, TunedInput::Groups}, {8, 4});
  ASSERT_EQ(shapes.size(), 16u);
  EXPECT_EQ(shapes[1].n, 1152);
  EXPECT_EQ(shapes[2].activation, GemmActivation::Gelu);
  EXPECT_EQ(shapes[7].k, 1536);
  EXPECT_EQ(shapes[7].bits, 4);
  EXPECT_EQ(shapes[7].input, TunedInput::Codes);
  EXPECT_EQ(shapes[15].input, TunedInput::Groups);
}

TEST(Tuner, ScalarHasNothingToTune) {
  TuneOptions options;
  auto machine = tuneMachine(options);
  ASSERT_FALSE(machine);
  EXPECT_NE(machine.message().find("tier sse2"), std::string::npos);
}

} // namespace
