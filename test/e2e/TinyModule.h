//===- TinyModule.h - A tiny model, compiled and open ---------------------===//
//
// From TinyModelOptions and a recipe to an open module, for tests of the whole
// way.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_E2E_TINYMODULE_H
#define QUERN_TEST_E2E_TINYMODULE_H

#include "compiler/Compiler.h"
#include "compiler/Emit/Assemble.h"
#include "runtime/include/quern/introspect.h"
#include "runtime/src/Cpu.h"
#include "test/support/TempFolder.h"
#include "test/support/TestTiers.h"
#include "test/support/TinyModel.h"

#include <cstring>
#include <memory>

namespace quern::test {

/// The tiers that most tests compile for; those between them share their
/// passes and layouts, and have tests of their own. In no order.
inline const std::vector<std::string> fewTargets = {"x86-amx", "x86-avx2",
                                                    "x86-avx512vnni"};

/// Has the run time use tier amx where its instructions are emulated. Modules
/// of tests do so before they are opened.
inline void allowEmulatedTiles() {
  if (tileRun() == TileRun::Emulated)
    claimFeatures(uint64_t(1) << FeatureAmxTile |
                  uint64_t(1) << FeatureAmxInt8 |
                  uint64_t(1) << FeatureOsTiles);
}

class TinyModule {
public:
  /// Writes the model and compiles it, for fewTargets if none are given. A
  /// failure is a failure of the test; get() is null then.
  TinyModule(const TinyModelOptions &options, const std::string &recipe,
             const std::vector<std::string> &overrides = {},
             bool allRows = false,
             const std::vector<std::string> &targets = fewTargets) {
    allowEmulatedTiles();
    if (Error error = writeTinyModel(modelFolder(), options)) {
      ADD_FAILURE() << error.message();
      return;
    }
    CompileRequest request;
    request.modelFolder = modelFolder();
    request.output = path();
    request.recipe = recipe;
    request.overrides = overrides;
    request.threads = 1;
    request.allRows = allRows;
    request.targets = targets;
    if (options.learned)
      request.rangesIn = modelFolder() + "/model.safetensors";
    request.calibration = {{"the first film was a great story", std::nullopt},
                           {"two people, 3 dogs and a cat", "they like it"},
                           {"never dull!", std::nullopt}};
    Expected<CompileResult> result = compile(request);
    if (!result) {
      ADD_FAILURE() << result.message();
      return;
    }
    quern_error error = {};
    quern_module *opened = nullptr;
    if (quern_module_open(request.output.c_str(), &opened, &error))
      ADD_FAILURE() << error.message;
    module.reset(opened);
  }

  std::string modelFolder() const { return folder.file("model"); }
  std::string path() const { return folder.file("m.qbm"); }
  const quern_module *get() const { return module.get(); }

private:
  TempFolder folder;
  std::unique_ptr<quern_module, void (*)(quern_module *)> module{
      nullptr, quern_module_close};
};

/// A session whose outputs are kept as bytes by sequence.
class TinySession {
public:
  TinySession(const quern_module *module, uint32_t threads, uint32_t tier)
      : session(nullptr, quern_session_destroy) {
    quern_error error = {};
    quern_session *created = nullptr;
    if (quern_session_create(module, threads, &created, &error) ||
        quern_session_force_tier(created, tier, &error))
      ADD_FAILURE() << error.message;
    session.reset(created);
    quern_module_describe(module, &description);
  }

  /// Runs sequences of ids as one batch.
  std::vector<std::string>
  run(const std::vector<std::vector<int32_t>> &sequences) {
    std::vector<int32_t> ids, offsets = {0};
    for (const std::vector<int32_t> &sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      offsets.push_back(ids.size());
    }
    quern_output output = {};
    quern_error error = {};
    std::vector<std::string> results;
    if (quern_run_ids(session.get(), ids.data(), nullptr, offsets.data(),
                      sequences.size(), &output, &error)) {
      ADD_FAILURE() << error.message;
      return results;
    }
    for (size_t s = 0; s < sequences.size(); ++s) {
      bool tokens = description.rows_are_tokens;
      size_t from = tokens ? offsets[s] : s;
      size_t to = tokens ? offsets[s + 1] : s + 1;
      const float *data = output.data + from * output.columns;
      results.emplace_back(reinterpret_cast<const char *>(data),
                           (to - from) * output.columns * sizeof(float));
    }
    return results;
  }

private:
  std::unique_ptr<quern_session, void (*)(quern_session *)> session;
  quern_description description = {};
};

/// Those of fewTargets, or of all tiers, that this machine can run.
inline std::vector<uint32_t> usableTiers(bool all = false) {
  std::vector<uint32_t> tiers;
  for (Tier tier : allTiers) {
    uint32_t id = describeTier(tier).id;
    std::string target = "x86-" + getTierName(tier).str();
    bool isWanted =
        all || tier == Tier::Sse2 || llvm::is_contained(fewTargets, target);
    if (isWanted && quern_tier_usable(id, nullptr))
      tiers.push_back(id);
  }
  return tiers;
}

} // namespace quern::test

#endif // QUERN_TEST_E2E_TINYMODULE_H
