//===- TuningTable.h - What was found best, by machine ----------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The file that `quern tune` writes and `quern compile --tuning` reads:
//
//   {"version": 1,
//    "machines": [{
//      "name": "sapphire-rapids-class", "measured": "how and where",
//      "features": ["sse41", "avx2", ...],
//      "caches": {"l1d": 49152, "l2": 2097152, "l3": 0},
//      "gemm": [{"k": 768, "n": 768, "bits": 8, "rows": 8, ..., "why": "..."}]
//    }]}
//
// Numbers of an entry that are absent are those of GemmTuning.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_TUNE_TUNINGTABLE_H
#define QUERN_COMPILER_TUNE_TUNINGTABLE_H

#include "compiler/Tune/MachineKey.h"
#include "lib/Support/Status.h"
#include "lib/Tile/ModuleTuning.h"

#include <string_view>

namespace quern {

/// The choices of one machine.
struct TunedMachine {
  MachineKey key;
  /// How and where it was measured.
  std::string measured;
  /// Its name, and the choices.
  ModuleTuning tuning;
};

struct TuningTable {
  std::vector<TunedMachine> machines;

  /// Parses and checks a table; `file` is for messages, which name the key,
  /// what was found and what was expected.
  static Expected<TuningTable> parse(std::string_view text,
                                     const std::string &file);
  static Expected<TuningTable> read(const std::string &path);

  /// The table that comes with this program.
  static TuningTable shipped();

  std::string toJson() const;

  /// The nearest machine of the class of `key`, or null.
  const TunedMachine *choose(const MachineKey &key) const;
  /// The machine of a name, or null.
  const TunedMachine *find(const std::string &name) const;
  /// The names, as "a, b".
  std::string names() const;

  /// Adds a machine. One of its name and its key takes the new choices and
  /// keeps those for other shapes; one of another key gives way.
  void put(TunedMachine machine);
};

} // namespace quern

#endif // QUERN_COMPILER_TUNE_TUNINGTABLE_H
