//===- BenchPeers.cpp - A module beside other runtimes --------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The peers are Python packages, so Python times them, and us by `quern bench
// --json`, each in a process of its own: tools/bench/peers.py. Here it is found
// and told what to do.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/BenchPeers.h"

#include "tools/quern/Commands.h"
#include "tools/quern/Handles.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace quern::cli {

/// The folder of this program, with a slash at its end.
static std::string programFolder() {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  std::string self(path, length > 0 ? length : 0);
  return self.substr(0, self.find_last_of('/') + 1);
}

/// Where the script lies: of an installation, or of the source tree whose
/// build/NAME/bin this program is in.
static Expected<std::string> findScript(const std::string &folder) {
  std::string tried;
  for (const char *place :
       {"../share/quern/bench/peers.sh", "../../../tools/bench/peers.sh"}) {
    std::string path = folder + place;
    if (access(path.c_str(), X_OK) == 0)
      return path;
    tried += (tried.empty() ? "" : " and ") + path;
  }
  if (const char *path = std::getenv("QUERN_PEERS"))
    return std::string(path);
  return Error::make("--peer: found no peers.sh at ", tried,
                     "; QUERN_PEERS can name the one of tools/bench in "
                     "Quern's sources");
}

int benchPeers(const std::string &module, const BenchGrid &grid,
               const BenchTexts &texts, bool asJson, PeerOptions options) {
  // Here, because a module that cannot be opened is no matter of the peers.
  Expected<ModuleHandle> handle = openModule(module);
  if (!handle)
    return fail(handle.message());
  if (Error error = refuseImages(handle->get(), module))
    return fail(error.message());
  if (options.model.empty())
    options.model = provenance(handle->get(), "model");
  std::string folder = programFolder();
  Expected<std::string> script = findScript(folder);
  if (!script)
    return fail(script.message());

  std::vector<std::string> words = {*script, "--module", module, "--model",
                                    options.model};
  auto add = [&](const char *name, const auto &values) {
    words.push_back(name);
    for (const auto &value : values) {
      if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>)
        words.push_back(std::to_string(value));
      else
        words.push_back(value);
    }
  };
  add("--peers", options.peers);
  if (texts.path.empty()) {
    add("--lengths", grid.lengths);
  } else {
    add("--text", std::vector<std::string>{texts.path});
    add("--samples", std::vector<uint32_t>{texts.samples});
    add("--max-length", std::vector<uint32_t>{texts.maxLength});
    if (texts.pairs)
      words.push_back("--pair");
  }
  add("--batches", grid.batches);
  add("--threads", grid.threads);
  add("--rounds", std::vector<unsigned>{options.rounds});
  add("--seconds", std::vector<std::string>{std::to_string(options.seconds)});
  if (asJson)
    words.push_back("--json");
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  setenv("QUERN", (folder + "quern").c_str(), 1);
  execv(script->c_str(), arguments.data());
  return fail(*script + ": cannot be started: " + std::strerror(errno));
}

} // namespace quern::cli
