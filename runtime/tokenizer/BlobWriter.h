//===- BlobWriter.h - Making a tokenizer blob -----------------------------===//
//
// The writer's half of TokenizerBlob.h: a vocabulary and its options to bytes.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_RUNTIME_TOKENIZER_BLOBWRITER_H
#define QUERN_RUNTIME_TOKENIZER_BLOBWRITER_H

#include "runtime/tokenizer/TokenizerBlob.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// All that makes up a WordPiece tokenizer.
struct TokenizerSpec {
  /// An added token: matched in the text as it was given, before anything
  /// else is done to it.
  struct AddedToken {
    std::string text;
    uint32_t id = 0;
    bool singleWord = false;
    bool stripLeft = false;
    bool stripRight = false;
  };

  /// The vocabulary proper. Ids need not be dense.
  std::vector<std::pair<std::string, uint32_t>> vocabulary;
  /// Added tokens; an id that the vocabulary has must have the same text.
  std::vector<AddedToken> added;
  /// Ids of [UNK], [CLS] and [SEP].
  uint32_t unknownId = 0;
  uint32_t classifyId = 0;
  uint32_t separateId = 0;
  bool cleanText = true;
  bool chineseChars = true;
  bool stripAccents = true;
  bool lowercase = true;
  uint32_t maxWordChars = 100;
  std::string continuingPrefix = "##";
};

/// Makes the blob. On failure it is left empty and the return value says why
/// (lower case, no final stop); otherwise that is empty.
std::string writeTokenizerBlob(const TokenizerSpec &spec,
                               std::vector<std::byte> &blob);

} // namespace quern

#endif // QUERN_RUNTIME_TOKENIZER_BLOBWRITER_H
