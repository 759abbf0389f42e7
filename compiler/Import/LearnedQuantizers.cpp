//===- LearnedQuantizers.cpp - Quantizers inside a checkpoint -------------===//
//
// See LearnedQuantizers.h. Range estimators hold their quantizer once more and
// the ranges they saw last; those entries are passed over.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/LearnedQuantizers.h"
#include "compiler/Import/Safetensors.h"

#include <array>
#include <cctype>

using namespace quern;

namespace {

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

bool consumeEnd(std::string &text, std::string_view end) {
  if (text.size() < end.size() ||
      text.compare(text.size() - end.size(), end.size(), end) != 0)
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
                                        const SafetensorsTensor &tensor) {
  std::string where = tensor.file->path() + ": tensor " + printable(name);
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
      if (Error error = readEntry(name))
        return error;
    if (result.sites.empty() && result.weights.empty())
      return Error::make(result.path,
                         ": found no learned quantizers, expected tensors such "
                         "as classifier.activation_quantizer.quantizer._delta");
    return std::move(result);
  }

private:
  Error readEntry(const std::string &stored) {
    std::string module = stored;
    if (stored.find(".range_estimator.") != std::string::npos ||
        !consumeEnd(module, "._delta"))
      return Error::success();
    LearnedQuantizer quantizer;
    quantizer.name = module;
    if (Error error = readQuantizer(quantizer))
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
                           printable(quantizer.name + "._zero_float"),
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

  Error readQuantizer(LearnedQuantizer &quantizer) {
    auto delta = readVector(quantizer.name + "._delta",
                            tensors.find(quantizer.name + "._delta")->second);
    if (!delta)
      return delta.takeError();
    quantizer.delta = std::move(*delta);
    std::string sign = quantizer.name + "._signed";
    if (auto it = tensors.find(sign); it != tensors.end()) {
      const SafetensorsTensor &tensor = it->second;
      if ((tensor.dtype != "BOOL" && tensor.dtype != "U8") || tensor.bytes != 1)
        return Error::make(result.path, ": tensor ", printable(sign),
                           ": found ", printable(tensor.dtype), " of shape ",
                           shapeToString(tensor.shape),
                           ", expected one boolean");
      quantizer.isSigned = tensor.data[0] != std::byte(0);
      return Error::success();
    }
    std::string zeroName = quantizer.name + "._zero_float";
    auto it = tensors.find(zeroName);
    if (it == tensors.end())
      return Error::make(result.path, ": tensor ",
                         printable(quantizer.name + "._delta"),
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
