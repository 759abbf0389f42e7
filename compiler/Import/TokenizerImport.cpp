//===- TokenizerImport.cpp - Tokenizer files to a blob --------------------===//
//
// Which files a folder has, vocab.txt and its options, agreement of the two
// forms, and the blob. tokenizer.json itself is read by TokenizerJson.cpp.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/TokenizerImport.h"

#include "lib/Support/File.h"
#include "lib/Support/Json.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

using namespace quern;
using nlohmann::json;

/// Vocabularies beyond this are mistakes; the largest known have some MB.
static constexpr size_t fileLimit = size_t(64) << 20;

/// Whether every byte belongs to a character.
static bool isUtf8(std::string_view text) {
  const char *at = text.data(), *end = at + text.size();
  while (at != end) {
    unicode::Decoded next = unicode::decode(at, end);
    // U+FFFD itself takes three bytes, which no error below three does.
    if (next.point == unicode::replacement &&
        std::string_view(at, next.bytes) != "\xEF\xBF\xBD")
      return false;
    at += next.bytes;
  }
  return true;
}

Expected<std::vector<std::string>>
quern::parseVocabulary(std::string_view text, const std::string &file) {
  std::vector<std::string> tokens;
  std::unordered_map<std::string, size_t> lines;
  size_t last = text.find_last_not_of("\r\n");
  text = text.substr(0, last == text.npos ? 0 : last + 1);
  if (text.empty())
    return Error::make(file, ": found an empty vocabulary, expected a token "
                             "per line");
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r')
      line.remove_suffix(1);
    size_t number = tokens.size() + 1;
    if (!isUtf8(line))
      return Error::make(file, ": line ", number, ": found \"", printable(line),
                         "\", expected UTF-8");
    auto [known, fresh] = lines.emplace(std::string(line), number);
    if (!fresh)
      return Error::make(file, ": line ", number, ": found \"", printable(line),
                         "\", which line ", known->second,
                         " has already, expected every token once");
    tokens.emplace_back(line);
  }
  if (tokens.size() > tokenizer_blob::idLimit)
    return Error::make(file, ": found ", tokens.size(),
                       " tokens, expected at most ", tokenizer_blob::idLimit);
  return tokens;
}

namespace {
/// Paths of a tokenizer's files; empty for those that are not there.
struct Files {
  std::string vocabulary, tokenizer, config, specialTokens, addedTokens;
};

/// Builds the specification of a folder without tokenizer.json.
class VocabularyReader {
public:
  VocabularyReader(const Files &files, const std::vector<std::string> &tokens)
      : files(files), tokens(tokens) {}

  Expected<TokenizerSpec> read(const json &config);

private:
  Error readOptions(const json &config);
  Error readNames(const json &object, const std::string &file);
  Error addDecoderTokens(const json &config);
  Error addSpecialTokens();
  Error refuseAddedTokens();

  /// A token given as a string or as {"content": ...}; empty for others.
  static std::string contentOf(const json &value);

  const Files &files;
  const std::vector<std::string> &tokens;
  TokenizerSpec spec;
  std::unordered_map<std::string, uint32_t> ids;
  std::string unknown = "[UNK]", classify = "[CLS]", separate = "[SEP]";
  std::string pad = "[PAD]", mask = "[MASK]";
  std::vector<std::string> additional;
};
} // namespace

std::string VocabularyReader::contentOf(const json &value) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_object()) {
    auto content = value.find("content");
    if (content != value.end() && content->is_string())
      return content->get<std::string>();
  }
  return "";
}

/// Special tokens by their role, as both JSON files may give them.
Error VocabularyReader::readNames(const json &object, const std::string &file) {
  for (auto [key, name] :
       {std::pair("unk_token", &unknown), std::pair("cls_token", &classify),
        std::pair("sep_token", &separate), std::pair("pad_token", &pad),
        std::pair("mask_token", &mask)}) {
    auto found = object.find(key);
    if (found == object.end() || found->is_null())
      continue;
    *name = contentOf(*found);
    if (name->empty())
      return Error::make(file, ": ", key, ": found ", describeJson(*found),
                         ", expected a token");
  }
  auto list = object.find("additional_special_tokens");
  if (list == object.end() || list->is_null())
    return Error::success();
  if (!list->is_array())
    return Error::make(file, ": additional_special_tokens: found ",
                       describeJson(*list), ", expected a list of tokens");
  for (const json &token : *list) {
    additional.push_back(contentOf(token));
    if (additional.back().empty())
      return Error::make(file, ": additional_special_tokens: found ",
                         describeJson(token), ", expected a token");
  }
  return Error::success();
}

Error VocabularyReader::readOptions(const json &config) {
  JsonObject fields(config, files.config);
  auto kind = fields.getString("tokenizer_class", "BertTokenizer");
  if (!kind)
    return kind.takeError();
  std::string name = *kind;
  if (name.size() > 4 && name.compare(name.size() - 4, 4, "Fast") == 0)
    name.resize(name.size() - 4);
  // Other classes read a vocab.txt too and split in their own ways.
  static const char *const known[] = {
      "BertTokenizer",     "DistilBertTokenizer", "ElectraTokenizer",
      "ConvBertTokenizer", "MobileBertTokenizer", "PreTrainedTokenizer"};
  if (std::find(std::begin(known), std::end(known), name) == std::end(known))
    return fields.expected("tokenizer_class",
                           "BertTokenizer or another name of it");
  auto lowercase = fields.getBool("do_lower_case", true);
  auto chinese = fields.getBool("tokenize_chinese_chars", true);
  auto accents = fields.getBool("strip_accents", lowercase ? *lowercase : true);
  for (auto *flag : {&lowercase, &chinese, &accents})
    if (!*flag)
      return flag->takeError();
  spec.lowercase = *lowercase;
  spec.chineseChars = *chinese;
  spec.stripAccents = *accents;
  return Error::success();
}

/// `added_tokens_decoder` gives added tokens with their flags by id.
Error VocabularyReader::addDecoderTokens(const json &config) {
  auto list = config.find("added_tokens_decoder");
  if (list == config.end() || list->is_null())
    return Error::success();
  if (!list->is_object())
    return JsonObject(config, files.config)
        .expected("added_tokens_decoder", "an object of ids and tokens");
  for (const auto &[key, value] : list->items()) {
    std::string where =
        files.config + ": added_tokens_decoder: \"" + printable(key) + '"';
    bool number = !key.empty() && key.size() < 8 &&
                  key.find_first_not_of("0123456789") == key.npos;
    if (!number || contentOf(value).empty() || !value.is_object())
      return Error::make(where, ": found ", describeJson(value),
                         ", expected a token under its id");
    JsonObject fields(value, where);
    auto single = fields.getBool("single_word", false);
    auto left = fields.getBool("lstrip", false);
    auto right = fields.getBool("rstrip", false);
    auto normalized = fields.getBool("normalized", false);
    for (auto *flag : {&single, &left, &right, &normalized})
      if (!*flag)
        return flag->takeError();
    if (*normalized)
      return fields.expected("normalized",
                             "false: tokens that match normalized text are "
                             "not supported");
    uint32_t id = 0;
    for (char digit : key)
      id = id * 10 + static_cast<uint32_t>(digit - '0');
    std::string text = contentOf(value);
    auto listed = ids.find(text);
    if (listed != ids.end() && listed->second != id)
      return Error::make(where, ": found \"", printable(text),
                         "\", expected id ", listed->second, " as in ",
                         files.vocabulary);
    if (id < tokens.size() && tokens[id] != text)
      return Error::make(where, ": found \"", printable(text),
                         "\", expected \"", printable(tokens[id]), "\" as in ",
                         files.vocabulary);
    ids[text] = id;
    spec.added.push_back({text, id, *single, *left, *right});
  }
  return Error::success();
}

/// Tokens known by role are matched in the text too, where they are listed.
Error VocabularyReader::addSpecialTokens() {
  std::vector<std::string> names = {unknown, separate, pad, classify, mask};
  names.insert(names.end(), additional.begin(), additional.end());
  for (const std::string &name : names) {
    bool present =
        std::any_of(spec.added.begin(), spec.added.end(),
                    [&](const auto &token) { return token.text == name; });
    auto id = ids.find(name);
    if (!present && id != ids.end() && !name.empty())
      spec.added.push_back({name, id->second, false, false, false});
  }
  for (auto [name, id, role] :
       {std::tuple(&unknown, &spec.unknownId, "unknown"),
        std::tuple(&classify, &spec.classifyId, "classification"),
        std::tuple(&separate, &spec.separateId, "separator")}) {
    auto found = ids.find(*name);
    if (found == ids.end())
      return Error::make(files.vocabulary, ": found no token \"",
                         printable(*name), "\", expected the ", role, " token");
    *id = found->second;
  }
  return Error::success();
}

/// added_tokens.json lists tokens without their flags, so only repetitions of
/// what is known can be accepted.
Error VocabularyReader::refuseAddedTokens() {
  if (files.addedTokens.empty())
    return Error::success();
  auto list = readJsonObject(files.addedTokens);
  if (!list)
    return list.takeError();
  for (const auto &[token, id] : list->items()) {
    auto found = ids.find(token);
    if (!id.is_number_unsigned() || found == ids.end() ||
        found->second != id.get<uint64_t>())
      return Error::make(files.addedTokens, ": \"", printable(token),
                         "\": found ", describeJson(id),
                         ", expected a token of ", files.vocabulary,
                         "; save the tokenizer as tokenizer.json to add more");
  }
  return Error::success();
}

Expected<TokenizerSpec> VocabularyReader::read(const json &config) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    ids[tokens[i]] = static_cast<uint32_t>(i);
    spec.vocabulary.push_back({tokens[i], static_cast<uint32_t>(i)});
  }
  if (Error error = readOptions(config))
    return error;
  if (!files.specialTokens.empty()) {
    auto map = readJsonObject(files.specialTokens);
    if (!map)
      return map.takeError();
    if (Error error = readNames(*map, files.specialTokens))
      return error;
  }
  if (Error error = readNames(config, files.config))
    return error;
  if (Error error = addDecoderTokens(config))
    return error;
  if (Error error = addSpecialTokens())
    return error;
  if (Error error = refuseAddedTokens())
    return error;
  return std::move(spec);
}

/// Checks that vocab.txt lists what tokenizer.json has: every token of its
/// model under the same id, and nothing that it does not know.
static Error checkAgreement(const std::vector<std::string> &tokens,
                            const TokenizerSpec &spec, const Files &files) {
  std::unordered_map<std::string, uint32_t> ids;
  for (const auto &[token, id] : spec.vocabulary)
    ids[token] = id;
  for (const TokenizerSpec::AddedToken &token : spec.added)
    ids[token.text] = token.id;
  for (size_t i = 0; i < tokens.size(); ++i) {
    auto found = ids.find(tokens[i]);
    if (found == ids.end() || found->second != i)
      return Error::make(files.vocabulary, ": line ", i + 1, ": found \"",
                         printable(tokens[i]), "\" with id ", i, ", expected ",
                         found == ids.end()
                             ? std::string("a token of ")
                             : "id " + std::to_string(found->second) + " of ",
                         files.tokenizer);
  }
  for (const auto &[token, id] : spec.vocabulary)
    if (id >= tokens.size())
      return Error::make(files.vocabulary, ": found ", tokens.size(),
                         " tokens, expected also \"", printable(token),
                         "\" with id ", id, " of ", files.tokenizer);
  return Error::success();
}

Expected<ImportedTokenizer> quern::importTokenizer(const std::string &folder,
                                                   size_t embeddingRows) {
  Files files;
  for (auto [name, path] :
       {std::pair("vocab.txt", &files.vocabulary),
        std::pair("tokenizer.json", &files.tokenizer),
        std::pair("tokenizer_config.json", &files.config),
        std::pair("special_tokens_map.json", &files.specialTokens),
        std::pair("added_tokens.json", &files.addedTokens)}) {
    std::string candidate = joinPath(folder, name);
    if (fileExists(candidate))
      *path = candidate;
  }
  if (files.vocabulary.empty() && files.tokenizer.empty())
    return Error::make(folder, ": found neither tokenizer.json nor vocab.txt, "
                               "expected a WordPiece tokenizer");

  json config = json::object();
  if (!files.config.empty()) {
    auto found = readJsonObject(files.config);
    if (!found)
      return found.takeError();
    config = std::move(*found);
  }
  JsonObject options(config, files.config);
  auto side = options.getString("truncation_side", "right");
  if (!side)
    return side.takeError();
  if (*side != "right")
    return options.expected("truncation_side", "\"right\"");
  std::vector<std::string> tokens;
  if (!files.vocabulary.empty()) {
    auto text = readFile(files.vocabulary, fileLimit);
    if (!text)
      return text.takeError();
    auto parsed = parseVocabulary(*text, files.vocabulary);
    if (!parsed)
      return parsed.takeError();
    tokens = std::move(*parsed);
  }
  ImportedTokenizer result;
  if (!files.tokenizer.empty()) {
    auto text = readFile(files.tokenizer, fileLimit);
    if (!text)
      return text.takeError();
    auto spec = parseTokenizerJson(*text, files.tokenizer);
    if (!spec)
      return spec.takeError();
    result.spec = std::move(*spec);
    if (!files.vocabulary.empty())
      if (Error error = checkAgreement(tokens, result.spec, files))
        return error;
  } else {
    auto spec = VocabularyReader(files, tokens).read(config);
    if (!spec)
      return spec.takeError();
    result.spec = std::move(*spec);
  }

  const std::string &source =
      files.tokenizer.empty() ? files.vocabulary : files.tokenizer;
  std::string problem = writeTokenizerBlob(result.spec, result.blob);
  if (!problem.empty())
    return Error::make(source, ": ", problem);
  Tokenizer tokenizer;
  tokenizer.open(result.blob.data(), result.blob.size());
  if (embeddingRows != 0 && tokenizer.size() > embeddingRows)
    return Error::make(source, ": found ids up to ", tokenizer.size() - 1,
                       ", expected less than ", embeddingRows,
                       ", the rows of the word embedding table");
  // Tables are padded, some by much; a file that was cut lacks more.
  if (tokenizer.size() < embeddingRows / 2)
    return Error::make(source, ": found ", tokenizer.size(),
                       " ids, expected at least half of ", embeddingRows,
                       ", the rows of the word embedding table");
  result.source = source;
  result.size = tokenizer.size();
  return result;
}

Expected<std::optional<uint32_t>>
quern::readMaxLength(const std::string &file) {
  auto config = readJsonObject(file);
  if (!config)
    return config.takeError();
  auto found = config->find("model_max_length");
  if (found == config->end() || found->is_null())
    return std::optional<uint32_t>();
  // The number for none, 10^30, is no integer of JSON's reader.
  double length = found->is_number() ? found->get<double>() : 0;
  if (length < 3 || length != std::floor(length))
    return Error::make(file, ": model_max_length: found ",
                       printable(found->dump()),
                       ", expected a whole number of at least 3 tokens");
  if (length > 1u << 20)
    return std::optional<uint32_t>();
  return std::optional<uint32_t>(uint32_t(length));
}
