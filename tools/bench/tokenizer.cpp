//===- tokenizer.cpp - Bytes and tokens a second of WordPiece -------------===//
//
//   tokenizer-bench MODEL_DIR FILE... [google-benchmark flags]
//
// Encodes every line of each file, on one thread, and opens the blob.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Tokenizer.h"
#include "compiler/Import/TokenizerImport.h"
#include "lib/Support/File.h"

#include <benchmark/benchmark.h>

#include <cstdio>

using namespace quern;

static void encodeLines(benchmark::State &state, const Tokenizer &tokenizer,
                        std::string_view text) {
  Encoding encoding;
  size_t tokens = 0;
  for (auto _ : state) {
    for (size_t at = 0; at < text.size();) {
      size_t end = text.find('\n', at);
      end = end == text.npos ? text.size() : end;
      tokenizer.encode(text.substr(at, end - at), 0, encoding);
      tokens += encoding.size() - 2;
      at = end + 1;
    }
  }
  state.SetBytesProcessed(state.iterations() * int64_t(text.size()));
  state.counters["tokens"] =
      benchmark::Counter(double(tokens), benchmark::Counter::kIsRate);
}

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer-bench MODEL_DIR FILE...\n");
    return 2;
  }
  auto fail = [](const std::string &message) {
    std::fprintf(stderr, "tokenizer-bench: error: %s\n", message.c_str());
    return 1;
  };
  auto imported = importTokenizer(argv[1]);
  if (!imported)
    return fail(imported.message());
  Tokenizer tokenizer;
  tokenizer.open(imported->blob.data(), imported->blob.size());
  benchmark::RegisterBenchmark("open", [&](benchmark::State &state) {
    Tokenizer other;
    for (auto _ : state)
      benchmark::DoNotOptimize(
          other.open(imported->blob.data(), imported->blob.size()));
  });
  std::vector<std::shared_ptr<const MappedFile>> files;
  for (int i = 2; i < argc; ++i) {
    auto file = MappedFile::open(argv[i]);
    if (!file)
      return fail(file.message());
    files.push_back(*file);
    benchmark::RegisterBenchmark(
        argv[i], [&tokenizer, text = (*file)->text()](benchmark::State &state) {
          encodeLines(state, tokenizer, text);
        });
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
