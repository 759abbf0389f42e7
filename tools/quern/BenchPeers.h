//===- BenchPeers.h - A module beside other runtimes ------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TOOLS_QUERN_BENCHPEERS_H
#define QUERN_TOOLS_QUERN_BENCHPEERS_H

#include "tools/quern/BenchInput.h"

#include "compiler/Bench/BenchReport.h"

#include <string>
#include <vector>

namespace quern::cli {

/// What `quern bench --peer` was told.
struct PeerOptions {
  /// Of openvino, onnxruntime and ctranslate2.
  std::vector<std::string> peers;
  /// The checkpoint that the peers' models are made of; empty: the folder that
  /// the module was made from.
  std::string model;
  unsigned rounds = 5;
  double seconds = 1.5;
};

/// Times `module` and the peers in turns, on the texts if there are some, by
/// tools/bench/peers.sh, which takes this process's place. Returns the exit
/// code where it could not be started.
int benchPeers(const std::string &module, const BenchGrid &grid,
               const BenchTexts &texts, bool asJson, PeerOptions options);

} // namespace quern::cli

#endif // QUERN_TOOLS_QUERN_BENCHPEERS_H
