//===- TinyFamilies.cpp - Small models of other families than BERT --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The names of Hugging Face's modeling_distilbert.py and modeling_electra.py.
//
//===----------------------------------------------------------------------===//
#include "test/support/TinyModel.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;

/// Replaces `from` by `to` where it stands in `name`.
static bool replace(std::string &name, const std::string &from,
                    const std::string &to) {
  size_t at = name.find(from);
  if (at == std::string::npos)
    return false;
  name.replace(at, from.size(), to);
  return true;
}

static void renameForDistilBert(std::string &name) {
  replace(name, "bert.", "distilbert.");
  replace(name, "encoder.layer", "transformer.layer");
  if (name.find("pooler.dense") != std::string::npos) {
    // Beside the encoder, not in it.
    name = "pre_classifier" + name.substr(name.rfind('.'));
    return;
  }
  // The longer ones first.
  for (auto [from, to] : {std::pair("attention.self.query", "attention.q_lin"),
                          {"attention.self.key", "attention.k_lin"},
                          {"attention.self.value", "attention.v_lin"},
                          {"attention.output.dense", "attention.out_lin"},
                          {"attention.output.LayerNorm", "sa_layer_norm"},
                          {"intermediate.dense", "ffn.lin1"},
                          {"output.dense", "ffn.lin2"},
                          {"output.LayerNorm", "output_layer_norm"}})
    if (replace(name, from, to))
      return;
}

static void renameForElectra(std::string &name, bool sequences) {
  replace(name, "bert.", "electra.");
  if (name.find("pooler.dense") != std::string::npos)
    name = "classifier.dense" + name.substr(name.rfind('.'));
  else if (sequences)
    replace(name, "classifier.", "classifier.out_proj.");
}

void test::renameForFamily(const TinyModelOptions &options,
                           std::vector<SafetensorsOutput> &weights) {
  bool sequences = options.head == HeadKind::Classification ||
                   options.head == HeadKind::Regression;
  if (options.zeroTypes)
    for (SafetensorsOutput &tensor : weights)
      if (tensor.name.find("token_type") != std::string::npos)
        std::fill(tensor.data.begin(), tensor.data.end(), std::byte(0));
  if (options.family == "distilbert") {
    auto isType = [](const SafetensorsOutput &tensor) {
      return tensor.name.find("token_type") != std::string::npos;
    };
    weights.erase(std::remove_if(weights.begin(), weights.end(), isType),
                  weights.end());
    for (SafetensorsOutput &tensor : weights)
      renameForDistilBert(tensor.name);
  }
  if (options.family == "electra")
    for (SafetensorsOutput &tensor : weights)
      renameForElectra(tensor.name, sequences);
}
