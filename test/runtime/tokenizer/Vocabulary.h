//===- Vocabulary.h - The vocabulary of the tokenizer's tests -------------===//
//
// Reads vocab.txt beside this file, the one that vectors.txt was recorded with.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_RUNTIME_TOKENIZER_VOCABULARY_H
#define QUERN_TEST_RUNTIME_TOKENIZER_VOCABULARY_H

#include "runtime/tokenizer/BlobWriter.h"

#include <string>

namespace quern {

/// The path of a file of test/runtime/tokenizer.
std::string testFile(const char *name);

/// vocab.txt with its special tokens added, as BERT's uncased models have it.
TokenizerSpec testSpec();

} // namespace quern

#endif // QUERN_TEST_RUNTIME_TOKENIZER_VOCABULARY_H
