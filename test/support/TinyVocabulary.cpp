//===- TinyVocabulary.cpp - The words of tiny models ----------------------===//
//
// A WordPiece vocabulary small enough for tests in which most English text
// still splits into known pieces: every letter is there, alone and as `##x`.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"

using namespace quern;

static constexpr const char *words[] = {
    "the",   "of",    "and",   "in",    "to",     "was",   "he",    "is",
    "as",    "for",   "on",    "with",  "that",   "it",    "his",   "by",
    "at",    "from",  "her",   "she",   "you",    "had",   "an",    "were",
    "but",   "be",    "this",  "are",   "not",    "my",    "they",  "one",
    "which", "or",    "have",  "him",   "me",     "first", "all",   "also",
    "their", "has",   "up",    "who",   "out",    "been",  "when",  "after",
    "there", "into",  "new",   "two",   "its",    "time",  "would", "no",
    "what",  "about", "said",  "we",    "over",   "then",  "other", "so",
    "more",  "can",   "if",    "like",  "back",   "them",  "only",  "some",
    "could", "where", "just",  "film",  "movie",  "good",  "bad",   "great",
    "best",  "worst", "never", "very",  "well",   "story", "love",  "funny",
    "dull",  "man",   "woman", "world", "people", "year",  "day",   "cat",
    "dog",   "house", "plays", "eats",  "sleeps", "red",   "blue",  "fast"};

static constexpr const char *pieces[] = {"##ing",  "##ed",   "##er",   "##ly",
                                         "##est",  "##es",   "##tion", "##al",
                                         "##ness", "##able", "##un",   "##re"};

/// All entries but the unused ones.
static std::vector<std::string> entries() {
  std::vector<std::string> list = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                   "[MASK]"};
  for (char c : std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
    list.emplace_back(1, c);
  for (char c = '0'; c <= '9'; ++c)
    list.emplace_back(1, c);
  for (char c = 'a'; c <= 'z'; ++c)
    list.emplace_back(1, c);
  for (char c = '0'; c <= '9'; ++c)
    list.push_back(std::string("##") + c);
  for (char c = 'a'; c <= 'z'; ++c)
    list.push_back(std::string("##") + c);
  list.insert(list.end(), std::begin(words), std::end(words));
  list.insert(list.end(), std::begin(pieces), std::end(pieces));
  return list;
}

int64_t test::tinyVocabularySize() {
  return static_cast<int64_t>(entries().size());
}

std::string test::tinyVocabulary(int64_t size) {
  std::vector<std::string> list = entries();
  for (size_t i = 0; static_cast<int64_t>(list.size()) < size; ++i)
    list.push_back("[unused" + std::to_string(i) + "]");
  std::string text;
  for (int64_t i = 0; i < size; ++i)
    text += list[static_cast<size_t>(i)] + "\n";
  return text;
}
