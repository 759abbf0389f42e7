//===- Run.cpp - quern run: text or image in, label or embedding out ------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Support/File.h"
#include "lib/Support/SameFile.h"
#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"
#include "tools/quern/ImageInput.h"
#include "tools/quern/Input.h"
#include "tools/quern/Output.h"
#include "tools/quern/Placement.h"

#include <memory>
#include <optional>

namespace quern::cli {

namespace {
struct RunOptions {
  std::string module;
  std::vector<std::string> texts;
  std::string input, output = "json", file, device = "cpu";
  /// An empty text is a second text, too.
  std::optional<std::string> pair;
  unsigned threads = 0, batch = 32;
  bool pairs = false, strict = false;
  Placement placement;
};
} // namespace

/// A message about "KIND N" of a batch, counted from 0, with the name that
/// `nameOf` gives it instead.
static std::string renamed(const std::string &message, std::string_view kind,
                           const std::function<std::string(size_t)> &nameOf) {
  size_t end = message.find_first_not_of("0123456789", kind.size());
  if (message.compare(0, kind.size(), kind) != 0 || end == std::string::npos ||
      end == kind.size())
    return message;
  size_t number = std::stoul(message.substr(kind.size(), end - kind.size()));
  return nameOf(number) + message.substr(end);
}

/// The same for images, whose records hold paths.
static Error runImages(quern_session *session,
                       const quern_description &description,
                       const std::vector<Record> &records,
                       OutputWriter &writer) {
  std::vector<float> pixels;
  for (const Record &record : records) {
    Expected<std::vector<float>> image =
        readImage(record.text, description.image);
    if (!image)
      return image.takeError();
    pixels.insert(pixels.end(), image->begin(), image->end());
  }
  quern_output output = {};
  quern_error error = {};
  if (quern_run_images(session, pixels.data(), records.size(), &output, &error))
    return Error(renamed(error.message, "image ",
                         [&](size_t i) { return records[i].text; }));
  return writer.write(records, output);
}

/// Runs one batch of records and hands its outputs to the writer.
static Error runBatch(const RunOptions &options, quern_session *session,
                      const quern_description &description,
                      const std::vector<Record> &records, size_t firstRow,
                      OutputWriter &writer) {
  if (description.image.channels)
    return runImages(session, description, records, writer);
  std::vector<quern_text> texts;
  for (const Record &record : records)
    texts.push_back(record.view());
  quern_output output = {};
  quern_error error = {};
  if (quern_run_texts(session, texts.data(), texts.size(),
                      options.strict ? QUERN_RUN_STRICT : 0, &output, &error))
    // Counted over all batches, from 1 as lines are.
    return Error(renamed(error.message, "text ", [&](size_t i) {
      return "text " + std::to_string(firstRow + i + 1);
    }));
  for (size_t i = 0; i < records.size(); ++i)
    if (output.truncated && output.truncated[i])
      warn("text " + std::to_string(firstRow + i + 1) + " was cut to " +
           std::to_string(description.max_length) + " tokens");
  return writer.write(records, output);
}

/// What the command line says has to fit what the module takes.
static Error checkInput(const RunOptions &options,
                        const quern_description &description) {
  if (description.image.channels) {
    if (!options.pairs && !options.pair && !options.strict)
      return Error::success();
    return Error::make(options.module,
                       ": found a vision model, expected a text model for "
                       "--pair, --with and --strict");
  }
  std::vector<std::string> names = options.texts;
  names.push_back(options.input);
  for (const std::string &name : names)
    if (isImageName(name) && fileExists(name))
      return Error::make(name, ": found an image file, expected a text: ",
                         options.module, " takes texts");
  return Error::success();
}

/// A record of an image has its path as the id of its output.
static void nameImage(Record &record, const quern_description &description) {
  if (description.image.channels && record.id.is_null())
    record.id = record.text;
}

static int run(RunOptions &options) {
  if (options.texts.empty() && options.input.empty())
    return misuse("found no text, expected texts, images or --input FILE");
  if (options.pair && options.texts.size() != 1)
    return misuse("--with: found " + std::to_string(options.texts.size()) +
                  " texts, expected exactly one");
  if (options.pairs && options.texts.size() % 2 != 0)
    return misuse("--pair: found " + std::to_string(options.texts.size()) +
                  " texts, expected an even number");
  if (Error error = options.placement.take())
    return fail(error.message());
  Expected<ModuleHandle> module = openModule(options.module);
  if (!module)
    return fail(module.message());
  quern_description description;
  quern_module_describe(module->get(), &description);
  if (Error error = checkInput(options, description))
    return fail(error.message());
  quern_device device = options.device == "cuda"   ? QUERN_DEVICE_CUDA
                        : options.device == "auto" ? QUERN_DEVICE_AUTO
                                                   : QUERN_DEVICE_CPU;
  Expected<SessionHandle> session =
      createSession(module->get(), options.threads, device);
  if (!session)
    return fail(session.message());
  if (Error error = options.placement.bind(session->get()))
    return fail(error.message());
  if (Error error = keepInputs(options.file, {options.module, options.input}))
    return fail(error.message());
  Expected<std::unique_ptr<OutputWriter>> writer = OutputWriter::create(
      options.output, options.file, module->get(), description);
  if (!writer)
    return fail(writer.message());

  size_t row = 0;
  std::vector<Record> batch;
  auto flush = [&]() -> Error {
    if (batch.empty())
      return Error::success();
    Error error =
        runBatch(options, session->get(), description, batch, row, **writer);
    row += batch.size();
    batch.clear();
    return error;
  };

  for (size_t i = 0; i < options.texts.size(); ++i) {
    Record record;
    record.text = options.texts[i];
    if (options.pairs)
      record.pair = options.texts[++i];
    else if (options.pair)
      record.pair = options.pair;
    nameImage(record, description);
    batch.push_back(std::move(record));
    if (batch.size() >= options.batch)
      if (Error error = flush())
        return fail(error.message());
  }
  if (Error error = flush())
    return fail(error.message());

  if (!options.input.empty()) {
    Expected<RecordReader> reader =
        RecordReader::open(options.input, options.pairs);
    if (!reader)
      return fail(reader.message());
    for (;;) {
      Record record;
      Expected<bool> more = reader->next(record);
      if (!more)
        return fail(more.message());
      if (!*more)
        break;
      nameImage(record, description);
      batch.push_back(std::move(record));
      if (batch.size() >= options.batch)
        if (Error error = flush())
          return fail(error.message());
    }
    if (Error error = flush())
      return fail(error.message());
  }
  if (Error error = (*writer)->finish())
    return fail(error.message());
  return Ok;
}

void addRun(CLI::App &app, Action &action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command =
      app.add_subcommand("run", "Run a module on texts or images: label, score "
                                "or embedding as JSON lines");
  command->add_option("module", options->module, "Module file (.qbm)")
      ->required();
  command->add_option("text", options->texts,
                      "Texts to run, or images of the model's size: "
                      ".ppm, .pgm or .npy");
  command->add_flag("--pair", options->pairs,
                    "Texts come in pairs: two arguments, or two columns with "
                    "a tab between in --input");
  command->add_option("--with", options->pair,
                      "Second text of the pair for a single text");
  command->add_option("--input", options->input,
                      "File of lines or JSON lines {\"id\", \"text\", "
                      "\"text_pair\"}; - is standard input. For a vision "
                      "model the lines are paths of images");
  command->add_option("--output", options->output, "json or npy")
      ->check(CLI::IsMember({"json", "npy"}));
  command->add_option("-o,--output-file", options->file,
                      "Where the output goes (standard output)");
  command
      ->add_option("--device", options->device,
                   "cpu, cuda (an NVIDIA GPU; the module must be compiled with "
                   "--target nvptx), or auto, the GPU where there is one. "
                   "Results do not depend on it")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
  command->add_option("--threads", options->threads,
                      "Threads; 0 is one per CPU. Results do not depend on it");
  options->placement.addOptions(*command);
  command
      ->add_option(
          "--batch", options->batch,
          "Texts or images that run together. Results do not depend on it")
      ->check(CLI::Range(1u, 65536u));
  command->add_flag("--strict", options->strict,
                    "Refuse a text that is too long instead of cutting it");
  command->footer("Example: quern run m.qbm \"a gripping film\"");
  command->callback(
      [options, &action] { action = [options] { return run(*options); }; });
}

} // namespace quern::cli
