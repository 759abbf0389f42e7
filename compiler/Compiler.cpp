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
#include "compiler/Calibrate/DefaultText.h"
#include "compiler/Calibrate/LearnedTable.h"
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Clipping.h"
#include "compiler/Emit/Assemble.h"
#include "compiler/Emit/KernelJit.h"
#include "compiler/FloatRun.h"
#include "compiler/GroupForms.h"
#include "compiler/Import/Import.h"
#include "compiler/Import/TokenizerImport.h"
#include "compiler/Levels.h"
#include "compiler/Recipe/Recipe.h"
#include "compiler/Report.h"
#include "compiler/Rounding.h"
#include "compiler/Tune/TuningTable.h"
#include "compiler/Validate/Validator.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Support/File.h"
#include "runtime/tokenizer/Tokenizer.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
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

  Error chooseTiers();
  Error chooseTuning();
  Error import();
  Error importWords();
  Error checkImages() const;
  Error calibrate();
  Error learnRanges(const std::vector<CalibrationText> &texts);
  Error chooseGroupForms();
  Error round();
  Error correctBias();
  Error startValidation();
  std::vector<CalibrationText> calibrationTexts() const;
  Error lower(Level level, const char *dump, double fraction);
  Error dump(const std::string &name);
  Error emit();
  Error writeSideFiles();
  void begin(const std::string &stage, double fraction);

  const CompileRequest &request;
  LevelContext context;
  std::vector<Tier> tiers;
  ModuleTuning tuning;
  bool forGpus = false;
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

Error Compilation::chooseTiers() {
  std::vector<std::string> targets = request.targets;
  forGpus = llvm::is_contained(targets, "nvptx");
  llvm::erase(targets, "nvptx");
  if (targets.empty())
    targets = {"x86"};
  auto add = [&](Tier tier) {
    if (!llvm::is_contained(tiers, tier))
      tiers.push_back(tier);
  };
  // Every module has the scalar tier: it runs on any x86-64.
  add(Tier::Scalar);
  std::string names;
  for (Tier tier : llvm::reverse(allTiers))
    names += ", x86-" + getTierName(tier).str();
  for (const std::string &target : targets) {
    bool all = target == "x86", host = target == "host", known = all || host;
    for (Tier tier : allTiers) {
      bool named = target == "x86-" + getTierName(tier).str();
      known |= named;
      if (all || named || (host && tier == bestHostTier()))
        add(tier);
    }
    if (!known)
      return Error::make("target ", target,
                         ": found an unknown name, expected host, x86", names,
                         " or nvptx");
  }
  // As the table of a module wants them.
  llvm::sort(tiers);
  return Error::success();
}

/// The entry of this machine, or of the one asked for. Without one, kernels are
/// the default.
Error Compilation::chooseTuning() {
  TuningTable table = TuningTable::shipped();
  std::string file = "the shipped tuning table";
  if (!request.tuning.empty()) {
    file = request.tuning;
    Expected<TuningTable> read = TuningTable::read(file);
    if (!read)
      return read.takeError();
    table = std::move(*read);
  }
  MachineKey host = hostKey(bestHostTier());
  const TunedMachine *machine = request.tunedFor.empty()
                                    ? table.choose(host)
                                    : table.find(request.tunedFor);
  if (!machine && !request.tunedFor.empty())
    return Error::make(file, ": found no machine ", request.tunedFor,
                       ", expected one of ", table.names());
  std::string line = "tuning: ";
  if (machine)
    line +=
        machine->tuning.machine + " of " + file +
        (request.tunedFor.empty() ? ", which this machine is like (" : " (") +
        machine->key.describe() + ")";
  else
    line += "default kernels: " + file + " has no machine like this one (" +
            host.describe() + ")";
  if (machine)
    tuning = machine->tuning;
  if (request.note)
    request.note(line);
  return Error::success();
}

/// The files beside the dumps that a request asks for.
static std::vector<std::string> outputsOf(const CompileRequest &request) {
  std::vector<std::string> paths = {request.output};
  if (request.emit == EmitKind::Object)
    paths.push_back(headerPathOf(request.output));
  for (const std::string &path : {request.rangesOut, request.report})
    if (!path.empty())
      paths.push_back(path);
  return paths;
}

Error checkOutputs(const CompileRequest &request) {
  std::vector<std::string> paths = outputsOf(request);
  for (const std::string &path : paths) {
    if (llvm::count(paths, path) > 1 && path != "/dev/null")
      return Error::make(path, ": found one name for two outputs, expected "
                               "different ones");
    Expected<OutputFile> file = OutputFile::create(path);
    if (!file)
      return file.takeError();
  }
  if (!request.saveTemps.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(
            request.saveTemps, true, llvm::sys::fs::all_all))
      return Error::make(request.saveTemps,
                         ": cannot be made: ", code.message());
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
  if (request.emit == EmitKind::Executable)
    return Error::make(request.output, ": found a vision model, expected a "
                                       "text model: executables read texts; "
                                       "emit an object or a module");
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

/// Without a second type of token there are no pairs, only texts.
static std::vector<CalibrationText> builtInTexts(bool pairs) {
  std::vector<CalibrationText> texts;
  for (auto [text, pair] : defaultCalibrationText()) {
    texts.push_back({std::string(text), std::nullopt});
    if (!pair.empty() && pairs)
      texts.back().pair = std::string(pair);
    else if (!pair.empty())
      texts.push_back({std::string(pair), std::nullopt});
  }
  return texts;
}

std::vector<CalibrationText> Compilation::calibrationTexts() const {
  return request.calibration.empty() && !model.info.image
             ? builtInTexts(model.info.typeVocab > 1)
             : request.calibration;
}

/// ranges.json, or the quantizers of a checkpoint.
static Expected<RangeTable> readRanges(const std::string &path,
                                       const std::vector<Site> &sites,
                                       Recipe &recipe) {
  bool isCheckpoint = llvm::sys::path::extension(path) == ".safetensors";
  if (!isCheckpoint && recipe.readsBits(sites))
    return Error::make("recipe ", recipe.name(),
                       ": found \"bits\": "
                       "\"learned\"",
                       path.empty() ? "" : " beside --ranges " + path,
                       ", expected --ranges with the .safetensors file that "
                       "holds learned quantizers");
  if (!isCheckpoint)
    return loadRanges(path);
  Expected<LearnedQuantizers> learned = readLearnedQuantizers(path);
  if (!learned)
    return learned.takeError();
  if (Error error = adoptBits(*learned, sites, recipe))
    return error;
  return learnedRanges(*learned, sites, recipe);
}

Error Compilation::calibrate() {
  Expected<Recipe> loaded = Recipe::load(request.recipe);
  if (!loaded)
    return loaded.takeError();
  recipe.emplace(std::move(*loaded));
  if (!request.quantDict.empty())
    if (Error error = recipe->setQuantDict(request.quantDict))
      return error;
  for (const std::string &assignment : request.overrides)
    if (Error error = recipe->set(assignment))
      return error;
  std::vector<Site> sites = collectSites(*model.module);
  if (Error error = recipe->check(sites))
    return error;
  std::vector<ObservedSite> observed = observedSites(sites, *recipe);
  if (!request.rangesIn.empty() || recipe->readsBits(sites)) {
    Expected<RangeTable> read = readRanges(request.rangesIn, sites, *recipe);
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
      return context.firstError().empty() ? found.takeError()
                                          : failed(found.message());
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
  Error error = learnClips(
      *real, *recipe, ranges, texts,
      [&](double part) {
        if (request.progress)
          request.progress("clip", 0.25 + 0.05 * part);
      },
      request.note);
  if (!error)
    return error;
  return context.firstError().empty() ? std::move(error)
                                      : failed(error.message());
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
    return context.firstError().empty() ? lines.takeError()
                                        : failed(lines.message());
  result.decisions = std::move(*lines);
  return Error::success();
}

Error Compilation::round() {
  if (!needsRounding(*model.module))
    return Error::success();
  begin("adaround", 0.3);
  Error error = roundWeights(
      *model.module, request.modelFolder, recipe->rounding(), *real,
      calibrationTexts(), request.roundingCache,
      [&](double part) {
        if (request.progress)
          request.progress("adaround", 0.3 + 0.25 * part);
      },
      request.note);
  if (!error)
    return error;
  return context.firstError().empty() ? std::move(error)
                                      : failed(error.message());
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
      return context.firstError().empty() ? std::move(error)
                                          : failed(error.message());
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

/// Bytes of the constants that are printed apart.
static uint64_t resourceBytes(ModuleOp module) {
  uint64_t bytes = 0;
  module.walk([&](Operation *op) {
    for (NamedAttribute attr : op->getAttrs())
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr.getValue()))
        if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
          bytes += blob->getData().size();
  });
  return bytes;
}

Error Compilation::dump(const std::string &name) {
  if (request.saveTemps.empty())
    return Error::success();
  // A small model is printed whole. The weights of a large one are left out: a
  // printed BERT is a few pages then. The whole graph stands beside it as
  // bytecode, on which every pass runs; no pass on kernels reads a constant.
  constexpr uint64_t whole = uint64_t(4) << 20;
  bool isLarge = resourceBytes(*model.module) > whole;
  OpPrintingFlags flags;
  if (isLarge)
    flags.elideLargeResourceString(4096);
  if (isLarge && model.module->lookupSymbol<func::FuncOp>("forward")) {
    std::string bytecode;
    llvm::raw_string_ostream out(bytecode);
    if (mlir::failed(writeBytecodeToFile(*model.module, out)))
      return Error::make(name, ": cannot be written as bytecode");
    if (Error error =
            writeFile(joinPath(request.saveTemps, name + "bc"), out.str()))
      return error;
  }
  std::string text;
  llvm::raw_string_ostream out(text);
  model.module->print(out, flags);
  out << '\n';
  return writeFile(joinPath(request.saveTemps, name), text);
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
        emitKernels(module, tiers.back(),
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
  if (forGpus) {
    Expected<nvptx::DeviceProgram> device = nvptx::buildDeviceProgram(
        module, {nvptx::PtxVariant::Sm80, nvptx::PtxVariant::Sm90a});
    if (!device)
      return failed(device.message());
    about.device = std::move(*device);
  }
  Expected<AssembledModule> assembled =
      assembleModule(module, tiers, about, tokenizer, setup);
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
  return writeFile(request.report, compileReport(request, result, tiers,
                                                 *model.module, format));
}

Expected<CompileResult> Compilation::run() {
  if (Error error = chooseTiers())
    return error;
  if (Error error = checkOutputs(request))
    return error;
  if (Error error = chooseTuning())
    return error;
  if (Error error = import())
    return context.firstError().empty() ? std::move(error)
                                        : failed(error.message());
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
