//===- make-model.cpp - quern-make-model ----------------------------------===//
//
// Writes a tiny random model folder, for lit and end-to-end tests:
//
//   quern-make-model OUT [--head H] [--hidden N] [--heads N] ...
//   quern-make-model OUT --vision KIND
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"
#include "test/support/TinyVision.h"

#include <cstdio>
#include <cstdlib>
#include <map>

using namespace quern;
using namespace quern::test;

static const char kUsage[] =
    "usage: quern-make-model OUT [--seed N] [--hidden N] [--heads N]\n"
    "  [--layers N] [--intermediate N] [--vocab N] [--positions N]\n"
    "  [--types N] [--labels N] [--outlier N] [--shards N] [--dtype "
    "F32|F16|BF16]\n"
    "  [--head classification|regression|token_classification|\n"
    "          question_answering|embedding]\n"
    "  [--pooling mean|cls] [--activation gelu|gelu_new|relu|...]\n"
    "  [--family bert|distilbert|electra] [--zero-types]\n"
    "  [--no-normalize] [--pooler] [--no-prefix] [--old-names] [--learned]\n"
    "  [--learned-rows] [--learned-steps N] [--learned-mix]\n"
    "  [--learned-heads] [--learned-groups N]\n"
    "   or: quern-make-model OUT --vision vit|deit|bare|pooled|deit-tiny\n";

static int usage(const char *what) {
  std::fprintf(stderr, "quern-make-model: error: %s\n%s", what, kUsage);
  return 2;
}

/// Sets a number or a word; false for an unknown name or a bad value.
static bool setValue(TinyModelOptions &o, const std::string &name,
                     const std::string &value) {
  const std::map<std::string, int64_t *> numbers = {
      {"--hidden", &o.hidden},
      {"--heads", &o.heads},
      {"--layers", &o.layers},
      {"--intermediate", &o.intermediate},
      {"--vocab", &o.vocab},
      {"--positions", &o.positions},
      {"--types", &o.types},
      {"--labels", &o.labels},
      {"--outlier", &o.outlier},
      {"--learned-groups", &o.learnedGroups},
      {"--learned-steps", &o.learnedSteps}};
  int64_t number = std::strtoll(value.c_str(), nullptr, 10);
  if (auto it = numbers.find(name); it != numbers.end()) {
    *it->second = number;
    return number > 0 && number <= 1 << 20;
  }
  if (name == "--seed")
    o.seed = static_cast<uint64_t>(number);
  else if (name == "--shards")
    o.shards = static_cast<int>(number);
  else if (name == "--dtype")
    o.dtype = value;
  else if (name == "--family")
    o.family = value;
  else if (name == "--activation")
    o.activation = value;
  else if (name == "--pooling")
    o.pooling = value == "cls" ? PoolingKind::Cls : PoolingKind::Mean;
  else if (name != "--head")
    return false;
  if (name != "--head")
    return true;
  for (HeadKind head : {HeadKind::Classification, HeadKind::Regression,
                        HeadKind::TokenClassification,
                        HeadKind::QuestionAnswering, HeadKind::Embedding})
    if (headName(head) == value) {
      o.head = head;
      return true;
    }
  return false;
}

static bool setFlag(TinyModelOptions &o, const std::string &name) {
  if (name == "--no-normalize")
    o.normalize = false;
  else if (name == "--pooler")
    o.pooler = true;
  else if (name == "--zero-types")
    o.zeroTypes = true;
  else if (name == "--no-prefix")
    o.prefix = false;
  else if (name == "--old-names")
    o.oldNames = true;
  else if (name == "--learned")
    o.learned = true;
  else if (name == "--learned-rows")
    o.learnedRows = true;
  else if (name == "--learned-mix")
    o.learnedMix = true;
  else if (name == "--learned-heads")
    o.learnedHeads = true;
  else
    return false;
  return true;
}

/// Writes a vision model; `kind` as VisionTest.cpp calls them.
static Error writeVision(const char *folder, const std::string &kind) {
  TinyVisionOptions options;
  if (kind == "deit-tiny")
    options = TinyVisionOptions::deitTiny();
  else if (kind == "bare" || kind == "pooled")
    options = TinyVisionOptions::bare(kind == "pooled");
  else if (kind == "deit")
    options.distilled = true;
  else if (kind != "vit")
    return Error::make("--vision: found ", kind,
                       ", expected vit, deit, bare, pooled or deit-tiny");
  return writeTinyVision(folder, options);
}

static int finish(const Error &error) {
  if (!error)
    return 0;
  std::fprintf(stderr, "quern-make-model: error: %s\n",
               error.message().c_str());
  return 1;
}

int main(int argc, char **argv) {
  if (argc == 2 && std::string(argv[1]) == "--help")
    return std::fputs(kUsage, stdout) < 0;
  if (argc < 2 || argv[1][0] == '-')
    return usage("expected the name of the folder to write first");
  if (argc == 4 && std::string(argv[2]) == "--vision")
    return finish(writeVision(argv[1], argv[3]));
  TinyModelOptions options;
  for (int i = 2; i < argc; ++i) {
    if (setFlag(options, argv[i]))
      continue;
    if (i + 1 == argc || !setValue(options, argv[i], argv[i + 1]))
      return usage((std::string("cannot use ") + argv[i]).c_str());
    ++i;
  }
  return finish(writeTinyModel(argv[1], options));
}
