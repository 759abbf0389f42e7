//===- Eval.cpp - quern eval: GLUE metrics of a module --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Beside the module's metrics stand those of the f32 model on the same rows:
// the compiled f32 model of the folder that the module was made from, or of
// --ref; and, if asked for, those of the recipe's simulation.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/EvalReport.h"
#include "tools/quern/Handles.h"
#include "tools/quern/ImageInput.h"
#include "tools/quern/Progress.h"

#include "compiler/Compiler.h"
#include "compiler/Emit/Toolchain.h"
#include "compiler/Verify/Simulation.h"
#include "lib/Support/File.h"
#include "runtime/src/manifest_generated.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <memory>

using nlohmann::json;

namespace quern::cli {

namespace {
struct EvalOptions {
  std::string module, task, reference;
  std::vector<std::string> data;
  /// Where the logits go, or "".
  std::string logits;
  unsigned threads = 0, maxLength = 128, batch = 16, rows = 0;
  bool asJson = false, noReference = false, quiet = false, simulate = false;
};
} // namespace

/// Runs rows [from, from + count) of images.
static Error runImages(quern_session *session, const quern_image_format &format,
                       const std::vector<GlueRow> &rows, size_t from,
                       size_t count, quern_output &output) {
  std::vector<float> pixels;
  for (size_t i = from; i < from + count; ++i) {
    Expected<std::vector<float>> image = readImage(rows[i].text, format);
    if (!image)
      return image.takeError();
    pixels.insert(pixels.end(), image->begin(), image->end());
  }
  quern_error error = {};
  if (quern_run_images(session, pixels.data(), count, &output, &error))
    return Error(error.message);
  return Error::success();
}

/// Runs rows [from, from + count) of texts.
static Error runTexts(quern_session *session, const std::vector<GlueRow> &rows,
                      bool pairs, size_t from, size_t count,
                      quern_output &output) {
  std::vector<quern_text> texts;
  for (size_t i = from; i < from + count; ++i)
    texts.push_back({rows[i].text.data(), rows[i].text.size(),
                     pairs ? rows[i].pair.data() : nullptr,
                     pairs ? rows[i].pair.size() : 0});
  quern_error error = {};
  if (quern_run_texts(session, texts.data(), count, 0, &output, &error))
    return Error(error.message);
  return Error::success();
}

/// Logits of all rows.
static Expected<Logits> runRows(quern_module *module,
                                const std::vector<GlueRow> &rows, bool pairs,
                                const EvalOptions &options,
                                const std::string &what) {
  Expected<SessionHandle> session = createSession(module, options.threads);
  if (!session)
    return session.takeError();
  quern_description about;
  quern_module_describe(module, &about);
  bool areImages = about.image.channels != 0;
  quern_error error = {};
  if (!areImages && quern_session_set_max_length(
                        session->get(),
                        std::min(options.maxLength, about.max_length), &error))
    return Error(error.message);
  Progress progress(!options.quiet);
  Logits logits;
  for (size_t from = 0; from < rows.size(); from += options.batch) {
    size_t count = std::min<size_t>(options.batch, rows.size() - from);
    quern_output output = {};
    Error failed =
        areImages
            ? runImages(session->get(), about.image, rows, from, count, output)
            : runTexts(session->get(), rows, pairs, from, count, output);
    if (failed)
      return failed;
    for (size_t i = 0; i < count; ++i)
      logits.emplace_back(output.data + i * output.columns,
                          output.data + (i + 1) * output.columns);
    progress.update(what, double(from + count) / rows.size());
  }
  progress.finish();
  return logits;
}

/// Logits of all rows by the simulation of the module's recipe.
static Expected<Logits> simulateRows(const quern_module *module,
                                     const std::vector<GlueRow> &rows,
                                     bool pairs, const EvalOptions &options) {
  SimulationRequest request;
  request.module = module;
  request.name = options.module;
  request.maxLength = options.maxLength;
  request.threads = options.threads;
  for (const GlueRow &row : rows)
    request.texts.push_back(
        {row.text,
         pairs ? std::optional<std::string>(row.pair) : std::nullopt});
  Progress progress(!options.quiet);
  request.progress = [&](double part) { progress.update("simulation", part); };
  Expected<Logits> logits = quern::simulate(request);
  progress.finish();
  return logits;
}

/// Logits can be compared of models with one kind of output and as many.
static Error compareHeads(const quern_module *module, const std::string &name,
                          const quern_description &about) {
  quern_description theirs;
  quern_module_describe(module, &theirs);
  bool isSame = theirs.head == about.head && theirs.columns == about.columns &&
                theirs.rows_are_tokens == about.rows_are_tokens &&
                (theirs.image.channels != 0) == (about.image.channels != 0);
  if (isSame)
    return Error::success();
  return Error::make(name, ": found another head, with ", theirs.columns,
                     " outputs, expected one as the module's, with ",
                     about.columns);
}

/// Compiles the f32 model of a folder and opens it.
static Expected<ModuleHandle> openReference(const std::string &source,
                                            const TemporaryFolder &folder) {
  if (!std::filesystem::is_directory(source))
    return openModule(source);
  CompileRequest request;
  request.modelFolder = source;
  request.output = folder.file("reference.qbm");
  request.recipe = "fp32";
  Expected<CompileResult> compiled = compile(request);
  if (!compiled)
    return compiled.takeError();
  return openModule(request.output);
}

/// Puts the outputs of a model that orders its classes otherwise in the order
/// of the task.
static void orderClasses(const GlueTask &task, const quern_module *module,
                         Logits &logits) {
  std::vector<std::string> labels;
  for (uint32_t i = 0; const char *label = quern_module_label(module, i); ++i)
    labels.push_back(label);
  std::vector<size_t> columns = classColumns(task, labels);
  for (std::vector<float> &row : logits) {
    std::vector<float> ordered;
    for (size_t column : columns)
      ordered.push_back(row[column]);
    if (!columns.empty())
      row = ordered;
  }
}

/// One list of logits a row, in the order of the task's classes.
static Error writeLogits(const std::string &path, const Logits &logits) {
  return writeFile(path, json(logits).dump() + "\n");
}

/// What the module takes and gives has to be what the task needs.
static Error checkModule(const EvalOptions &options, const GlueTask &task,
                         const quern_module *module,
                         const quern_description &about) {
  if (!task.isOfImages) {
    if (Error error = refuseImages(module, options.module))
      return error;
  } else if (!about.image.channels) {
    return Error::make(options.module,
                       ": found a text model, expected a "
                       "vision model for task ",
                       options.task);
  }
  if (task.isOfImages && options.simulate)
    return Error::make("found --simulate with task ", options.task,
                       ", which runs texts only");
  size_t wanted = task.isOfImages ? about.columns : task.outputs();
  if (about.rows_are_tokens || about.head == QUERN_HEAD_EMBEDDING ||
      about.columns != wanted)
    return Error::make(options.module, ": found a head with ", about.columns,
                       " outputs, expected a sequence head with ", wanted,
                       " for task ", options.task);
  return Error::success();
}

namespace {
/// The rows of all files, one file after the other.
struct Rows {
  std::vector<GlueRow> all;
  /// Of each file.
  std::vector<size_t> sizes;
};
} // namespace

/// Reads the data; images have one of `classes` classes.
static Expected<Rows> readRows(const EvalOptions &options, const GlueTask &task,
                               size_t classes) {
  Rows rows;
  for (const std::string &path : options.data) {
    Expected<std::vector<GlueRow>> read = readGlueRows(task, path);
    if (!read)
      return read.takeError();
    if (options.rows && options.rows < read->size())
      read->resize(options.rows);
    for (GlueRow &row : *read) {
      if (!task.isOfImages)
        break;
      if (row.label >= classes)
        return Error::make(path, ": found class ", size_t(row.label), " of ",
                           row.text, ", expected one below ", classes);
      row.text =
          (std::filesystem::path(path).parent_path() / row.text).string();
    }
    rows.all.insert(rows.all.end(), read->begin(), read->end());
    rows.sizes.push_back(read->size());
  }
  return Expected<Rows>(std::move(rows));
}

/// Where the f32 model is: a folder or a module, or "" for none.
static std::string referenceOf(const EvalOptions &options,
                               const quern_module *module) {
  if (!options.reference.empty() || options.noReference)
    return options.reference;
  std::string source = provenance(module, "model");
  if (std::filesystem::exists(source))
    return source;
  warn("the folder that the module was made from, " + source +
       ", is not there: no f32 metrics; --ref FOLDER gives one");
  return "";
}

/// Logits of all rows by the f32 model of `source`, classes in the order of
/// the task.
static Expected<Logits> referenceLogits(const EvalOptions &options,
                                        const GlueTask &task,
                                        const std::string &source,
                                        const quern_description &about,
                                        const std::vector<GlueRow> &rows) {
  Expected<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder)
    return folder.takeError();
  Expected<ModuleHandle> reference = openReference(source, *folder);
  if (!reference)
    return reference.takeError();
  if (Error error = compareHeads(reference->get(), source, about))
    return error;
  Expected<Logits> logits =
      runRows(reference->get(), rows, task.pair >= 0, options, "f32 model");
  if (logits)
    orderClasses(task, reference->get(), *logits);
  return logits;
}

/// Runs all that is asked for and compares it.
static Expected<json> evaluate(const EvalOptions &options, const GlueTask &task,
                               quern_module *module,
                               const quern_description &about) {
  if (Error error = checkModule(options, task, module, about))
    return error;
  Expected<Rows> rows = readRows(options, task, about.columns);
  if (!rows)
    return rows.takeError();
  bool pairs = task.pair >= 0;
  // Before minutes of work, not after.
  if (!options.reference.empty() && !std::filesystem::exists(options.reference))
    return Error::make(options.reference,
                       ": found nothing, expected a model folder or a module");

  auto started = std::chrono::steady_clock::now();
  Expected<Logits> own =
      runRows(module, rows->all, pairs, options, options.module);
  if (!own)
    return own.takeError();
  std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - started;
  orderClasses(task, module, *own);
  if (!options.logits.empty())
    if (Error error = writeLogits(options.logits, *own))
      return error;
  auto metrics = [&](const Logits &logits) {
    return metricsJson(task, logits, rows->all, rows->sizes);
  };
  json result = {{"task", options.task},
                 {"rows", rows->all.size()},
                 {"recipe", about.recipe},
                 {"milliseconds_per_row", time.count() / rows->all.size()},
                 {"metrics", metrics(*own)}};

  Logits simulation;
  if (options.simulate) {
    Expected<Logits> simulated =
        simulateRows(module, rows->all, pairs, options);
    if (!simulated)
      return simulated.takeError();
    simulation = std::move(*simulated);
    orderClasses(task, module, simulation);
    result["simulation_metrics"] = metrics(simulation);
    result["against_simulation"] = agreement(*own, simulation);
  }

  std::string source = referenceOf(options, module);
  if (source.empty())
    return Expected<json>(std::move(result));
  Expected<Logits> theirs =
      referenceLogits(options, task, source, about, rows->all);
  if (!theirs)
    return theirs.takeError();
  result["reference_metrics"] = metrics(*theirs);
  result["against_reference"] = agreement(*own, *theirs);
  if (options.simulate)
    result["simulation_against_reference"] = agreement(simulation, *theirs);
  return Expected<json>(std::move(result));
}

static int eval(const EvalOptions &options) {
  const GlueTask *task = findGlueTask(options.task);
  Expected<ModuleHandle> module = openModule(options.module);
  if (!module)
    return fail(module.message());
  quern_description about;
  quern_module_describe(module->get(), &about);
  Expected<json> result = evaluate(options, *task, module->get(), about);
  if (!result)
    return fail(result.message());
  if (options.asJson) {
    std::printf("%s\n", result->dump(1).c_str());
    return Ok;
  }
  std::printf("%s, %zu rows, recipe %s\n", options.task.c_str(),
              (*result)["rows"].get<size_t>(), about.recipe);
  printResult(*task, *result);
  return Ok;
}

void addEval(CLI::App &app, Action &action) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App *command = app.add_subcommand(
      "eval",
      "GLUE metrics, or the accuracy on images, of a module beside the f32 "
      "model's");
  command->add_option("module", options->module, "Module file (.qbm)")
      ->required();
  command->add_option("--task", options->task, glueTaskNames())
      ->required()
      ->check([](const std::string &name) {
        return findGlueTask(name) ? std::string()
                                  : "expected one of " + glueTaskNames();
      });
  command
      ->add_option("--data", options->data,
                   "The task's TSV file; metrics of several, as of MNLI's two, "
                   "are averaged. Of task images: a header, then a path "
                   "(relative to the file) and the number of a class")
      ->required();
  CLI::Option *reference = command->add_option(
      "--ref", options->reference,
      "Model folder or module to compare with; by default the "
      "folder that the module was made from, in f32");
  command
      ->add_flag("--no-ref", options->noReference,
                 "Only the module's own metrics")
      ->excludes(reference);
  command
      ->add_option("--max-length", options->maxLength,
                   "Cut texts to this many tokens (128, as is usual for "
                   "GLUE)")
      ->check(CLI::Range(4u, 1u << 20));
  command->add_option("--batch", options->batch, "Rows run together (16)")
      ->check(CLI::Range(1u, 1024u));
  command->add_option("--logits", options->logits,
                      "File for the logits of all rows, as JSON");
  command
      ->add_option("--rows", options->rows,
                   "Only so many rows of each file; 0 is all")
      ->check(CLI::Range(0u, 1u << 30));
  command->add_flag("--simulate", options->simulate,
                    "Run the recipe in real arithmetic too, as the papers do; "
                    "slow");
  command->add_option("--threads", options->threads,
                      "Threads; 0 is one per CPU");
  command->add_flag("--json", options->asJson, "As one JSON object");
  command->add_flag("-q,--quiet", options->quiet, "No progress");
  command->footer(
      "Example: quern eval m.qbm --task sst2 --data dev.tsv\n"
      "Example: quern eval vit.qbm --task images --data labels.tsv");
  command->callback(
      [options, &action] { action = [options] { return eval(*options); }; });
}

} // namespace quern::cli
