//===- Decisions.cpp - What is to be decided of a kernel ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/Decisions.h"

#include "compiler/Emit/LibraryCode.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <iterator>
#include <set>

using llvm::formatv;

namespace quern {

/// More rows than any run has.
static constexpr int64_t kNever = 1 << 20;

namespace {
/// Makes the decisions of one kernel.
class DecisionMaker {
public:
  DecisionMaker(Tier tier, const TunedKernel &kernel, const GemmTuning &before,
                const std::vector<int64_t> &rows)
      : kernel(kernel), before(before), isAmx(tier == Tier::Amx) {
    decision.tier = isAmx ? Tier::Avx512Vnni : tier;
    decision.rows = rows;
    // Libraries have products of codes alone.
    hasLibrary =
        kernel.input == TunedInput::Codes && !libraryOf(decision.tier).empty();
  }

  /// In the order in which they are made; those of tile registers are the last.
  std::optional<Decision> make(int number) {
    using Maker = void (DecisionMaker::*)();
    static constexpr Maker kVectors[] = {
        &DecisionMaker::chooseTile, &DecisionMaker::choosePrefetch,
        &DecisionMaker::chooseRowsOfPrefetch, &DecisionMaker::chooseUnpacking};
    static constexpr Maker kTileRegisters[] = {
        &DecisionMaker::chooseKBlock, &DecisionMaker::chooseColumns,
        &DecisionMaker::chooseTilePrefetch, &DecisionMaker::chooseFewRows};
    // Other kernels for 16 registers have one form.
    if (kernel.input != TunedInput::Codes && decision.tier < Tier::Avx512Bw)
      return std::nullopt;
    int vectors = int(std::size(kVectors));
    if (number < vectors) {
      (this->*kVectors[number])();
      return decision;
    }
    if (!isAmx || number >= vectors + int(std::size(kTileRegisters)))
      return std::nullopt;
    (this->*kTileRegisters[number - vectors])();
    return decision;
  }

private:
  using T = GemmTuning;
  using Settings = std::vector<std::pair<int64_t GemmTuning::*, int64_t>>;

  /// Adds a candidate, if it makes other code than those before.
  void add(const std::string &name, const Settings &settings) {
    GemmTuning tuning = before;
    for (auto [member, value] : settings)
      tuning.*member = value;
    for (const Candidate &other : decision.candidates)
      if (other.tuning == tuning)
        return;
    decision.candidates.push_back({name, tuning});
  }

  void chooseTile() {
    if (!hasLibrary) {
      decision.name = "register tile";
      return addTiles("", before.library);
    }
    decision.name = "library or micro-ops";
    // What a call is up to so many rows, the library knows itself.
    for (int64_t each : {24, 32, 16, 8})
      add(formatv("library, {0} rows", each), {{&T::libraryRows, each}});
    // Dot products of SSE4.1 without the library are plain code.
    if (decision.tier != Tier::Sse41)
      addTiles(" by MLIR", 0);
  }

  void addTiles(const std::string &suffix, int64_t library) {
    using Tiles = std::vector<std::pair<int64_t, int64_t>>;
    // 32 registers of 512 bits hold 24 sums.
    Tiles tiles = {{8, 3}, {8, 2}, {8, 1},  {4, 6},
                   {4, 4}, {4, 3}, {16, 1}, {12, 2}};
    // 16 registers have tiles of their own.
    if (decision.tier < Tier::Avx512Bw)
      tiles = {{4, 1}};
    // What rows a tile of planes has is not tuned.
    if (kernel.input == TunedInput::Planes)
      tiles = {{8, 3}, {8, 2}, {8, 1}};
    std::set<std::pair<int64_t, int64_t>> made;
    for (auto [rows, panels] : tiles) {
      // Chunks of whole tiles would cost tile registers more than they gain.
      if (rows == 12 && isAmx)
        continue;
      int64_t width = panels;
      while (llvm::divideCeil(kernel.gemm.n, 16) % width)
        --width;
      int64_t inTile = tileRows({rows, panels}, kernel.input);
      if (made.insert({rows, width}).second)
        add(formatv("{0}x{1}", inTile, 16 * width).str() + suffix,
            {{&T::rows, rows}, {&T::panels, panels}, {&T::library, library}});
    }
  }

  static std::string toCache(int64_t level) {
    return " to L" + std::to_string(level);
  }

  void choosePrefetch() {
    decision.name = "prefetch";
    add("1 group" + toCache(1), {});
    if (hasLibrary)
      return;
    add("none", {{&T::ahead, 0}});
    for (auto [ahead, level] : {std::pair(2, 1), {1, 2}, {2, 2}, {4, 2}})
      add(formatv("{0} group{1}{2}", ahead, ahead == 1 ? "" : "s",
                  toCache(level)),
          {{&T::ahead, ahead}, {&T::aheadCache, level}});
  }

  void chooseRowsOfPrefetch() {
    decision.name = "prefetch of few rows";
    decision.rows = {4, 8, 16};
    add("always", {});
    if (hasLibrary || !before.ahead)
      return;
    for (int64_t most : {8, 16})
      add(formatv("from {0} rows", most + 1), {{&T::aheadRows, most}});
  }

  void chooseUnpacking() {
    decision.name = "unpacking in the loop";
    // Planes have no other way.
    if (hasLibrary || kernel.gemm.weightBits == 8 ||
        kernel.input == TunedInput::Planes)
      return add("up to 32 rows", {});
    for (int64_t most : {32, 0, 8, 128})
      add(most ? formatv("up to {0} rows", most).str() : "never",
          {{&T::packedRows, most}});
    add("always", {{&T::packedRows, kNever}});
  }

  /// Rows that tile registers take.
  void keepTileRows() {
    decision.tier = Tier::Amx;
    auto isFew = [&](int64_t rows) { return rows < before.leastTileRows; };
    std::vector<int64_t> &rows = decision.rows;
    rows.erase(std::remove_if(rows.begin(), rows.end(), isFew), rows.end());
  }

  void chooseKBlock() {
    keepTileRows();
    decision.name = "K block";
    int64_t steps = llvm::divideCeil(kernel.gemm.k, 64);
    // Sums of groups leave tile registers at the end of each.
    if (kernel.input == TunedInput::Groups)
      steps = 1;
    std::set<int64_t> made;
    for (int64_t span : {12, 6, 8, 16, 24, 48})
      if (made.insert(llvm::divideCeil(steps, span)).second)
        add(formatv("{0} k", 64 * std::min(span, steps)),
            {{&T::spanSteps, span}});
  }

  void chooseColumns() {
    keepTileRows();
    decision.name = "columns together";
    for (int64_t panels : {24, 12, 48, 96})
      add(formatv("{0} columns, {1} KB", 16 * panels, panels * 40 / 3),
          {{&T::groupPanels, panels},
           {&T::groupBytes, panels * (320 << 10) / 24}});
  }

  void chooseTilePrefetch() {
    keepTileRows();
    decision.name = "prefetch of tiles";
    for (int64_t level : {2, 1, 0})
      add(level ? "to L" + std::to_string(level) : "none",
          {{&T::tileCache, level}});
  }

  void chooseFewRows() {
    decision.tier = Tier::Amx;
    decision.name = "few rows";
    // Where one form gives way to the other; what more rows take is known.
    decision.rows = {4, 8, 12, 16, 24, 32};
    add("vectors", {{&T::leastTileRows, kNever}});
    add("tiles", {{&T::leastTileRows, kTilesAlways}});
  }

  const TunedKernel &kernel;
  const GemmTuning &before;
  bool isAmx, hasLibrary;
  Decision decision;
};
} // namespace

std::optional<Decision> nextDecision(int number, Tier tier,
                                     const TunedKernel &kernel,
                                     const GemmTuning &before,
                                     const std::vector<int64_t> &rows) {
  return DecisionMaker(tier, kernel, before, rows).make(number);
}

} // namespace quern
