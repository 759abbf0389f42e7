//===- Tokenize.h - Token ids of texts as JSON lines ----------------------===//
//
// What `quern tokenize` does once it has a tokenizer and an input.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_TOKENIZE_H
#define QUERN_TOOLS_QUERN_TOKENIZE_H

#include "lib/Support/Status.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "tools/quern/Input.h"

#include <ostream>

namespace quern::cli {

/// What to print.
struct TokenizeOptions {
  /// Longest encoding; longer ones are cut and marked. 0 means no limit.
  size_t maxLength = 0;
  /// Print each token's bytes [begin, end) too.
  bool spans = false;
};

/// Writes {"id", "ids", "type_ids"} per record, with "truncated": true where
/// tokens were cut off and with "spans" if asked. A record without an id has
/// its number, from 0. Lines already written stay when an error is found.
Error tokenizeRecords(const Tokenizer &tokenizer, RecordReader &input,
                      const TokenizeOptions &options, std::ostream &output);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_TOKENIZE_H
