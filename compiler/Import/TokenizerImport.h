//===- TokenizerImport.h - Tokenizer files to a blob ----------------------===//
//
// Reads the WordPiece tokenizer of a Hugging Face folder: tokenizer.json, or
// vocab.txt with tokenizer_config.json and special_tokens_map.json. Other kinds
// are refused by name. Where both are there tokenizer.json decides, and the
// vocabularies must agree.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_TOKENIZERIMPORT_H
#define QUERN_COMPILER_IMPORT_TOKENIZERIMPORT_H

#include "lib/Support/Status.h"
#include "runtime/tokenizer/BlobWriter.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A tokenizer as found.
struct ImportedTokenizer {
  TokenizerSpec spec;
  /// What runtime/tokenizer opens.
  std::vector<std::byte> blob;
  /// The file that gave the vocabulary, and one more than its largest id.
  std::string source;
  size_t size = 0;
};

/// `model_max_length` of a tokenizer_config.json: tokens of an input, special
/// ones included; at least 3, which is one of text. Nothing where the file has
/// none, or the very large number that exporters write for none.
Expected<std::optional<uint32_t>> readMaxLength(const std::string &file);

/// Imports the tokenizer of a folder. Every id must be a row of an embedding
/// table of `embeddingRows` rows, and at least half of the rows must have one;
/// 0 means that no table is known.
Expected<ImportedTokenizer> importTokenizer(const std::string &folder,
                                            size_t embeddingRows = 0);

/// The options and vocabulary of a tokenizer.json. `file` is for messages.
Expected<TokenizerSpec> parseTokenizerJson(std::string_view text,
                                           const std::string &file);

/// The tokens of a vocab.txt; the id of a token is the number of its line,
/// from 0. Blank lines at the end are no tokens.
Expected<std::vector<std::string>> parseVocabulary(std::string_view text,
                                                   const std::string &file);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_TOKENIZERIMPORT_H
