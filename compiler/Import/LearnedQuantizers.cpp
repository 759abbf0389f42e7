//===- LearnedQuantizers.cpp - Quantizers inside a checkpoint -------------===//
//
// See LearnedQuantizers.h. Range estimators hold their quantizer once more and
// the ranges they saw last; those entries are passed over.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/LearnedQuantizers.h"
#include "compiler/Import/Safetensors.h"

#include "quern/quant_math.h"

#include <algorithm>
#include <array>
#include <cctype>

using namespace quern;

namespace {

/// The smallest learned step, as in the published code.
constexpr float leastStep = 1e-4f;

using Names = std::pair<std::string_view, std::string_view>;

/// Modules within `encoder.layer.N.` and the key of their site.
constexpr std::array<Names, 13> layerSites = {{
    {"attention.self.query", "q"},
    {"attention.self.key", "k"},
    {"attention.self.value", "v"},
    {"attention.self.attn_scores_act_quantizer", "s"},
    {"attention.self.attn_probs_act_quantizer", "p"},
    {"attention.self.context_act_quantizer", "c"},
    {"attention.output.dense", "g"},
    {"attention.output.res_act_quantizer", "u"},
    {"attention.output.LayerNorm", "x"},
    {"intermediate.dense", "f"},
    {"output.dense", "h"},
    {"output.res_act_quantizer", "y"},
    {"output.LayerNorm", "z"},
}};

constexpr std::array<Names, 6> otherSites = {{
    {"embeddings.sum_input_token_type_embd_act_quantizer", "E.t"},
    {"embeddings.sum_pos_embd_act_quantizer", "E.e"},
    {"embeddings.LayerNorm", "E.z"},
    {"pooler.dense", "P"},
    {"classifier", "C"},
    {"qa_outputs", "C"},
}};

bool startsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

bool consumeEnd(std::string &text, std::string_view end) {
  if (!endsWith(text, end))
    return false;
  text.resize(text.size() - end.size());
  return true;
}

/// The site that a module's output is, or "".
std::string siteOf(const std::string &module) {
  for (auto [name, site] : otherSites)
    if (module == name)
      return std::string(site);
  constexpr std::string_view layers = "encoder.layer.";
  if (!startsWith(module, layers))
    return "";
  size_t dot = module.find('.', layers.size());
  std::string number = module.substr(layers.size(), dot - layers.size());
  bool isNumber = !number.empty() && number.size() < 5;
  for (char c : number)
    isNumber &= std::isdigit(static_cast<unsigned char>(c)) != 0;
  if (!isNumber || dot == std::string::npos)
    return "";
  for (auto [name, key] : layerSites)
    if (module.substr(dot + 1) == name)
      return "L" + number + "." + std::string(key);
  return "";
}

/// Dimensions of one are how the published code fits vectors to a tensor.
Error checkShape(const std::string &where, const SafetensorsTensor &tensor) {
  unsigned wide = 0;
  for (int64_t dim : tensor.shape)
    wide += dim != 1;
  if (wide > 1 || tensor.elements() == 0)
    return Error::make(where, ": found shape ", shapeToString(tensor.shape),
                       ", expected one value or a vector");
  return Error::success();
}

Expected<std::vector<float>> readVector(const std::string &name,
                                        const SafetensorsTensor &tensor,
                                        bool isTable = false) {
  std::string where = tensor.file->path() + ": tensor " + printable(name);
  if (!isTable)
    if (Error error = checkShape(where, tensor))
      return error;
  auto values = readFloats(name, tensor);
  if (!values)
    return values.takeError();
  if (findNonFinite(values->data, values->size) != values->size)
    return Error::make(where,
                       ": found NaN or infinity, expected finite values");
  return std::vector<float>(values->data, values->data + values->size);
}

class Reader {
public:
  explicit Reader(const std::string &path) { result.path = path; }

  Expected<LearnedQuantizers> read() {
    auto found = readSafetensors(result.path);
    if (!found)
      return found.takeError();
    tensors = std::move(*found);
    for (const auto &[name, tensor] : tensors)
      if (Error error =
              endsWith(name, ".alpha") ? readStep(name) : readEntry(name))
        return error;
    if (result.sites.empty() && result.weights.empty())
      return Error::make(result.path,
                         ": found no learned quantizers, expected tensors such "
                         "as classifier.activation_quantizer.quantizer._delta, "
                         "or classifier.activation_quantizer.alpha");
    return std::move(result);
  }

private:
  Error readEntry(const std::string &stored) {
    std::string module = stored;
    if (stored.find(".range_estimator.") != std::string::npos ||
        !consumeEnd(module, "._delta"))
      return Error::success();
    LearnedQuantizer quantizer;
    quantizer.name = stored;
    const std::string prefix = module;
    if (Error error = readQuantizer(prefix, quantizer))
      return error;
    if (!consumeEnd(module, ".quantizer"))
      return refuse(stored);
    bool isWeight = consumeEnd(module, ".weight_quantizer");
    if (!isWeight && !consumeEnd(module, ".activation_quantizer"))
      return refuse(stored);
    module = canonicalModule(module);
    if (isWeight) {
      if (!quantizer.zero.empty())
        return Error::make(result.path, ": tensor ",
                           printable(prefix + "._zero_float"),
                           ": found zero points of a weight, expected a "
                           "symmetric quantizer");
      result.weights[module + ".weight"] = std::move(quantizer);
      return Error::success();
    }
    std::string site = siteOf(module);
    if (site.empty())
      return refuse(stored);
    result.sites[site] = std::move(quantizer);
    return Error::success();
  }

  Error refuse(const std::string &stored) {
    return Error::make(result.path, ": tensor ", printable(stored),
                       ": found a quantizer of no site and no weight, expected "
                       "those of a BERT of the published code");
  }

  /// A learned step, its bits and what else lies beside it.
  Error readStep(const std::string &stored) {
    std::string module = stored;
    consumeEnd(module, ".alpha");
    const std::string prefix = module;
    LearnedQuantizer quantizer;
    quantizer.name = stored;
    auto bits = readBeside(stored, prefix + ".nbits");
    if (!bits)
      return bits.takeError();
    for (float each : *bits) {
      if (!(each > 0))
        return Error::make(result.path, ": tensor ",
                           printable(prefix + ".nbits"), ": found ",
                           bits->size(), " values, one of them ", each,
                           ", expected one, or one for each head, of 2 to 8 "
                           "bits");
      // Trained bits lie between two numbers, and may lie beyond the ends.
      quantizer.bits.push_back(
          static_cast<unsigned>(qm_rne(std::clamp(each, 2.0f, 8.0f))));
    }
    auto alpha = readChoices(prefix + ".alpha", quantizer.bits);
    if (!alpha)
      return alpha.takeError();
    for (float step : *alpha)
      quantizer.delta.push_back(std::max(step, leastStep));
    if (!consumeEnd(module, ".activation_quantizer")) {
      quantizer.ofColumns = endsWith(module, ".query") ||
                            endsWith(module, ".key") ||
                            endsWith(module, ".value");
      if (tensors.count(prefix + ".beta"))
        return Error::make(result.path, ": tensor ",
                           printable(prefix + ".beta"),
                           ": found an offset of a weight, expected none");
      result.weights[canonicalModule(module) + ".weight"] =
          std::move(quantizer);
      return Error::success();
    }
    auto sign = readSign(prefix + ".signed");
    if (!sign)
      return sign.takeError();
    if (!*sign)
      return Error::make(result.path, ": tensor ", printable(stored),
                         ": found no tensor .signed beside it, expected one "
                         "boolean");
    quantizer.isSigned = **sign;
    if (tensors.count(prefix + ".beta")) {
      auto beta = readChoices(prefix + ".beta", quantizer.bits);
      if (!beta)
        return beta.takeError();
      for (float each : *beta)
        if (quantizer.bits.size() > 1 && each != 0)
          return Error::make(result.path, ": tensor ",
                             printable(prefix + ".beta"), ": found ", each,
                             " beside steps of heads, expected 0: the "
                             "published code does not read it");
      if (quantizer.bits.size() == 1)
        quantizer.offset = beta->front();
    }
    std::string site = siteOf(canonicalModule(module));
    if (site.empty())
      return refuse(stored);
    result.sites[site] = std::move(quantizer);
    return Error::success();
  }

  /// A tensor that has to be beside `stored`.
  Expected<std::vector<float>> readBeside(const std::string &stored,
                                          const std::string &name) {
    auto it = tensors.find(name);
    if (it == tensors.end())
      return Error::make(result.path, ": tensor ", printable(stored),
                         ": found no tensor ", printable(name),
                         " beside it, expected one");
    return readVector(name, it->second);
  }

  /// The values for so many bits, of one or of each head: the only ones, or
  /// those of the seven rows for 2 to 8.
  Expected<std::vector<float>> readChoices(const std::string &name,
                                           const std::vector<unsigned> &bits) {
    const SafetensorsTensor &tensor = tensors.find(name)->second;
    size_t heads = bits.size(), size = size_t(tensor.elements());
    auto refuse = [&](const std::string &expected) {
      return Error::make(result.path, ": tensor ", printable(name), ": found ",
                         heads == 1 ? std::to_string(size) + " values"
                                    : "shape " + shapeToString(tensor.shape),
                         ", expected ", expected);
    };
    if (heads == 1 && size != 1 && size != 7)
      return refuse("one, or seven for 2 to 8 bits");
    bool isTable =
        heads > 1 && tensor.shape == std::vector<int64_t>{7, int64_t(heads)};
    if (heads > 1 && !isTable && tensor.shape != std::vector<int64_t>{7})
      return refuse("7x" + std::to_string(heads) +
                    " or 7, steps for 2 to 8 bits of each head or of all");
    auto values = readVector(name, tensor, isTable);
    if (!values)
      return values.takeError();
    std::vector<float> chosen;
    for (size_t head = 0; head < heads; ++head) {
      size_t row = bits[head] - 2;
      chosen.push_back((*values)[size == 1 ? 0
                                 : isTable ? row * heads + head
                                           : row]);
    }
    return chosen;
  }

  /// One boolean; none where the tensor is not there.
  Expected<std::optional<bool>> readSign(const std::string &name) {
    auto it = tensors.find(name);
    if (it == tensors.end())
      return std::optional<bool>();
    const SafetensorsTensor &tensor = it->second;
    if ((tensor.dtype != "BOOL" && tensor.dtype != "U8") || tensor.bytes != 1)
      return Error::make(result.path, ": tensor ", printable(name), ": found ",
                         printable(tensor.dtype), " of shape ",
                         shapeToString(tensor.shape), ", expected one boolean");
    return std::optional<bool>(tensor.data[0] != std::byte(0));
  }

  Error readQuantizer(const std::string &prefix, LearnedQuantizer &quantizer) {
    auto delta =
        readVector(quantizer.name, tensors.find(quantizer.name)->second);
    if (!delta)
      return delta.takeError();
    quantizer.delta = std::move(*delta);
    auto sign = readSign(prefix + "._signed");
    if (!sign)
      return sign.takeError();
    if (*sign) {
      quantizer.isSigned = **sign;
      return Error::success();
    }
    std::string zeroName = prefix + "._zero_float";
    auto it = tensors.find(zeroName);
    if (it == tensors.end())
      return Error::make(result.path, ": tensor ", printable(quantizer.name),
                         ": found neither _zero_float nor _signed beside it, "
                         "expected one of them");
    auto zero = readVector(zeroName, it->second);
    if (!zero)
      return zero.takeError();
    if (zero->size() != quantizer.delta.size())
      return Error::make(result.path, ": tensor ", printable(zeroName),
                         ": found ", zero->size(), " values, expected ",
                         quantizer.delta.size(), ", as many as in _delta");
    quantizer.zero = std::move(*zero);
    return Error::success();
  }

  LearnedQuantizers result;
  SafetensorsMap tensors;
};

} // namespace

std::string quern::canonicalModule(std::string module) {
  if (startsWith(module, "bert."))
    module = module.substr(5);
  if (consumeEnd(module, "intermediate.0"))
    module += "intermediate.dense";
  if (consumeEnd(module, "pooler.dense_act.0"))
    module += "pooler.dense";
  return module;
}

Expected<LearnedQuantizers>
quern::readLearnedQuantizers(const std::string &path) {
  return Reader(path).read();
}
