//===- Tune.cpp - quern tune: the best kernels of this machine ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"

#include "compiler/Emit/Assemble.h"
#include "compiler/Emit/KernelJit.h"
#include "compiler/Import/HfConfig.h"
#include "compiler/Tune/Tuner.h"
#include "lib/Support/File.h"

#include <algorithm>
#include <filesystem>
#include <memory>

namespace quern::cli {

namespace {
struct TuneCommand {
  std::string output, model, tier, name;
  std::vector<int64_t> bits = {8};
  std::vector<std::string> inputs = {"codes"};
  std::vector<int64_t> rows;
  std::vector<std::string> shapes;
  int rounds = 0;
  bool quick = false;
};
} // namespace

/// KxN or KxN:ACTIVATION.
static Expected<TuneShape> parseShape(const std::string &text, int64_t bits) {
  TuneShape shape;
  int used = 0;
  long long k = 0, n = 0;
  bool isGood = std::sscanf(text.c_str(), "%lldx%lld%n", &k, &n, &used) == 2 &&
                k >= 1 && n >= 1 && k <= 1 << 16 && n <= 1 << 16;
  std::string rest = isGood ? text.substr(size_t(used)) : "";
  bool isKnown = rest.empty();
  for (GemmActivation each : {GemmActivation::Gelu, GemmActivation::GeluTanh,
                              GemmActivation::Relu, GemmActivation::Tanh})
    if (rest == ":" + activationName(each).str()) {
      shape.activation = each;
      isKnown = true;
    }
  if (!isGood || !isKnown)
    return Error::make("--shapes: found ", text,
                       ", expected KxN of numbers from 1 to 65536, or "
                       "KxN:gelu, gelu_tanh, relu or tanh");
  shape.k = k;
  shape.n = n;
  shape.bits = bits;
  return shape;
}

static GemmActivation activationOf(ActivationKind kind) {
  switch (kind) {
  case ActivationKind::Gelu:
    return GemmActivation::Gelu;
  case ActivationKind::GeluTanh:
    return GemmActivation::GeluTanh;
  case ActivationKind::Relu:
    return GemmActivation::Relu;
  }
  return GemmActivation::None;
}

/// Those asked for, those of a model, or those of BERT-base.
static Expected<std::vector<TuneShape>> shapesOf(const TuneCommand &command) {
  std::vector<TunedInput> inputs;
  for (const std::string &name : command.inputs)
    inputs.push_back(*parseTunedInput(name));
  std::vector<TuneShape> shapes;
  for (TunedInput input : inputs)
    for (int64_t bits : command.bits)
      for (const std::string &text : command.shapes) {
        Expected<TuneShape> shape = parseShape(text, bits);
        if (!shape)
          return shape.takeError();
        shapes.push_back(*shape);
        shapes.back().input = input;
      }
  if (!shapes.empty())
    return shapes;
  if (command.model.empty())
    return encoderShapes(768, 3072, GemmActivation::Gelu, inputs, command.bits);
  Expected<ModelInfo> info = readHfConfig(command.model);
  if (!info)
    return info.takeError();
  return encoderShapes(info->hidden, info->intermediate,
                       activationOf(info->activation), inputs, command.bits);
}

static int tune(const TuneCommand &command) {
  // The parser's checks let an empty value pass, as a zero.
  if (std::find(command.bits.begin(), command.bits.end(), 0) !=
      command.bits.end())
    return fail("--bits: found nothing, expected 8, 4 or 2");
  TuneOptions options;
  options.tier = command.tier.empty()
                     ? bestHostTier()
                     : parseTier(command.tier).value_or(Tier::Sse2);
  Expected<std::vector<TuneShape>> shapes = shapesOf(command);
  if (!shapes)
    return fail(shapes.message());
  options.shapes = std::move(*shapes);
  if (command.quick) {
    options.rows = {8, 128};
    options.rounds = 5;
  }
  if (!command.rows.empty())
    options.rows = command.rows;
  if (command.rounds)
    options.rounds = command.rounds;
  options.line = [](const std::string &line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  };
  // Before minutes of work, not after.
  TuningTable table;
  if (!command.output.empty()) {
    if (std::filesystem::exists(command.output)) {
      Expected<TuningTable> read = TuningTable::read(command.output);
      if (!read)
        return fail(read.message());
      table = std::move(*read);
    } else if (Error error = writeFile(command.output, table.toJson())) {
      return fail(error.message());
    }
  }
  Expected<TunedMachine> machine = tuneMachine(options);
  if (!machine)
    return fail(machine.message());
  std::string key = machine->key.describe();
  machine->tuning.machine = command.name.empty() ? key : command.name;
  machine->measured = "quern tune on " + key + ", " +
                      std::to_string(options.rounds) + " rounds";
  std::printf("\n%s\n", key.c_str());
  for (const TunedGemm &entry : machine->tuning.gemm)
    std::printf("%lldx%lld w%lld%s: %s%s%s\n", (long long)entry.k,
                (long long)entry.n, (long long)entry.bits,
                describeTuned(entry.input).c_str(),
                describeTuning(entry.tuning).c_str(),
                entry.why.empty() ? "" : ": ", entry.why.c_str());
  if (command.output.empty())
    return Ok;
  table.put(std::move(*machine));
  if (Error error = writeFile(command.output, table.toJson()))
    return fail(error.message());
  return Ok;
}

void addTune(CLI::App &app, Action &action) {
  auto options = std::make_shared<TuneCommand>();
  CLI::App *command = app.add_subcommand(
      "tune", "Find the fastest form of each matrix kernel on this machine");
  command->add_option("-o,--output", options->output,
                      "Table to write (JSON) for compile --tuning; of one that "
                      "is there, other machines are kept");
  command->add_option("--model", options->model,
                      "Model folder whose products are timed; those of "
                      "BERT-base if none is given");
  command
      ->add_option("--shapes", options->shapes,
                   "Products KxN (inner by outer width) instead, with an "
                   "activation or without: 768x768,768x3072:gelu")
      ->delimiter(',')
      ->excludes("--model");
  command
      ->add_option("--bits", options->bits,
                   "Bits of the weights: 8 (the default), 4, 2")
      ->delimiter(',')
      ->check(CLI::IsMember({8, 4, 2}));
  command
      ->add_option("--inputs", options->inputs,
                   "What the rows hold: codes (the default), groups of "
                   "channels (peg), planes (16-bit codes)")
      ->delimiter(',')
      ->check(CLI::IsMember({"codes", "groups", "planes"}));
  command
      ->add_option("--rows", options->rows,
                   "Numbers of tokens: 8,16,32,128,384")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command
      ->add_option("--tier", options->tier,
                   "Tune as a machine does whose best tier this is: amx, "
                   "avx512vnni, avx512bw, avxvnni, avx2 or sse41")
      ->check(CLI::IsMember(
          {"amx", "avx512vnni", "avx512bw", "avxvnni", "avx2", "sse41"}));
  command
      ->add_option("--rounds", options->rounds,
                   "How often every candidate is timed (11; with --quick 5)")
      ->check(CLI::Range(1, 1001));
  command->add_flag("--quick", options->quick,
                    "Fewer rows (8, 128) and rounds");
  command->add_option("--name", options->name,
                      "Name of the machine in the table");
  command->footer(
      "Prints for each product and number of rows the candidates with their "
      "share of the\npeak of the dot-product instruction beside them, and who "
      "won. Results never change.\n"
      "Example: quern tune -o tuning.json\n"
      "         quern compile model/ -o m.qbm --tuning tuning.json");
  command->callback(
      [options, &action] { action = [options] { return tune(*options); }; });
}

} // namespace quern::cli
