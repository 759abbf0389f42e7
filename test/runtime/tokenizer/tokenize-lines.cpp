//===- tokenize-lines.cpp - The tokenizer behind a pipe, for comparisons --===//
//
//   tokenize-lines MODEL_DIR [MAX_LENGTH]
//
// JSON lines on standard input, ids and spans as JSON lines on standard output.
// compare.py runs it against Hugging Face's `tokenizers`.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/TokenizerImport.h"
#include "tools/quern/Tokenize.h"

#include <cstdlib>
#include <iostream>

int main(int argc, char **argv) {
  using namespace quern;
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: tokenize-lines MODEL_DIR [MAX_LENGTH]\n";
    return 2;
  }
  auto fail = [](const std::string &message) {
    std::cerr << "tokenize-lines: error: " << message << "\n";
    return 1;
  };
  auto imported = importTokenizer(argv[1]);
  if (!imported)
    return fail(imported.message());
  Tokenizer tokenizer;
  tokenizer.open(imported->blob.data(), imported->blob.size());
  auto input = cli::RecordReader::open("-", /*pairs=*/false);
  if (!input)
    return fail(input.message());
  cli::TokenizeOptions options;
  options.spans = true;
  options.maxLength = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
  std::ios::sync_with_stdio(false);
  if (Error error = cli::tokenizeRecords(tokenizer, *input, options, std::cout))
    return fail(error.message());
  return 0;
}
