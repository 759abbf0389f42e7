//===- Levels.cpp - The levels of a model, one from the other -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Levels.h"

#include "compiler/Import/Import.h"
#include "compiler/Registry.h"
#include "compiler/Rounding.h"
#include "compiler/Validate/Validator.h"
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "lib/Rewrite/Passes.h"
#include "lib/Tile/TilePasses.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace quern {

/// Turns on the remarks of our passes; they reach the context's handler.
static void enableRemarks(MLIRContext &context) {
  remark::RemarkCategories categories;
  categories.passed = categories.missed = categories.analysis =
      categories.failed = "quantize|rewrite|tile";
  (void)remark::enableOptimizationRemarks(
      context, nullptr, std::make_unique<remark::RemarkEmittingPolicyAll>(),
      categories, /*printAsEmitRemarks=*/true);
}

static std::unique_ptr<MLIRContext> makeContext(bool remarks) {
  DialectRegistry registry;
  registerAllQuern(registry);
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  if (remarks)
    enableRemarks(*context);
  return context;
}

LevelContext::LevelContext(std::function<void(const std::string &)> note)
    : context(makeContext(bool(note))),
      handler(context.get(), [this, note](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error) {
          if (note)
            note(diagnostic.str());
        } else if (error.empty()) {
          error = diagnostic.str();
        }
        return success();
      }) {}

Error LevelContext::failed(const std::string &where,
                           const std::string &what) const {
  return Error::make(where, ": ", what, error.empty() ? "" : ": ", error);
}

const char *stageName(Level level) {
  switch (level) {
  case Level::Simulation:
    return "quantize";
  case Level::Integer:
    return "rewrite";
  case Level::Tiles:
    return "tile";
  }
  llvm_unreachable("every level has a stage");
}

bool lowerTo(Level level, ModuleOp module, Validator *validator,
             const std::function<void(PassManager &)> &extend) {
  PassManager manager(module.getContext());
  if (validator)
    validator->attach(manager);
  switch (level) {
  case Level::Simulation:
    buildQuantizePipeline(manager);
    break;
  case Level::Integer: {
    buildRewritePipeline(manager);
    CheckStageOptions options;
    options.stage = "integer";
    manager.addPass(createCheckStage(options));
    break;
  }
  case Level::Tiles:
    buildTilePipeline(manager);
    break;
  }
  if (extend)
    extend(manager);
  return succeeded(manager.run(module)) &&
         !(validator && validator->hasFailed());
}

/// The sites of a scheme, each entry with its map of groups made anew by
/// `convert`.
static Attribute
convertGroups(Attribute scheme,
              llvm::function_ref<Attribute(Attribute)> convert) {
  auto dict = dyn_cast_or_null<DictionaryAttr>(scheme);
  auto sites = dict ? dict.getAs<DictionaryAttr>("sites") : nullptr;
  if (!sites)
    return scheme;
  NamedAttrList list(sites);
  for (NamedAttribute site : sites) {
    auto entry = dyn_cast<DictionaryAttr>(site.getValue());
    Attribute map = entry ? entry.get("group_of") : nullptr;
    if (!map)
      continue;
    NamedAttrList changed(entry);
    changed.set("group_of", convert(map));
    list.set(site.getName(), changed.getDictionary(dict.getContext()));
  }
  NamedAttrList result(dict);
  result.set("sites", list.getDictionary(dict.getContext()));
  return result.getDictionary(dict.getContext());
}

/// A map of groups takes a byte or two for each channel in a file, eight in
/// the attribute.
static Attribute narrowGroups(Attribute map) {
  auto wide = dyn_cast<DenseI64ArrayAttr>(map);
  if (!wide)
    return map;
  ArrayRef<int64_t> values = wide.asArrayRef();
  if (llvm::all_of(values, [](int64_t g) { return g >= 0 && g <= INT8_MAX; }))
    return DenseI8ArrayAttr::get(
        map.getContext(), SmallVector<int8_t>(values.begin(), values.end()));
  if (llvm::all_of(values, [](int64_t g) { return g >= 0 && g <= INT16_MAX; }))
    return DenseI16ArrayAttr::get(
        map.getContext(), SmallVector<int16_t>(values.begin(), values.end()));
  return map;
}

static Attribute widenGroups(Attribute map) {
  SmallVector<int64_t> values;
  if (auto bytes = dyn_cast<DenseI8ArrayAttr>(map))
    llvm::append_range(values, bytes.asArrayRef());
  else if (auto words = dyn_cast<DenseI16ArrayAttr>(map))
    llvm::append_range(values, words.asArrayRef());
  else
    return map;
  return DenseI64ArrayAttr::get(map.getContext(), values);
}

std::string writeScheme(ModuleOp module) {
  std::string bytes;
  Attribute scheme =
      convertGroups(module->getAttr(SchemeAttr::name), narrowGroups);
  if (!scheme)
    return bytes;
  // Bytecode is of ops; this one has nothing else.
  OwningOpRef<ModuleOp> holder =
      ModuleOp::create(UnknownLoc::get(module.getContext()));
  (*holder)->setAttr(SchemeAttr::name, scheme);
  llvm::raw_string_ostream out(bytes);
  (void)writeBytecodeToFile(*holder, out);
  return bytes;
}

Attribute readScheme(MLIRContext &context, StringRef bytes) {
  // The reader wants aligned memory that ends in a zero.
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(bytes, "scheme");
  if (!isBytecode(*buffer))
    return nullptr;
  Block block;
  if (failed(readBytecodeFile(*buffer, &block, ParserConfig(&context))) ||
      block.empty())
    return nullptr;
  return convertGroups(block.front().getAttr(SchemeAttr::name), widenGroups);
}

Expected<RebuiltLevels> rebuildLevels(LevelContext &context,
                                      const std::string &modelFolder,
                                      const std::string &scheme,
                                      const TakeCodes &takeCodes) {
  Expected<ImportedModel> model = importModel(*context, modelFolder);
  if (!model)
    return context.firstError().empty()
               ? model.takeError()
               : context.failed(modelFolder, model.message());
  Attribute attr = readScheme(*context, scheme);
  if (!attr)
    return context.failed(modelFolder, "the module's scheme cannot be read");
  RebuiltLevels levels;
  levels.simulation = std::move(model->module);
  (*levels.simulation)->setAttr(SchemeAttr::name, attr);
  bool isLearned = needsRounding(*levels.simulation);
  if (isLearned)
    if (Error error = attachNearestCodes(*levels.simulation))
      return std::move(error);
  if (!lowerTo(Level::Simulation, *levels.simulation))
    return context.failed(modelFolder, "quantize failed");
  auto rewrite = [&] {
    levels.integer = levels.simulation->clone();
    return lowerTo(Level::Integer, *levels.integer);
  };
  if (!rewrite())
    return context.failed(modelFolder, "rewrite failed");
  if (isLearned) {
    if (Error error = takeCodes(*levels.simulation, *levels.integer))
      return std::move(error);
    if (!rewrite())
      return context.failed(modelFolder, "rewrite failed");
  }
  return Expected<RebuiltLevels>(std::move(levels));
}

} // namespace quern
