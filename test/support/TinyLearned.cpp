//===- TinyLearned.cpp - Learned quantizers beside tiny weights -----------===//
//
// Names and shapes are those of the state dictionaries that the code published
// with the PEG paper saves; the values are made up, but fit the activations of
// a tiny model.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace quern;
using namespace quern::test;

namespace {

class LearnedWriter {
public:
  explicit LearnedWriter(const TinyModelOptions &options) : o(options) {}

  void add(const std::string &name, std::vector<int64_t> shape,
           const std::vector<float> &values) {
    SafetensorsOutput tensor{name, "F32", std::move(shape), {}};
    tensor.data.resize(4 * values.size());
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    list.push_back(std::move(tensor));
  }

  /// A quantizer of values from about -width to width; `from` is where the
  /// range begins in parts of the width.
  void site(const std::string &module, float width, float from,
            bool grouped = false) {
    if (o.learnedSteps)
      return steps(module, width, from);
    std::string name = module + ".activation_quantizer.";
    int64_t count = grouped && o.learnedGroups ? o.hidden : 1;
    std::vector<int64_t> shape;
    if (count > 1)
      shape = {1, 1, count};
    std::vector<float> delta, zero;
    for (int64_t j = 0; j < count; ++j) {
      int64_t group = count > 1 ? (7 * j) % o.learnedGroups : 0;
      float scale =
          width * (1 - from) / 255 * (1 + 0.25f * static_cast<float>(group));
      if (o.learnedSymmetric)
        scale = from < 0 ? width / 127 : width / 255;
      delta.push_back(scale);
      // Training leaves them between integers.
      zero.push_back(-from * width / scale +
                     0.3f * static_cast<float>(group % 3) - 0.4f);
    }
    ++sites;
    add(name + "quantizer._delta", shape, delta);
    // What a reader has to pass over.
    add(name + "range_estimator.quantizer._delta", shape, delta);
    add(name + "range_estimator.current_xmin", {}, {-1});
    if (o.learnedSymmetric)
      list.push_back(
          {name + "quantizer._signed", "BOOL", {}, {std::byte(from < 0)}});
    else
      add(name + "quantizer._zero_float", shape, zero);
  }

  /// Seven values, those of 2 to 8 bits; only one of them is used.
  void addChoices(const std::string &name,
                  llvm::function_ref<float(int64_t bits)> value) {
    std::vector<float> values;
    for (int64_t bits = 2; bits <= 8; ++bits)
      values.push_back(value(bits));
    add(name, {7}, values);
  }

  /// A quantizer of learned steps of values from `from` times the width to it.
  void steps(const std::string &module, float width, float from) {
    auto ends = [&](const char *part) {
      std::string_view text(part);
      return module.size() >= text.size() &&
             module.compare(module.size() - text.size(), text.size(), text) ==
                 0;
    };
    bool isSigned = from < -0.5f;
    bool hasOffset = ends("LayerNorm") || ends("output.dense") ||
                     ends("context_act_quantizer") || ends("intermediate.0");
    std::string name = module + ".activation_quantizer.";
    bool isProbs = ends("attn_probs_act_quantizer");
    if (o.learnedHeads && (ends("query") || ends("key") || ends("value") ||
                           ends("context_act_quantizer") || isProbs))
      return headSteps(name, width, from, isSigned, !isProbs, headBits());
    if (o.learnedGroups &&
        (ends("LayerNorm") || ends("output.dense") ||
         ends(".res_act_quantizer") || ends("intermediate.0")))
      return headSteps(name, width, from, isSigned, /*isTable=*/true,
                       blockBits());
    int64_t used = nextBits(ends("query") || ends("key") || ends("value"));
    addChoices(name + "alpha", [&](int64_t bits) {
      float codes = static_cast<float>((int64_t(1) << bits) - 1);
      return width * (isSigned ? 2 : 1 - from) / codes;
    });
    if (hasOffset)
      addChoices(name + "beta", [&](int64_t bits) {
        float least = isSigned ? 0.0371f * width : from * width;
        return bits == used ? least : 1e3f;
      });
    // Trained, too, and rounded when it is used.
    add(name + "nbits", {1}, {static_cast<float>(used) + 0.3f});
    list.push_back({name + "signed", "BOOL", {}, {std::byte(isSigned)}});
    add(name + "init_state", {1}, {1});
    ++sites;
  }

  /// Bits for each head.
  std::vector<float> headBits() {
    std::vector<float> bits;
    ++turn;
    for (int64_t head = 0; head < o.heads; ++head)
      bits.push_back(static_cast<float>(
          o.learnedSteps - (turn + 2 * head) % (o.learnedSteps - 1)));
    return bits;
  }

  /// Bits for each block of channels.
  std::vector<float> blockBits() {
    std::vector<float> bits;
    for (int64_t block = 0; block < o.learnedGroups; ++block)
      bits.push_back(static_cast<float>(nextBits(false)));
    return bits;
  }

  /// The same by heads or by blocks of channels: seven rows of a step for each,
  /// or, as a quantizer of the published code is when it is made, seven steps
  /// for all.
  void headSteps(const std::string &name, float width, float from,
                 bool isSigned, bool isTable, const std::vector<float> &bits) {
    auto step = [&](int64_t bits) {
      float codes = static_cast<float>((int64_t(1) << bits) - 1);
      return width * (isSigned ? 2 : 1 - from) / codes;
    };
    int64_t count = static_cast<int64_t>(bits.size());
    std::vector<float> alpha;
    for (int64_t b = 2; b <= 8; ++b)
      for (int64_t i = 0; i < count; ++i)
        alpha.push_back(step(b) * (1 - 0.2f * static_cast<float>(i % 4)));
    if (isTable)
      add(name + "alpha", {7, count}, alpha);
    else
      addChoices(name + "alpha", step);
    // There where offsets are used, and not read.
    addChoices(name + "beta", [](int64_t) { return 0.0f; });
    add(name + "nbits", {count}, bits);
    list.push_back({name + "signed", "BOOL", {}, {std::byte(isSigned)}});
    ++sites;
  }

  void weight(const SafetensorsOutput &tensor) {
    if (tensor.shape.size() == 2 ||
        tensor.name.find("LayerNorm") != std::string::npos) {
      std::vector<float> values(tensor.data.size() / 4);
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      size_t rows = o.learnedRows && tensor.shape.size() == 2
                        ? size_t(tensor.shape[0])
                        : 1;
      bool isSigned = *std::min_element(values.begin(), values.end()) < 0;
      std::vector<float> delta;
      size_t size = values.size() / rows;
      for (size_t r = 0; r < rows; ++r) {
        float largest = 0;
        for (size_t i = r * size; i < (r + 1) * size; ++i)
          largest = std::max(largest, std::fabs(values[i]));
        delta.push_back(0.9f * largest / (isSigned ? 127.f : 255.f));
      }
      if (o.learnedSteps)
        return weightSteps(tensor.name.substr(0, tensor.name.size() - 7),
                           delta[0] * (isSigned ? 127.f : 255.f));
      std::string name = tensor.name + "_quantizer.quantizer.";
      std::vector<int64_t> shape;
      if (rows > 1)
        shape = {int64_t(rows), 1};
      add(name + "_delta", shape, delta);
      list.push_back({name + "_signed", "BOOL", {}, {std::byte(isSigned)}});
    }
  }

  /// Steps of a weight whose codes reach to `largest`.
  void weightSteps(const std::string &module, float largest) {
    auto step = [&](int64_t bits) {
      return largest / static_cast<float>((int64_t(1) << (bits - 1)) - 1);
    };
    add(module + ".init_state", {1}, {1});
    if (!o.learnedMix || module.find(".attention.") == std::string::npos ||
        module.find("LayerNorm") != std::string::npos) {
      addChoices(module + ".alpha", step);
      add(module + ".nbits", {1}, {static_cast<float>(nextBits(false))});
      return;
    }
    std::vector<float> alpha, bits;
    for (int64_t b = 2; b <= 8; ++b)
      for (int64_t head = 0; head < o.heads; ++head)
        alpha.push_back(step(b) * (1 - 0.15f * static_cast<float>(head)));
    for (int64_t head = 0; head < o.heads; ++head)
      bits.push_back(
          static_cast<float>(2 + (3 * head + 1) % (o.learnedSteps - 1)));
    add(module + ".alpha", {7, o.heads}, alpha);
    add(module + ".nbits", {o.heads}, bits);
  }

  /// The bits of the next quantizer; q, k and v, which one kernel reads, have
  /// the same.
  int64_t nextBits(bool isShared) {
    return !o.learnedMix || isShared ? o.learnedSteps : 2 + turn++ % 7;
  }

  std::vector<SafetensorsOutput> list;
  int sites = 0;
  int64_t turn = 0;

private:
  const TinyModelOptions &o;
};

/// `intermediate.dense.` and `pooler.dense.` as the published code wraps them.
void wrapNames(std::vector<SafetensorsOutput> &weights) {
  for (SafetensorsOutput &tensor : weights)
    for (auto [module, wrapped] :
         {std::pair<std::string, std::string>{"intermediate.dense.",
                                              "intermediate.0."},
          {"pooler.dense.", "pooler.dense_act.0."}})
      if (size_t at = tensor.name.find(module); at != std::string::npos)
        tensor.name.replace(at, module.size(), wrapped);
}

} // namespace

std::vector<SafetensorsOutput>
test::learnedQuantizers(const TinyModelOptions &o,
                        std::vector<SafetensorsOutput> &weights) {
  wrapNames(weights);
  LearnedWriter writer(o);
  for (const SafetensorsOutput &tensor : weights)
    if (tensor.name.find(".weight") == tensor.name.size() - 7)
      writer.weight(tensor);
  std::string start = o.prefix ? "bert." : "", e = start + "embeddings.";
  writer.site(e + "sum_input_token_type_embd_act_quantizer", 2, -1);
  writer.site(e + "sum_pos_embd_act_quantizer", 2.5f, -1);
  writer.site(e + "LayerNorm", 4, -1);
  for (int64_t i = 0; i < o.layers; ++i) {
    std::string layer = start + "encoder.layer." + std::to_string(i) + ".";
    std::string self = layer + "attention.self.";
    std::string output = layer + "attention.output.";
    for (const char *part : {"query", "key", "value"})
      writer.site(self + part, 4, -0.9f);
    writer.site(self + "attn_scores_act_quantizer", 16, -0.95f);
    writer.site(self + "attn_probs_act_quantizer", 1, 0);
    writer.site(self + "context_act_quantizer", 3, -1);
    writer.site(output + "dense", 3, -1);
    writer.site(output + "res_act_quantizer", 5, -1);
    writer.site(output + "LayerNorm", 3.5f, -1, true);
    writer.site(layer + "intermediate.0", 5, -0.04f);
    writer.site(layer + "output.dense", 3, -1, true);
    writer.site(layer + "output.res_act_quantizer", 5, -1, true);
    writer.site(layer + "output.LayerNorm", 3.5f, -1);
  }
  if (o.head == HeadKind::Classification || o.head == HeadKind::Regression)
    writer.site(start + "pooler.dense_act.0", 1, -1);
  if (o.head != HeadKind::Embedding)
    writer.site(o.head == HeadKind::QuestionAnswering ? "qa_outputs"
                                                      : "classifier",
                3, -1);
  return std::move(writer.list);
}
