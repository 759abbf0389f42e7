//===- Verify.cpp - quern verify: simulation, integers and machine --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Compares three programs of one model on the same texts, site by site:
//   L1  the simulation of the recipe, in real arithmetic
//   L2  the integer graph, run by the reference interpreter
//   the machine code of the module, on every tier that this CPU has
// L2 and the machine must agree in every code. L1 and L2 may differ by one
// code at rounding ties when they start from equal codes; what is reported
// beside it is the difference of the whole models.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"
#include "tools/quern/Input.h"
#include "tools/quern/VerifySites.h"

#include "compiler/Levels.h"
#include "lib/Interpret/Interpreter.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <memory>

using nlohmann::json;

namespace quern::cli {

namespace {
struct VerifyOptions {
  std::string module, text, model;
  unsigned samples = 8;
  bool pairs = false, asJson = false;
};

/// One text's ids, as the interpreter takes them.
struct Inputs {
  std::vector<Tensor> tensors;
  std::vector<int32_t> ids, types, offsets;
};
} // namespace

static Tensor vectorOf(const std::vector<int32_t> &values) {
  Tensor tensor = Tensor::zeros(Tensor::Kind::I32, {int64_t(values.size())});
  std::copy(values.begin(), values.end(), tensor.ints().begin());
  return tensor;
}

static Inputs inputsOf(const quern_output &tokens) {
  Inputs inputs;
  inputs.ids.assign(tokens.ids, tokens.ids + tokens.tokens);
  inputs.types.assign(tokens.type_ids, tokens.type_ids + tokens.tokens);
  inputs.offsets.assign(tokens.offsets,
                        tokens.offsets + tokens.sequences + 1);
  std::vector<int32_t> positions;
  for (uint32_t s = 0; s < tokens.sequences; ++s)
    for (int32_t i = inputs.offsets[s]; i < inputs.offsets[s + 1]; ++i)
      positions.push_back(i - inputs.offsets[s]);
  inputs.tensors.push_back(vectorOf(inputs.ids));
  inputs.tensors.push_back(vectorOf(inputs.types));
  inputs.tensors.push_back(vectorOf(positions));
  inputs.tensors.push_back(vectorOf(inputs.offsets));
  return inputs;
}

/// Runs a graph and keeps the codes of its sites. `forced` replaces them.
static Expected<SiteMap> interpret(mlir::ModuleOp module,
                                   const Inputs &inputs,
                                   const SiteMap *forced, Tensor *result) {
  SiteMap sites;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    if (site.value.kind() == Tensor::Kind::I32)
      sites.emplace(site.name.str(), site.value);
  };
  if (forced)
    hooks.force = [&](const SiteValue &site) -> std::optional<Tensor> {
      auto found = forced->find(site.name.str());
      if (found == forced->end())
        return std::nullopt;
      return found->second;
    };
  auto out = Interpreter(module).run(inputs.tensors, hooks);
  if (mlir::failed(out))
    return Error("the interpreter cannot run the graph");
  if (result)
    *result = std::move(*out);
  return sites;
}
