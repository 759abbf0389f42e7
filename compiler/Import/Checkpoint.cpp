//===- Checkpoint.cpp - The weights of a Hugging Face folder --------------===//
//
// Name table and checks; see Checkpoint.h.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Checkpoint.h"

#include <cmath>

using namespace quern;

/// Whether names begin with `start`.
static bool hasNames(const SafetensorsMap &tensors, const std::string &start) {
  auto first = tensors.lower_bound(start);
  return first != tensors.end() &&
         first->first.compare(0, start.size(), start) == 0;
}

Checkpoint::Checkpoint(std::string file, SafetensorsMap tensors)
    : file(std::move(file)), tensors(std::move(tensors)) {
  // Models with a head store the encoder under its name, bare ones do not.
  for (const char *name : {"bert.", "distilbert.", "electra.", "vit.", "deit."})
    if (hasNames(this->tensors, std::string(name) + "embeddings."))
      prefix = name;
  isDistilled = this->tensors.count(
      prefix + "transformer.layer.0.attention.q_lin.weight");
  isElectra = this->tensors.count("classifier.out_proj.weight");
}

Expected<Checkpoint> Checkpoint::open(const std::string &folder) {
  std::string whole = joinPath(folder, "model.safetensors");
  std::string index = joinPath(folder, "model.safetensors.index.json");
  bool sharded = !fileExists(whole) && fileExists(index);
  if (!sharded && !fileExists(whole)) {
    bool pickled = fileExists(joinPath(folder, "pytorch_model.bin"));
    return Error::make(folder, ": found ",
                       pickled ? "pytorch_model.bin, which is not read"
                               : "no weights",
                       ", expected model.safetensors or "
                       "model.safetensors.index.json");
  }
  auto tensors = sharded ? readSafetensorsIndex(index) : readSafetensors(whole);
  if (!tensors)
    return tensors.takeError();
  return Checkpoint(sharded ? index : whole, std::move(*tensors));
}

/// The old spelling of a LayerNorm parameter, empty for other names.
static std::string oldSpelling(const std::string &name) {
  static constexpr std::pair<std::string_view, std::string_view> table[] = {
      {"LayerNorm.weight", "gamma"}, {"LayerNorm.bias", "beta"}};
  for (auto [ending, old] : table) {
    if (name.size() < ending.size() ||
        name.compare(name.size() - ending.size(), ending.size(), ending) != 0)
      continue;
    std::string result = name.substr(0, name.rfind('.') + 1);
    result += old;
    return result;
  }
  return "";
}

/// The name in a model that was quantized by the published code, which wraps a
/// linear layer and its activation; empty for other names.
static std::string wrappedName(const std::string &name) {
  static constexpr std::pair<std::string_view, std::string_view> table[] = {
      {"intermediate.dense.", "intermediate.0."},
      {"pooler.dense.", "pooler.dense_act.0."}};
  for (auto [module, wrapped] : table)
    if (size_t at = name.rfind(module); at != std::string::npos) {
      std::string result = name;
      return result.replace(at, module.size(), wrapped);
    }
  return "";
}

/// What DistilBERT calls a tensor, without the prefix.
static std::string distilledName(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> parts[] = {
      {"attention.self.query.", "attention.q_lin."},
      {"attention.self.key.", "attention.k_lin."},
      {"attention.self.value.", "attention.v_lin."},
      {"attention.output.dense.", "attention.out_lin."},
      {"attention.output.LayerNorm.", "sa_layer_norm."},
      {"intermediate.dense.", "ffn.lin1."},
      {"output.dense.", "ffn.lin2."},
      {"output.LayerNorm.", "output_layer_norm."}};
  constexpr std::string_view layers = "encoder.layer.";
  if (name.substr(0, layers.size()) != layers)
    return std::string(name);
  size_t dot = name.find('.', layers.size()) + 1;
  std::string number(name.substr(layers.size(), dot - layers.size()));
  for (auto [part, other] : parts)
    if (name.substr(dot, part.size()) == part)
      return "transformer.layer." + number + std::string(other) +
             std::string(name.substr(dot + part.size()));
  return std::string(name);
}

/// `name` with `from` in front replaced, or nothing.
static std::string replaceFront(std::string_view name, std::string_view from,
                                std::string_view to) {
  if (name.substr(0, from.size()) != from)
    return "";
  return std::string(to) + std::string(name.substr(from.size()));
}

std::string Checkpoint::storedName(std::string_view name) const {
  std::string other;
  if (isDistilled)
    other = replaceFront(name, "pooler.dense.", "pre_classifier.");
  if (isElectra)
    other = replaceFront(name, "pooler.dense.", "classifier.dense.");
  if (isElectra && other.empty())
    other = replaceFront(name, "classifier.", "classifier.out_proj.");
  if (!other.empty())
    return other;
  // Heads (`classifier`, `qa_outputs`) lie beside the encoder.
  for (std::string_view part :
       {"embeddings.", "encoder.", "layernorm.", "pooler."})
    if (name.substr(0, part.size()) == part)
      return prefix + (isDistilled ? distilledName(name) : std::string(name));
  return std::string(name);
}

const SafetensorsMap::value_type *
Checkpoint::find(std::string_view name) const {
  std::string stored = storedName(name);
  auto it = tensors.find(stored);
  for (const std::string &other : {oldSpelling(stored), wrappedName(stored)})
    if (it == tensors.end())
      it = tensors.find(other);
  return it == tensors.end() ? nullptr : &*it;
}

bool Checkpoint::has(std::string_view name) const { return find(name); }

/// `[3, 17]`, the position of element `flat` of a tensor.
static std::string position(size_t flat, const std::vector<int64_t> &shape) {
  std::string text;
  for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) {
    text = std::to_string(flat % *dim) + (text.empty() ? "" : ", ") + text;
    flat /= *dim;
  }
  return "[" + text + "]";
}

Expected<FloatData> Checkpoint::read(std::string_view name,
                                     const std::vector<int64_t> &shape) {
  const auto *item = find(name);
  std::string wanted =
      "expected f32, f16 or bf16 of shape " + shapeToString(shape);
  if (!item)
    return Error::make(file, ": tensor ", storedName(name), ": found none, ",
                       wanted);
  const auto &[stored, tensor] = *item;
  std::string where = tensor.file->path() + ": tensor " + printable(stored);
  if (tensor.shape != shape)
    return Error::make(where, ": found shape ", shapeToString(tensor.shape),
                       ", ", wanted);
  auto values = readFloats(stored, tensor);
  if (!values)
    return values.takeError();
  size_t bad = findNonFinite(values->data, values->size);
  if (bad != values->size)
    return Error::make(
        where, ": found ", std::isnan(values->data[bad]) ? "NaN" : "infinity",
        " at index ", position(bad, shape), ", expected finite values");
  if (values->mapped)
    tensor.file->release(values->data, tensor.bytes);
  used.insert(stored);
  return values;
}

Error Checkpoint::checkLayers(int64_t layers) const {
  std::string start =
      prefix + (isDistilled ? "transformer.layer." : "encoder.layer.");
  for (auto it = tensors.lower_bound(start);
       it != tensors.end() && it->first.compare(0, start.size(), start) == 0;
       ++it) {
    const std::string &name = it->first;
    size_t end = name.find_first_not_of("0123456789", start.size());
    std::string number = name.substr(start.size(), end - start.size());
    // Longer numbers are no layers of any configuration.
    if (end == name.npos || name[end] != '.' || number.empty())
      continue;
    if (number.size() > 9 || std::stoll(number) >= layers)
      return Error::make(file, ": tensor ", printable(name),
                         ": found layer number ", number, ", expected ", layers,
                         " layers as in config.json");
  }
  return Error::success();
}

std::vector<std::string> Checkpoint::unused() const {
  std::vector<std::string> names;
  for (const auto &[name, tensor] : tensors)
    if (!used.count(name))
      names.push_back(name);
  return names;
}
