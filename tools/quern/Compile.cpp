//===- Compile.cpp - quern compile: a model folder to a module ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/AutoRecipe.h"
#include "tools/quern/CalibrationInput.h"
#include "tools/quern/Commands.h"
#include "tools/quern/Progress.h"

#include "compiler/Compiler.h"
#include "compiler/Import/HfConfig.h"
#include "compiler/Recipe/Recipe.h"

#include <filesystem>
#include <map>

namespace quern::cli {

namespace {
struct CompileOptions {
  CompileRequest request;
  RecipeOptions recipe;
  std::string calibrate, emit = "qbm";
  unsigned samples = 256;
  /// Whether --max-drop was given.
  bool limitsDrop = false;
  bool quiet = false, verbose = false;
};
} // namespace

/// Texts, or images where the folder is one of a vision model. What is wrong
/// with the folder is for the compilation to say.
static Expected<std::vector<CalibrationText>>
readCalibration(const CompileOptions &options) {
  Expected<ModelInfo> info = readHfConfig(options.request.modelFolder);
  if (!info || !info->image)
    return readMixedTexts(options.calibrate, options.samples);
  const ImageInfo &image = *info->image;
  bool isKnown = !image.mean.empty();
  quern_image_format format = {uint32_t(image.channels),
                               uint32_t(image.size),
                               uint32_t(image.size),
                               image.rescale,
                               isKnown ? image.mean.data() : nullptr,
                               isKnown ? image.deviation.data() : nullptr};
  return readImages(options.calibrate, options.samples, format);
}

static int compileCommand(CompileOptions options) {
  static const std::map<std::string, EmitKind> kinds = {
      {"qbm", EmitKind::Module},     {"obj", EmitKind::Object},
      {"exe", EmitKind::Executable}, {"mlir", EmitKind::Mlir},
      {"llvm", EmitKind::Llvm},      {"asm", EmitKind::Assembly}};
  CompileRequest &request = options.request;
  if (options.limitsDrop && request.recipe != "auto")
    return misuse("--max-drop: found recipe " + request.recipe +
                  ", expected auto");
  request.emit = kinds.at(options.emit);
  if (!options.calibrate.empty()) {
    Expected<std::vector<CalibrationText>> texts = readCalibration(options);
    if (!texts)
      return fail(texts.message());
    request.calibration = std::move(*texts);
    request.calibrationName = options.calibrate;
  }
  Progress progress(!options.quiet);
  request.progress = [&](const std::string &stage, double fraction) {
    progress.update(stage, fraction);
  };
  if (options.verbose)
    request.note = [&](const std::string &line) { progress.line(line); };
  if (Error error = settleRecipe(options.recipe, request, progress)) {
    progress.finish();
    return fail(error.message());
  }
  Expected<CompileResult> result = compile(request);
  progress.finish();
  if (!result)
    return fail(result.message());
  if (options.quiet)
    return Ok;
  double total = 0;
  for (const auto &[stage, seconds] : result->seconds)
    total += seconds;
  std::fprintf(stderr,
               "%s: recipe %s, %u sites quantized, %u in f32, %u kernels, "
               "%.1f MB, %.1f s",
               request.output.c_str(), result->recipe.c_str(),
               result->quantizedSites, result->floatSites, result->kernels,
               result->bytes / 1e6, total);
  const char *separator = " (";
  for (const auto &[stage, seconds] : result->seconds) {
    std::fprintf(stderr, "%s%s %.1f", separator, stage.c_str(), seconds);
    separator = ", ";
  }
  std::fprintf(stderr, ")\n");
  for (const std::string &warning : result->warnings)
    std::fprintf(stderr, "quern: warning: %s\n", warning.c_str());
  if (result->validation)
    std::fprintf(stderr, "validated: %s\n", result->validation->line().c_str());
  if (std::string parts = result->floatParts.line(); !parts.empty())
    std::fprintf(stderr, "left in f32 by the recipe: %s\n", parts.c_str());
  if (request.calibration.empty() && request.rangesIn.empty() &&
      result->quantizedSites > 0)
    std::fprintf(stderr, "calibrated on built-in text; --calibrate FILE with "
                         "your own gives better ranges\n");
  return Ok;
}

void addCompile(CLI::App &app, Action &action) {
  auto options = std::make_shared<CompileOptions>();
  CompileRequest &request = options->request;
  CLI::App *command = app.add_subcommand(
      "compile", "Compile a Hugging Face model folder to machine code");
  command->add_option("model", request.modelFolder, "Model folder")->required();
  command->add_option("-o,--output", request.output, "File to write")
      ->required();
  std::string names;
  for (const std::string &name : Recipe::presets())
    names += (names.empty() ? "" : ", ") + name;
  CLI::Option *recipe = command->add_option(
      "--recipe", request.recipe,
      "Preset (" + names +
          "), FILE.json, or auto, which measures recipes on the --calibrate "
          "texts");
  CLI::Option *maxDrop =
      command
          ->add_option("--max-drop", options->recipe.maxDrop,
                       "Points of accuracy that --recipe auto may lose (0.5), "
                       "as the float model expects them")
          ->check(CLI::Range(0.0, 100.0));
  command->add_option("--save-recipe", options->recipe.saveRecipe,
                      "Where to write the recipe; auto writes it beside the "
                      "output if this is not given");
  command->add_option("--save-front", options->recipe.saveFront,
                      "Where to write what --recipe auto measured, as JSON; "
                      "inspect --accuracy --html PAGE --front FILE plots it");
  command->add_option("--quant-dict", request.quantDict,
                      "Dictionary of the published code, as {'x': 16, 'h': "
                      "'ng6'}; changes the recipe, or w8a8 if none is given");
  command->add_option("--set", request.overrides,
                      "SITE=SCHEME overrides one key of the recipe, as h=16 or "
                      "L3.x=fp32; repeatable");
  command->add_option("--calibrate", options->calibrate,
                      "Texts to find the ranges with: one a line, or a "
                      "tab-separated pair, or JSON lines. For a vision model "
                      "images of its size (.ppm, .pgm or .npy): a folder, or "
                      "a file with a path on each line");
  command
      ->add_option("--samples", options->samples,
                   "Calibration texts or images to use at most")
      ->check(CLI::Range(1u, 1000000u));
  command->add_option("--ranges", request.rangesIn,
                      "ranges.json of an earlier calibration, or a checkpoint "
                      "(.safetensors) with learned quantizers");
  command->add_option("--adaround-cache", request.roundingCache,
                      "File that keeps the layers rounded by AdaRound, so that "
                      "an interrupted compilation goes on where it stopped");
  command->add_option("--save-ranges", request.rangesOut,
                      "Where to write ranges.json");
  // Here already, since auto measures for minutes before it compiles.
  command
      ->add_option(
          "--target", request.targets,
          "host, x86 (all tiers, the default), one tier (x86-amx, "
          "x86-avx512vnni, x86-avx512bw, x86-avxvnni, x86-avx2, x86-sse41, "
          "x86-sse2), or nvptx, which adds kernels for NVIDIA GPUs; "
          "repeatable. Every module has a tier that runs on any x86-64: "
          "x86-sse2, or x86-scalar where it is named, the same without "
          "vectors, to compare with")
      ->check(CLI::IsMember({"host", "x86", "x86-amx", "x86-avx512vnni",
                             "x86-avx512bw", "x86-avxvnni", "x86-avx2",
                             "x86-sse41", "x86-sse2", "x86-scalar", "nvptx"}));
  command->add_option("--tuning", request.tuning,
                      "Table of quern tune to choose kernels by; without one, "
                      "the table that comes with quern");
  command->add_option("--tune-for", request.tunedFor,
                      "Machine of the table to compile for; without one, that "
                      "which this machine is like");
  command
      ->add_option("--emit", options->emit,
                   "qbm (module), obj (object and C header), exe (program), "
                   "mlir, llvm or asm (both of the best tier)")
      ->check(CLI::IsMember({"qbm", "obj", "exe", "mlir", "llvm", "asm"}));
  command->add_option("--save-temps", request.saveTemps,
                      "Folder for the dumps of all levels, and for PTX");
  command->add_option("--report", request.report,
                      "File for the report: .json, .html, otherwise text");
  command->add_flag("--all-rows", request.allRows,
                    "Compute the rows of the last layer that the head does not "
                    "read, too: slower, but its sites can be looked at whole");
  command->add_flag("--tq-validate", request.validate,
                    "Interpret what each pass was given and what it made of "
                    "it, on calibration texts and adversarial codes; stop at "
                    "the first difference that the pass does not allow itself");
  command->add_option("--threads", request.threads,
                      "Threads that calibrate and make code; 0 is one per CPU");
  command->add_flag("-q,--quiet", options->quiet, "Print errors only");
  command->add_flag("-v,--verbose", options->verbose,
                    "Print every decision and its reason");
  command->footer("Example: quern compile model/ -o m.qbm --calibrate "
                  "texts.txt");
  command->callback([options, recipe, maxDrop, &action] {
    options->limitsDrop = !maxDrop->empty();
    if (!options->request.quantDict.empty() && recipe->empty())
      options->request.recipe = "w8a8";
    action = [options] { return compileCommand(*options); };
  });
}

} // namespace quern::cli
