//===- GemmTuning.h - What a machine decides about products -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Numbers of the GEMM kernels that change no result, only the time they take:
// register tiles, blocks of k, distances of prefetches, and where one form of a
// kernel gives way to another. `quern tune` finds them; they come to the
// lowering as the module's attribute `tk.tuning`, so that a dump holds all that
// its kernels depend on.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMTUNING_H
#define QUERN_LIB_TILE_GEMMTUNING_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace quern {

/// What the rows of a tuned product hold. Codes with ranges of tokens are
/// multiplied as Codes.
enum class TunedInput {
  Codes,
  /// Codes in groups of channels, each with a scale of its own.
  Groups,
  /// 16-bit codes, as two planes of bytes.
  Planes
};
/// "codes", "groups" or "planes".
llvm::StringRef tunedInputName(TunedInput input);
/// The input of a name, or nothing.
std::optional<TunedInput> parseTunedInput(llvm::StringRef name);

/// What fits machines of which nothing is known. Names of the members in files
/// and attributes are those of tuningFields().
struct GemmTuning {
  /// Rows of a register tile, and its 16-column panels at most: a width that
  /// divides the columns is taken.
  int64_t rows = 8, panels = 3;
  /// Groups of panels that the prefetch of dot products is ahead, 0 for none,
  /// and the cache that it fetches to (1 is the nearest).
  int64_t ahead = 1, aheadCache = 1;
  /// Up to so many rows there is none: where one tile reads each weight once,
  /// the prefetcher of the CPU may do better alone.
  int64_t aheadRows = 0;
  /// Up to so many rows weights of few bits are unpacked in the inner loop,
  /// where that hides behind dot products on Zen 5. On Intel cores the two
  /// share their ports, and it costs 16 %; in advance, it is done once for all
  /// tiles.
  int64_t packedRows = 32;
  /// From so many rows on tile registers are used; with fewer, dot products of
  /// vectors are faster than a block of 32.
  int64_t leastTileRows = 13;
  /// Columns that tile registers compute for a block of rows before the next
  /// one, in panels, and the bytes of their weights at most: rows are loaded
  /// from far the seldomer, but the weights have to stay in the next cache
  /// until the last rows of the chunk have passed.
  int64_t groupPanels = 24, groupBytes = 320 << 10;
  /// Steps of 64 k whose sums stay in tile registers: rows of 24 KB.
  int64_t spanSteps = 12;
  /// The cache that they prefetch the next weights to; 0 for no prefetch.
  int64_t tileCache = 2;
  /// Whether tiers with a library take its products, and rows of a call: whole
  /// register tiles of 4, 6 and 8 rows.
  int64_t library = 1, libraryRows = 24;

  bool operator==(const GemmTuning &other) const;
  bool operator!=(const GemmTuning &other) const { return !(*this == other); }

  /// Rows of a chunk of `wanted` rows: whole tiles, and blocks of 32.
  int64_t chunkRows(int64_t wanted) const;
};

/// A member by name, with the values that it may have: those between `low` and
/// `high` that are multiples of `step`.
struct TuningField {
  const char *name;
  int64_t GemmTuning::*member;
  int64_t low, high, step;
};
llvm::ArrayRef<TuningField> tuningFields();

/// What is expected of a field, as "a multiple of 4 from 4 to 16".
std::string expectedOf(const TuningField &field);

/// How an input other than codes follows in a list: " of groups", or "".
std::string describeTuned(TunedInput input);

/// Rows of 16-bit codes in a register tile, each two rows of bytes. Those of
/// the tuning are a multiple.
constexpr int64_t kPlaneRows = 4;

/// Rows of a register tile.
int64_t tileRows(const GemmTuning &tuning, TunedInput input);

/// True if a register tile fits 32 registers beside its operands.
bool fitsRegisters(const GemmTuning &tuning,
                   TunedInput input = TunedInput::Codes);

/// The members that differ from the default, as `rows 4, panels 6`; "the
/// default" if none does.
std::string describeTuning(const GemmTuning &tuning);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMTUNING_H
