//===- Compiler.cpp - A model in, a module out ----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The order of the stages. Each leaves a module that quern-opt reads back
// (`saveTemps`), so any of them can be looked at and run again.
//
//===----------------------------------------------------------------------===//
#include "compiler/Compiler.h"

#include "compiler/BiasCorrection.h"
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Calibrate/StoredRanges.h"
#include "compiler/Clipping.h"
#include "compiler/Dump.h"
#include "compiler/Emit/Assemble.h"
#include "compiler/Emit/KernelJit.h"
#include "compiler/FloatRun.h"
#include "compiler/GroupForms.h"
#include "compiler/Import/Import.h"
#include "compiler/Import/TokenizerImport.h"
#include "compiler/Levels.h"
#include "compiler/Outputs.h"
#include "compiler/Report.h"
#include "compiler/RequestInputs.h"
#include "compiler/Rounding.h"
#include "compiler/Targets.h"
#include "compiler/Validate/Validator.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Support/File.h"
#include "runtime/tokenizer/Tokenizer.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace mlir;

namespace quern {

namespace {
/// One compilation, from folder to file.
class Compilation {
public:
  explicit Compilation(const CompileRequest &request)
      : request(request), context(request.note) {}

  Expected<CompileResult> run();

private:
  Error failed(const std::string &what) const {
    return context.failed(request.modelFolder, what);
  }
  /// `error` as it is, or with the first error of an op behind it.
  Error explained(Error error) const {
    return !error || context.firstError().empty() ? std::move(error)
                                                  : failed(error.message());
  }

  Error chooseTargets();
  Error import();
  Error importWords();
  Error checkImages() const;
  Error calibrate();
  Error learnRanges(const std::vector<CalibrationText> &texts);
  Error chooseGroupForms();
  Error round();
  Error correctBias();
  Error startValidation();
  std::vector<CalibrationText> calibrationTexts() const {
    return textsOf(request, model.info);
  }
  Error lower(Level level, const char *dump, double fraction);
  Error dump(const std::string &name) const;
  Error emit();
  Error writeSideFiles();
  void begin(const std::string &stage, double fraction);

  const CompileRequest &request;
  LevelContext context;
  Targets targets;
  ModuleTuning tuning;
  ImportedModel model;
  std::string tokenizer;
  std::optional<FloatModel> real;
  std::optional<Recipe> recipe;
  RangeTable ranges;
  std::unique_ptr<Validator> validator;
  CompileResult result;
  std::string stage;
  std::chrono::steady_clock::time_point started;
};
} // namespace

void Compilation::begin(const std::string &name, double fraction) {
  auto now = std::chrono::steady_clock::now();
  if (!stage.empty())
    result.seconds.push_back(
        {stage, std::chrono::duration<double>(now - started).count()});
  stage = name;
  started = now;
  if (request.progress && !name.empty())
    request.progress(name, fraction);
}

Error Compilation::chooseTargets() {
  Expected<Targets> found = quern::chooseTargets(request);
  if (!found)
    return found.takeError();
  targets = std::move(*found);
  return Error::success();
}

/// The tokenizer of a text model.
Error Compilation::importWords() {
  for (const CalibrationText &text : request.calibration)
    if (text.pixels)
      return Error::make(request.calibrationName,
                         ": found an image, expected texts");
  Expected<ImportedTokenizer> found =
      importTokenizer(request.modelFolder, model.info.vocab);
  if (!found)
    return found.takeError();
  tokenizer.assign(reinterpret_cast<const char *>(found->blob.data()),
                   found->blob.size());
  if (found->size < size_t(model.info.vocab))
    result.warnings.push_back(
        found->source + " has " + std::to_string(found->size) +
        " ids, the word embedding table " + std::to_string(model.info.vocab) +
        " rows: the others are padding, or lines are missing");
  return Error::success();
}

/// A vision model takes images, to calibrate on and to run.
Error Compilation::checkImages() const {
  const ImageInfo &image = *model.info.image;
  size_t numbers = image.channels * image.size * image.size;
  for (const CalibrationText &each : request.calibration) {
    if (!each.pixels)
      return Error::make(request.calibrationName,
                         ": found a text, expected images");
    if (each.pixels->size() != numbers)
      return Error::make(request.calibrationName, ": found an image of ",
                         each.pixels->size(), " numbers, expected ", numbers);
  }
  return Error::success();
}

Error Compilation::import() {
  begin("import", 0.02);
  Expected<ImportedModel> imported = importModel(*context, request.modelFolder);
  if (!imported)
    return imported.takeError();
  model = std::move(*imported);
  tuning.write(*model.module);
  if (Error error = model.info.image ? checkImages() : importWords())
    return error;
  real.emplace(*model.module, tokenizer, request.threads);
  bool learned = llvm::any_of(model.ignoredTensors, [](StringRef name) {
    return name.ends_with("_quantizer.quantizer._delta") ||
           name.ends_with(".activation_quantizer.alpha");
  });
  if (learned && request.rangesIn.empty() && request.note)
    request.note("the checkpoint holds learned quantizers, which are not used: "
                 "--ranges with its .safetensors file takes them");
  return dump("00-import.mlir");
}

Error Compilation::calibrate() {
  Expected<Recipe> asked = recipeOf(request);
  if (!asked)
    return asked.takeError();
  recipe.emplace(std::move(*asked));
  std::vector<Site> sites = collectSites(*model.module);
  if (Error error = recipe->check(sites))
    return error;
  std::vector<ObservedSite> observed = observedSites(sites, *recipe);
  if (!request.rangesIn.empty() || recipe->readsBits(sites)) {
    Expected<RangeTable> read =
        readStoredRanges(request.rangesIn, sites, *recipe);
    if (!read)
      return read.takeError();
    ranges = std::move(*read);
    if (!ranges.weights.empty() && !request.rangesOut.empty())
      return Error::make(request.rangesOut,
                         ": found learned ranges to save, expected ranges of a "
                         "calibration; ",
                         request.rangesIn, " holds them");
  } else if (llvm::any_of(observed, [](const ObservedSite &site) {
               return !site.scheme.isFloat();
             })) {
    begin("calibrate", 0.05);
    std::vector<CalibrationText> texts = calibrationTexts();
    const CalibrationScheme &scheme = recipe->calibration();
    if (uint64_t most = uint64_t(scheme.batches) * scheme.batchSize;
        most && most < texts.size())
      texts.resize(most);
    Expected<RangeTable> found = calibrateModel(
        *real, observed, texts,
        [&](double part) {
          if (request.progress)
            request.progress("calibrate", 0.05 + 0.5 * part);
        },
        scheme.batchSize);
    if (!found)
      return explained(found.takeError());
    ranges = std::move(*found);
    ranges.texts = request.calibrationName;
    if (Error error = learnRanges(texts))
      return error;
  }
  if (Error error = attachScheme(*model.module, *recipe, ranges))
    return error;
  if (request.allRows) {
    NamedAttrList scheme(
        (*model.module)->getAttrOfType<DictionaryAttr>(SchemeAttr::name));
    scheme.set(SchemeAttr::rows, StringAttr::get(&*context, "all"));
    (*model.module)->setAttr(SchemeAttr::name, scheme.getDictionary(&*context));
  }
  result.floatParts = findFloatParts(*model.module);
  for (const Site &site : sites)
    ++(recipe->activationFor(site).isFloat() ? result.floatSites
                                             : result.quantizedSites);
  return Error::success();
}

Error Compilation::learnRanges(const std::vector<CalibrationText> &texts) {
  if (!needsClipping(*model.module, *recipe))
    return Error::success();
  begin("clip", 0.25);
  return explained(learnClips(
      *real, *recipe, ranges, texts,
      [&](double part) {
        if (request.progress)
          request.progress("clip", 0.25 + 0.05 * part);
      },
      request.note));
}

Error Compilation::chooseGroupForms() {
  if (!hasUndecidedForms(*model.module))
    return Error::success();
  begin("choose forms", 0.27);
  Expected<std::vector<std::string>> lines =
      chooseForms(*model.module, recipe->correctsBias(), *real,
                  calibrationTexts(), [&](double part) {
                    if (request.progress)
                      request.progress("choose forms", 0.27 + 0.03 * part);
                  });
  if (!lines)
    return explained(lines.takeError());
  result.decisions = std::move(*lines);
  return Error::success();
}

Error Compilation::round() {
  if (!needsRounding(*model.module))
    return Error::success();
  begin("adaround", 0.3);
  return explained(roundWeights(
      *model.module, request.modelFolder, recipe->rounding(), *real,
      calibrationTexts(), request.roundingCache,
      [&](double part) {
        if (request.progress)
          request.progress("adaround", 0.3 + 0.25 * part);
      },
      request.note));
}

Error Compilation::correctBias() {
  if (recipe->correctsBias() && !recipe->isFloat()) {
    begin("correct biases", 0.55);
    Error error = correctBiases(
        *model.module, *real, calibrationTexts(), [&](double part) {
          if (request.progress)
            request.progress("correct biases", 0.55 + 0.03 * part);
        });
    if (error)
      return explained(std::move(error));
  }
  real.reset();
  // Once more with the scheme, which the next stage needs.
  return dump("00-import.mlir");
}

/// The first calibration texts as tokens; vision models are interpreted on
/// generated patches.
Error Compilation::startValidation() {
  if (!request.validate)
    return Error::success();
  if (model.info.image) {
    ValidatorOptions options;
    options.more = request.promises;
    validator = std::make_unique<Validator>(std::move(options));
    return Error::success();
  }
  Tokenizer reader;
  if (const char *problem = reader.open(tokenizer.data(), tokenizer.size()))
    return Error::make(request.modelFolder, ": tokenizer: ", problem);
  ValidatorOptions options;
  options.more = request.promises;
  for (const CalibrationText &text : calibrationTexts()) {
    if (options.sequences.size() == Validator::maxSequences)
      break;
    Encoding tokens;
    EncodeStatus status =
        text.pair
            ? reader.encode(text.text, *text.pair, size_t(model.info.maxLength),
                            tokens)
            : reader.encode(text.text, size_t(model.info.maxLength), tokens);
    if (status != EncodeStatus::Ok)
      return Error::make(request.calibrationName,
                         ": found a text that has no tokens to validate with");
    options.sequences.push_back(
        {{tokens.ids(), tokens.ids() + tokens.size()},
         {tokens.typeIds(), tokens.typeIds() + tokens.size()}});
  }
  validator = std::make_unique<Validator>(std::move(options));
  return Error::success();
}

Error Compilation::lower(Level level, const char *dumpName, double fraction) {
  begin(stageName(level), fraction);
  auto extend = [&](PassManager &manager) {
    if (request.extend)
      request.extend(stageName(level), manager);
  };
  if (!lowerTo(level, *model.module, validator.get(), extend))
    return failed(std::string(stageName(level)) + " failed");
  return dump(dumpName);
}

Error Compilation::dump(const std::string &name) const {
  return request.saveTemps.empty()
             ? Error::success()
             : writeDump(*model.module, request.saveTemps, name);
}

/// The same name from every working directory.
static std::string absolutePath(const std::string &path) {
  llvm::SmallString<256> absolute;
  if (llvm::sys::fs::real_path(path, absolute))
    return path;
  return std::string(absolute);
}

Error Compilation::emit() {
  begin("emit", 0.75);
  ModuleOp module = *model.module;
  PassSetup setup;
  if (validator)
    setup = [&](PassManager &manager) { validator->attach(manager); };
  if (request.emit == EmitKind::Mlir) {
    std::string text;
    llvm::raw_string_ostream(text) << module << '\n';
    return writeFile(request.output, text);
  }
  if (request.emit == EmitKind::Llvm || request.emit == EmitKind::Assembly) {
    // One tier, so that LLVM's tools read the file: the best one asked for.
    Expected<std::string> text =
        emitKernels(module, targets.tiers.back(),
                    request.emit == EmitKind::Llvm ? CodeForm::LLVMText
                                                   : CodeForm::Assembly,
                    setup);
    if (!text)
      return failed(text.message());
    if (validator && validator->hasFailed())
      return failed("emit failed");
    return writeFile(request.output, *text);
  }
  ManifestRequest about;
  about.modelName =
      llvm::sys::path::filename(absolutePath(request.modelFolder)).str();
  about.recipeName = recipe->name();
  about.recipeJson = recipe->toJson();
  about.scheme = writeScheme(module);
  for (const std::string &target : request.targets)
    about.target += (about.target.empty() ? "" : ",") + target;
  if (about.target.empty())
    about.target = "x86";
  about.provenance = {
      {"compiler", "quern 0.1.0"},
      {"calibration", !ranges.texts.empty()      ? ranges.texts
                      : request.rangesIn.empty() ? "none"
                                                 : request.rangesIn},
      {"model", absolutePath(request.modelFolder)},
      {"tuning", tuning.gemm.empty() ? "default" : tuning.machine}};
  if (targets.forGpus) {
    Expected<nvptx::DeviceProgram> device = nvptx::buildDeviceProgram(
        module, {nvptx::PtxVariant::Sm80, nvptx::PtxVariant::Sm90a});
    if (!device)
      return failed(device.message());
    for (const nvptx::DeviceText &text : device->code) {
      if (request.saveTemps.empty())
        continue;
      std::string name = nvptx::variantName(text.variant).str();
      if (Error error =
              writeFile(request.saveTemps + "/40-" + name + ".ptx", text.ptx))
        return error;
    }
    about.device = std::move(*device);
  }
  Expected<AssembledModule> assembled = assembleModule(
      module, targets.tiers, about, tokenizer, request.threads, setup);
  if (!assembled)
    return failed(assembled.message());
  if (validator && validator->hasFailed())
    return failed("emit failed");
  result.kernels = assembled->manifest.kernels.size();
  begin("write", 0.95);
  if (request.emit == EmitKind::Object)
    return writeObject(request.output, *assembled);
  if (request.emit == EmitKind::Executable)
    return writeExecutable(request.output, *assembled);
  return writeModule(request.output, *assembled);
}

Error Compilation::writeSideFiles() {
  if (!request.rangesOut.empty())
    if (Error error = writeFile(request.rangesOut, writeRanges(ranges)))
      return error;
  if (request.report.empty())
    return Error::success();
  ReportFormat format = ReportFormat::Text;
  if (StringRef(request.report).ends_with(".json"))
    format = ReportFormat::Json;
  if (StringRef(request.report).ends_with(".html"))
    format = ReportFormat::Html;
  return writeFile(request.report, compileReport(request, result, targets.tiers,
                                                 *model.module, format));
}

Expected<CompileResult> Compilation::run() {
  if (Error error = chooseTargets())
    return error;
  if (Error error = checkOutputs(request))
    return error;
  Expected<ModuleTuning> kernels = chooseTuning(request);
  if (!kernels)
    return kernels.takeError();
  tuning = std::move(*kernels);
  if (Error error = import())
    return explained(std::move(error));
  if (Error error = calibrate())
    return error;
  if (Error error = chooseGroupForms())
    return error;
  if (Error error = round())
    return error;
  if (Error error = correctBias())
    return error;
  if (Error error = startValidation())
    return error;
  if (Error error = lower(Level::Simulation, "10-simulate.mlir", 0.58))
    return error;
  if (Error error = lower(Level::Integer, "20-integer.mlir", 0.65))
    return error;
  if (Error error = lower(Level::Tiles, "30-tiles.mlir", 0.7))
    return error;
  if (Error error = emit())
    return error;
  begin("", 1);
  if (validator)
    result.validation = validator->summary();
  uint64_t bytes = 0;
  if (!llvm::sys::fs::file_size(request.output, bytes))
    result.bytes = bytes;
  result.recipe = recipe->name();
  if (Error error = writeSideFiles()) {
    // All or nothing. Devices and pipes stay.
    for (const std::string &path : outputsOf(request))
      if (llvm::sys::fs::is_regular_file(path))
        llvm::sys::fs::remove(path);
    return error;
  }
  return std::move(result);
}

Expected<CompileResult> compile(const CompileRequest &request) {
  return Compilation(request).run();
}

} // namespace quern
