//===- Run.cpp - quern run: text in, label or embedding out ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"
#include "tools/quern/Input.h"
#include "tools/quern/Output.h"

#include <memory>

namespace quern::cli {

namespace {
struct RunOptions {
  std::string module;
  std::vector<std::string> texts;
  std::string input, output = "json", file, pair;
  unsigned threads = 0, batch = 32;
  bool pairs = false, strict = false;
};
} // namespace

/// A message about "text N" of a batch, counted from 0, as one about a text of
/// the whole input, counted from 1 as lines are.
static std::string renumbered(const std::string &message, size_t firstRow) {
  constexpr std::string_view prefix = "text ";
  size_t end = message.find_first_not_of("0123456789", prefix.size());
  if (message.compare(0, prefix.size(), prefix) != 0 ||
      end == std::string::npos || end == prefix.size())
    return message;
  size_t number =
      std::stoul(message.substr(prefix.size(), end - prefix.size()));
  return "text " + std::to_string(firstRow + number + 1) + message.substr(end);
}

/// Runs one batch of records and hands its outputs to the writer.
static Error runBatch(const RunOptions &options, quern_session *session,
                      const quern_description &description,
                      const std::vector<Record> &records, size_t firstRow,
                      OutputWriter &writer) {
  std::vector<quern_text> texts;
  for (const Record &record : records)
    texts.push_back(record.view());
  quern_output output = {};
  quern_error error = {};
  if (quern_run_texts(session, texts.data(), texts.size(),
                      options.strict ? QUERN_RUN_STRICT : 0, &output, &error))
    return Error(renumbered(error.message, firstRow));
  for (size_t i = 0; i < records.size(); ++i)
    if (output.truncated && output.truncated[i])
      warn("text " + std::to_string(firstRow + i + 1) + " was cut to " +
           std::to_string(description.max_length) + " tokens");
  return writer.write(records, output);
}

static int run(const RunOptions &options) {
  if (options.texts.empty() && options.input.empty())
    return misuse("found no text, expected texts or --input FILE");
  if (!options.pair.empty() && options.texts.size() != 1)
    return misuse("--with: found " + std::to_string(options.texts.size()) +
                  " texts, expected exactly one");
  if (options.pairs && options.texts.size() % 2 != 0)
    return misuse("--pair: found " + std::to_string(options.texts.size()) +
                  " texts, expected an even number");
  Expected<ModuleHandle> module = openModule(options.module);
  if (!module)
    return fail(module.message());
  quern_description description;
  quern_module_describe(module->get(), &description);
  Expected<SessionHandle> session =
      createSession(module->get(), options.threads);
  if (!session)
    return fail(session.message());
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
    else if (!options.pair.empty())
      record.pair = options.pair;
    batch.push_back(std::move(record));
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
      app.add_subcommand("run", "Run a module on texts: label, score or "
                                "embedding as JSON lines");
  command->add_option("module", options->module, "Module file (.qbm)")
      ->required();
  command->add_option("text", options->texts, "Texts to run");
  command->add_flag("--pair", options->pairs,
                    "Texts come in pairs: two arguments, or two columns with "
                    "a tab between in --input");
  command->add_option("--with", options->pair,
                      "Second text of the pair for a single text");
  command->add_option("--input", options->input,
                      "File of lines or JSON lines {\"id\", \"text\", "
                      "\"text_pair\"}; - is standard input");
  command->add_option("--output", options->output, "json or npy")
      ->check(CLI::IsMember({"json", "npy"}));
  command->add_option("-o,--output-file", options->file,
                      "Where the output goes (standard output)");
  command->add_option("--threads", options->threads,
                      "Threads; 0 is one per CPU. Results do not depend on it");
  command
      ->add_option("--batch", options->batch,
                   "Texts that run together. Results do not depend on it")
      ->check(CLI::Range(1u, 65536u));
  command->add_flag("--strict", options->strict,
                    "Refuse a text that is too long instead of cutting it");
  command->footer("Example: quern run m.qbm \"a gripping film\"");
  command->callback(
      [options, &action] { action = [options] { return run(*options); }; });
}

} // namespace quern::cli
