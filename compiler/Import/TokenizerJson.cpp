//===- TokenizerJson.cpp - tokenizer.json to a WordPiece specification ----===//
//
// Accepts the one pipeline that BERT tokenizers are (BertNormalizer,
// BertPreTokenizer, WordPiece, [CLS] A [SEP] B [SEP]) and names whatever else
// it finds. Entry point: parseTokenizerJson.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/TokenizerImport.h"

#include "lib/Support/Json.h"

#include <map>

using namespace quern;
using nlohmann::json;

namespace {
/// Reads the parts of one tokenizer.json.
class Reader {
public:
  Reader(const json &root, const std::string &file) : root(root), file(file) {}

  Expected<TokenizerSpec> read();

private:
  Error readModel();
  Error readNormalizer();
  Error readPreTokenizer();
  Error readAddedTokens();
  Error readPostProcessor();
  Error readTemplate(const json &processor);
  Error checkTemplate(const json &processor, const char *key, bool pair);
  Error readBertProcessing(const json &processor);

  /// The sub-object `key` of the root, or an error that names what it should
  /// be: `FILE: KEY: found X, expected WHAT`.
  Expected<const json *> part(const char *key, const std::string &what) const;
  /// The string `type` of a part.
  static std::string typeOf(const json &object);
  Error wrong(const std::string &where, const std::string &found,
              const std::string &expected) const {
    return Error::make(file, ": ", where, ": found ", found, ", expected ",
                       expected);
  }

  const json &root;
  const std::string &file;
  TokenizerSpec spec;
  std::map<std::string, uint32_t> ids;
  /// The template's tokens, from its first piece and its last.
  std::string classify, separate;
};
} // namespace

std::string Reader::typeOf(const json &object) {
  auto type = object.find("type");
  return type != object.end() && type->is_string() ? type->get<std::string>()
                                                   : std::string();
}

Expected<const json *> Reader::part(const char *key,
                                    const std::string &what) const {
  auto found = root.find(key);
  if (found == root.end() || found->is_null())
    return wrong(key, "nothing", what);
  if (!found->is_object())
    return wrong(key, describeJson(*found), what);
  return &*found;
}

Error Reader::readModel() {
  auto found = part("model", "a WordPiece model");
  if (!found)
    return found.takeError();
  const json &model = **found;
  std::string type = typeOf(model);
  if (auto kind = model.find("type");
      type.empty() && kind != model.end() && !kind->is_null())
    return wrong("model.type", describeJson(*kind), "\"WordPiece\"");
  if (type.empty()) {
    // Old files do not say; the others have what WordPiece has not.
    auto vocab = model.find("vocab");
    if (model.contains("merges"))
      type = "BPE";
    else if (vocab != model.end() && vocab->is_array())
      type = "Unigram";
    else if (!model.contains("continuing_subword_prefix"))
      type = "WordLevel";
    else
      type = "WordPiece";
  }
  if (type != "WordPiece")
    return wrong("model.type", '"' + printable(type) + '"', "\"WordPiece\"");
  JsonObject fields(model, file + ": model");
  auto prefix = fields.getString("continuing_subword_prefix", "##");
  if (!prefix)
    return prefix.takeError();
  if (prefix->size() > 64)
    return fields.expected("continuing_subword_prefix",
                           "a string of at most 64 bytes");
  spec.continuingPrefix = *prefix;
  auto chars = fields.getInteger("max_input_chars_per_word", 1,
                                 tokenizer_blob::maxWordCharsLimit, 100);
  if (!chars)
    return chars.takeError();
  spec.maxWordChars = static_cast<uint32_t>(*chars);

  auto vocab = model.find("vocab");
  if (vocab == model.end() || !vocab->is_object())
    return fields.expected("vocab", "an object of tokens and ids");
  if (vocab->empty())
    return wrong("model.vocab", "an empty vocabulary", "tokens and ids");
  for (const auto &[token, id] : vocab->items()) {
    if (!id.is_number_unsigned() ||
        id.get<uint64_t>() >= tokenizer_blob::idLimit)
      return wrong("model.vocab: \"" + printable(token) + '"', describeJson(id),
                   "an id below " + std::to_string(tokenizer_blob::idLimit));
    spec.vocabulary.push_back({token, id.get<uint32_t>()});
    ids[token] = id.get<uint32_t>();
  }
  auto unknown = fields.getString("unk_token", "[UNK]");
  if (!unknown)
    return unknown.takeError();
  auto unknownId = ids.find(*unknown);
  if (unknownId == ids.end())
    return wrong("model.vocab", "no token \"" + printable(*unknown) + '"',
                 "the unknown token");
  spec.unknownId = unknownId->second;
  return Error::success();
}

Error Reader::readNormalizer() {
  auto found = part("normalizer", "a BertNormalizer");
  if (!found)
    return found.takeError();
  const json *normalizer = *found;
  // A sequence of one is that one.
  if (typeOf(*normalizer) == "Sequence") {
    auto list = normalizer->find("normalizers");
    if (list != normalizer->end() && list->is_array() && list->size() == 1 &&
        (*list)[0].is_object())
      normalizer = &(*list)[0];
  }
  if (typeOf(*normalizer) != "BertNormalizer")
    return wrong("normalizer.type", '"' + printable(typeOf(*normalizer)) + '"',
                 "\"BertNormalizer\"");
  JsonObject fields(*normalizer, file + ": normalizer");
  auto clean = fields.getBool("clean_text", true);
  auto chinese = fields.getBool("handle_chinese_chars", true);
  auto lowercase = fields.getBool("lowercase", true);
  // Absent or null: accents go where case goes.
  auto accents = fields.getBool("strip_accents", lowercase ? *lowercase : true);
  for (auto *flag : {&clean, &chinese, &lowercase, &accents})
    if (!*flag)
      return flag->takeError();
  spec.cleanText = *clean;
  spec.chineseChars = *chinese;
  spec.lowercase = *lowercase;
  spec.stripAccents = *accents;
  return Error::success();
}

Error Reader::readPreTokenizer() {
  auto found = part("pre_tokenizer", "a BertPreTokenizer");
  if (!found)
    return found.takeError();
  const json *splitter = *found;
  if (typeOf(*splitter) == "Sequence") {
    auto list = splitter->find("pretokenizers");
    if (list != splitter->end() && list->is_array() && list->size() == 1 &&
        (*list)[0].is_object())
      splitter = &(*list)[0];
  }
  if (typeOf(*splitter) != "BertPreTokenizer")
    return wrong("pre_tokenizer.type", '"' + printable(typeOf(*splitter)) + '"',
                 "\"BertPreTokenizer\"");
  return Error::success();
}

Error Reader::readAddedTokens() {
  auto list = root.find("added_tokens");
  if (list == root.end() || list->is_null())
    return Error::success();
  if (!list->is_array())
    return wrong("added_tokens", describeJson(*list), "an array");
  for (size_t i = 0; i < list->size(); ++i) {
    std::string where = "added_tokens[" + std::to_string(i) + "]";
    if (!(*list)[i].is_object())
      return wrong(where, describeJson((*list)[i]), "an object");
    JsonObject fields((*list)[i], file + ": " + where);
    auto text = fields.getString("content", "");
    auto id = fields.getInteger("id", 0, tokenizer_blob::idLimit - 1);
    if (!text)
      return text.takeError();
    if (!id)
      return id.takeError();
    if (text->empty())
      return fields.expected("content", "a token");
    auto special = fields.getBool("special", false);
    auto normalized = fields.getBool("normalized", special && !*special);
    auto single = fields.getBool("single_word", false);
    auto left = fields.getBool("lstrip", false);
    auto right = fields.getBool("rstrip", false);
    for (auto *flag : {&special, &normalized, &single, &left, &right})
      if (!*flag)
        return flag->takeError();
    if (*normalized)
      return fields.expected("normalized",
                             "false: tokens that match normalized text are "
                             "not supported (\"" +
                                 printable(*text) + "\")");
    auto known = ids.find(*text);
    if (known != ids.end() && known->second != *id)
      return fields.expected("id", std::to_string(known->second) +
                                       ", the vocabulary's id of \"" +
                                       printable(*text) + '"');
    ids[*text] = static_cast<uint32_t>(*id);
    spec.added.push_back(
        {*text, static_cast<uint32_t>(*id), *single, *left, *right});
  }
  return Error::success();
}

Error Reader::checkTemplate(const json &processor, const char *key, bool pair) {
  const char *expected =
      pair ? "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1" : "[CLS]:0 A:0 [SEP]:0";
  std::string where = std::string("post_processor.") + key;
  auto list = processor.find(key);
  if (list == processor.end() || !list->is_array() ||
      list->size() != (pair ? 5 : 3))
    return wrong(where, "another template", expected);
  for (size_t i = 0; i < list->size(); ++i) {
    bool sequence = i == 1 || i == 3;
    const json &piece = (*list)[i];
    const char *kind = sequence ? "Sequence" : "SpecialToken";
    if (!piece.is_object() || !piece.contains(kind) || !piece[kind].is_object())
      return wrong(where, "another template", expected);
    JsonObject fields(piece[kind], file + ": " + where);
    auto type = fields.getInteger("type_id", 0, INT32_MAX);
    auto id = fields.getString("id", "");
    if (!type)
      return type.takeError();
    if (!id)
      return id.takeError();
    if (i == 0 && classify.empty())
      classify = *id;
    if (i == 2 && separate.empty())
      separate = *id;
    std::string name =
        sequence ? (i == 1 ? "A" : "B") : (i == 0 ? classify : separate);
    if (*type != (i >= 3) || *id != name)
      return wrong(where, "another template", expected);
  }
  return Error::success();
}

Error Reader::readTemplate(const json &processor) {
  if (Error error = checkTemplate(processor, "single", false))
    return error;
  if (Error error = checkTemplate(processor, "pair", true))
    return error;
  auto map = processor.find("special_tokens");
  for (auto [name, id] : {std::pair(&classify, &spec.classifyId),
                          std::pair(&separate, &spec.separateId)}) {
    std::string where =
        "post_processor.special_tokens: \"" + printable(*name) + '"';
    bool found = map != processor.end() && map->is_object() &&
                 map->contains(*name) && (*map)[*name].is_object() &&
                 (*map)[*name].contains("ids");
    if (!found)
      return wrong(where, "nothing", "the token's ids");
    const json &list = (*map)[*name]["ids"];
    if (!list.is_array() || list.size() != 1 || !list[0].is_number_unsigned())
      return wrong(where, describeJson(list), "an array of one id");
    auto known = ids.find(*name);
    if (known == ids.end())
      return wrong("model.vocab", "no token \"" + printable(*name) + '"',
                   "the token that the template adds");
    if (list[0].get<uint64_t>() != known->second)
      return wrong(where, describeJson(list[0]),
                   std::to_string(known->second) + " as in the vocabulary");
    *id = known->second;
  }
  return Error::success();
}

Error Reader::readBertProcessing(const json &processor) {
  for (auto [key, id] : {std::pair("cls", &spec.classifyId),
                         std::pair("sep", &spec.separateId)}) {
    std::string where = std::string("post_processor.") + key;
    auto pair = processor.find(key);
    if (pair == processor.end() || !pair->is_array() || pair->size() != 2 ||
        !(*pair)[0].is_string() || !(*pair)[1].is_number_unsigned())
      return wrong(where, "something else", "a token and its id");
    auto known = ids.find((*pair)[0].get<std::string>());
    if (known == ids.end())
      return wrong("model.vocab", "no token " + describeJson((*pair)[0]),
                   "the token that the template adds");
    if ((*pair)[1].get<uint64_t>() != known->second)
      return wrong(where, describeJson((*pair)[1]),
                   std::to_string(known->second) + " as in the vocabulary");
    *id = known->second;
  }
  return Error::success();
}

Error Reader::readPostProcessor() {
  auto found = part("post_processor", "TemplateProcessing or BertProcessing");
  if (!found)
    return found.takeError();
  std::string type = typeOf(**found);
  if (type == "TemplateProcessing")
    return readTemplate(**found);
  if (type == "BertProcessing")
    return readBertProcessing(**found);
  return wrong("post_processor.type", '"' + printable(type) + '"',
               "\"TemplateProcessing\" or \"BertProcessing\"");
}

Expected<TokenizerSpec> Reader::read() {
  // The model first: its kind is what a user should hear about.
  for (auto step :
       {&Reader::readModel, &Reader::readNormalizer, &Reader::readPreTokenizer,
        &Reader::readAddedTokens, &Reader::readPostProcessor})
    if (Error error = (this->*step)())
      return error;
  auto truncation = root.find("truncation");
  if (truncation != root.end() && !truncation->is_null()) {
    if (!truncation->is_object())
      return wrong("truncation", describeJson(*truncation), "an object");
    JsonObject fields(*truncation, file + ": truncation");
    auto direction = fields.getString("direction", "Right");
    if (!direction)
      return direction.takeError();
    if (*direction != "Right")
      return fields.expected("direction", "\"Right\"");
  }
  return std::move(spec);
}

Expected<TokenizerSpec> quern::parseTokenizerJson(std::string_view text,
                                                  const std::string &file) {
  auto root = parseJson(text, file);
  if (!root)
    return root.takeError();
  if (!root->is_object())
    return Error::make(file, ": found ", describeJson(*root),
                       ", expected a JSON object");
  return Reader(*root, file).read();
}
