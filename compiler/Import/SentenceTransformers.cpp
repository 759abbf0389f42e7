//===- SentenceTransformers.cpp - modules.json ----------------------------===//
//
// A sentence-transformers folder lists its stages in modules.json: the
// encoder, pooling, and often normalization. See HfConfig.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/HfConfig.h"

#include "lib/Support/File.h"
#include "lib/Support/Json.h"

#include <algorithm>

using namespace quern;
using nlohmann::json;

static std::string modulesPath(const std::string &folder) {
  return joinPath(folder, "modules.json");
}

bool quern::isSentenceTransformer(const std::string &folder) {
  return fileExists(modulesPath(folder));
}

/// Reads 1_Pooling/config.json. Exactly one mode may be on.
static Error readPooling(const std::string &folder, ModelInfo &info) {
  std::string path = joinPath(folder, "config.json");
  auto root = readJsonObject(path);
  if (!root)
    return root.takeError();
  JsonObject config(*root, path);
  auto width =
      config.getInteger("word_embedding_dimension", 1, INT64_MAX, info.hidden);
  if (!width)
    return width.takeError();
  if (*width != info.hidden)
    return config.expected("word_embedding_dimension",
                           "the model's hidden size, " +
                               std::to_string(info.hidden));
  int chosen = 0;
  for (const auto &[key, value] : root->items()) {
    if (key.rfind("pooling_mode_", 0) != 0)
      continue;
    auto on = config.getBool(key.c_str(), false);
    if (!on)
      return on.takeError();
    if (!*on)
      continue;
    ++chosen;
    if (key == "pooling_mode_cls_token")
      info.pooling = PoolingKind::Cls;
    else if (key == "pooling_mode_mean_tokens")
      info.pooling = PoolingKind::Mean;
    else
      return config.expected(key.c_str(),
                             "only pooling_mode_cls_token or "
                             "pooling_mode_mean_tokens to be true");
  }
  if (chosen != 1)
    return Error::make(path, ": found ", chosen,
                       " pooling modes that are true, expected one");
  return Error::success();
}

/// A module's folder must stay inside the model's.
static bool isInnerPath(const std::string &path) {
  return !path.empty() && path[0] != '/' && path.find("..") == path.npos &&
         path.find('\0') == path.npos;
}

/// The optional sentence_bert_config.json: the length to truncate to, which
/// leaves room for a token between [CLS] and [SEP].
static Error readMaxLength(const std::string &folder, ModelInfo &info) {
  std::string path = joinPath(folder, "sentence_bert_config.json");
  if (!fileExists(path))
    return Error::success();
  auto root = readJsonObject(path);
  if (!root)
    return root.takeError();
  auto length = JsonObject(*root, path)
                    .getInteger("max_seq_length", 3, INT64_MAX, info.positions);
  if (!length)
    return length.takeError();
  info.maxLength = std::min(*length, info.positions);
  return Error::success();
}

Error quern::readSentenceTransformers(const std::string &folder,
                                      ModelInfo &info) {
  std::string path = modulesPath(folder);
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto modules = parseJson((*file)->text(), path);
  if (!modules)
    return modules.takeError();
  if (!modules->is_array() || modules->empty())
    return Error::make(path, ": found ", describeJson(*modules),
                       ", expected a list of modules");
  info.head = HeadKind::Embedding;
  static constexpr std::string_view prefix = "sentence_transformers.models.";
  bool pooled = false;
  for (size_t i = 0; i < modules->size(); ++i) {
    const json &entry = (*modules)[i];
    std::string where = path + ": module " + std::to_string(i);
    if (!entry.is_object())
      return Error::make(where, ": found ", describeJson(entry),
                         ", expected an object");
    JsonObject module(entry, where);
    auto type = module.getString("type", "");
    if (!type)
      return type.takeError();
    auto place = module.getString("path", "");
    if (!place)
      return place.takeError();
    std::string_view kind = *type;
    if (kind.substr(0, prefix.size()) == prefix)
      kind.remove_prefix(prefix.size());
    if (kind == "Transformer" && i == 0) {
      if (!place->empty())
        return module.expected("path", "\"\", the model's own folder");
    } else if (kind == "Pooling" && i == 1) {
      if (!isInnerPath(*place))
        return module.expected("path", "a folder within the model's");
      if (Error error = readPooling(joinPath(folder, *place), info))
        return error;
      pooled = true;
    } else if (kind == "Normalize" && i == 2) {
      info.normalize = true;
    } else {
      return module.expected("type", "Transformer, Pooling and optionally "
                                     "Normalize, in this order");
    }
  }
  if (!pooled)
    return Error::make(path, ": found no Pooling module, expected one");
  return readMaxLength(folder, info);
}
