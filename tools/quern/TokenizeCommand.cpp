//===- TokenizeCommand.cpp - quern tokenize: ids of texts -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"
#include "tools/quern/Tokenize.h"

#include "compiler/Import/TokenizerImport.h"

#include <filesystem>
#include <iostream>
#include <memory>

namespace quern::cli {

namespace {
struct TokenizeCommand {
  std::string source, input = "-";
  /// Instead of the input.
  std::vector<std::string> texts;
  bool pairs = false;
  TokenizeOptions options;
};
} // namespace

/// Tokenizes with the blob at `bytes`.
static int tokenizeWith(const TokenizeCommand &command, const void *bytes,
                        size_t size) {
  Tokenizer tokenizer;
  if (const char *problem = tokenizer.open(bytes, size))
    return fail(command.source + ": tokenizer: " + problem);
  Expected<RecordReader> reader =
      command.texts.empty() ? RecordReader::open(command.input, command.pairs)
                            : Expected<RecordReader>(RecordReader::of(
                                  command.texts, command.pairs));
  if (!reader)
    return fail(reader.message());
  if (Error error =
          tokenizeRecords(tokenizer, *reader, command.options, std::cout))
    return fail(error.message());
  return Ok;
}

static int tokenize(TokenizeCommand command) {
  if (command.pairs && command.texts.size() % 2 != 0)
    return misuse("--pair: found " + std::to_string(command.texts.size()) +
                  " texts, expected an even number");
  if (std::filesystem::is_directory(command.source)) {
    Expected<ImportedTokenizer> found = importTokenizer(command.source);
    if (!found)
      return fail(found.message());
    return tokenizeWith(command, found->blob.data(), found->blob.size());
  }
  quern_inspection *inspection = nullptr;
  quern_error error = {};
  if (quern_inspect_open(command.source.c_str(), &inspection, &error))
    return fail(error.message);
  InspectionHandle handle(inspection);
  uint64_t size = 0;
  const void *bytes =
      quern_inspect_section(inspection, QUERN_SECTION_TOKENIZER, &size);
  if (size == 0)
    return fail(command.source + ": found no tokenizer in the module, expected "
                                 "one of a text model");
  return tokenizeWith(command, bytes, size);
}

void addTokenize(CLI::App &app, Action &action) {
  auto command = std::make_shared<TokenizeCommand>();
  CLI::App *sub = app.add_subcommand(
      "tokenize", "Print the token ids of texts as JSON lines");
  sub->add_option("source", command->source, "Model folder or module file")
      ->required();
  CLI::Option *texts = sub->add_option("text", command->texts, "Texts");
  sub->add_option("--input", command->input,
                  "File of lines or JSON lines, where no texts are given; - is "
                  "standard input")
      ->excludes(texts);
  sub->add_flag("--pair", command->pairs,
                "Texts come in pairs: two arguments, or lines of two with a "
                "tab between");
  sub->add_option("--max-length", command->options.maxLength,
                  "Cut to this many tokens")
      ->check(CLI::Range(1u, 1u << 20));
  sub->add_flag("--spans", command->options.spans,
                "Print the bytes that each token covers");
  sub->footer("Example: quern tokenize model/ \"a fine film\"\n"
              "Example: quern tokenize m.qbm --input texts.txt");
  sub->callback([command, &action] {
    action = [command] { return tokenize(*command); };
  });
}

} // namespace quern::cli
