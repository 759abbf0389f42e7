//===- GemmTuning.cpp - What a machine decides about products -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmTuning.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <numeric>

namespace quern {

// Limits keep scratch memory and unrolled code within a megabyte or so.
static constexpr TuningField kFields[] = {
    {"rows", &GemmTuning::rows, 4, 16, 4},
    {"panels", &GemmTuning::panels, 1, 6, 1},
    {"ahead", &GemmTuning::ahead, 0, 8, 1},
    {"ahead_cache", &GemmTuning::aheadCache, 1, 3, 1},
    {"ahead_rows", &GemmTuning::aheadRows, 0, 1 << 20, 1},
    {"packed_rows", &GemmTuning::packedRows, 0, 1 << 20, 1},
    {"least_tile_rows", &GemmTuning::leastTileRows, 1, 1 << 20, 1},
    {"group_panels", &GemmTuning::groupPanels, 2, 512, 1},
    {"group_bytes", &GemmTuning::groupBytes, 1 << 12, 4 << 20, 1},
    {"span_steps", &GemmTuning::spanSteps, 1, 64, 1},
    {"tile_cache", &GemmTuning::tileCache, 0, 3, 1},
    {"library", &GemmTuning::library, 0, 1, 1},
    {"library_rows", &GemmTuning::libraryRows, 4, 32, 4}};

llvm::ArrayRef<TuningField> tuningFields() { return kFields; }

bool GemmTuning::operator==(const GemmTuning &other) const {
  return llvm::all_of(kFields, [&](const TuningField &field) {
    return this->*field.member == other.*field.member;
  });
}

int64_t GemmTuning::chunkRows(int64_t wanted) const {
  int64_t unit = std::lcm(rows, int64_t(32));
  return wanted % rows ? std::max(wanted / unit, int64_t(1)) * unit : wanted;
}

std::string expectedOf(const TuningField &field) {
  std::string what = field.step == 1
                         ? "an integer"
                         : llvm::formatv("a multiple of {0}", field.step).str();
  return llvm::formatv("{0} from {1} to {2}", what, field.low, field.high);
}

static constexpr const char *kInputNames[] = {"codes", "groups", "planes"};

llvm::StringRef tunedInputName(TunedInput input) {
  return kInputNames[int(input)];
}

std::optional<TunedInput> parseTunedInput(llvm::StringRef name) {
  for (TunedInput each :
       {TunedInput::Codes, TunedInput::Groups, TunedInput::Planes})
    if (name == tunedInputName(each))
      return each;
  return std::nullopt;
}

std::string describeTuned(TunedInput input) {
  return input == TunedInput::Codes ? "" : " of " + tunedInputName(input).str();
}

int64_t tileRows(const GemmTuning &tuning, TunedInput input) {
  return input == TunedInput::Planes ? kPlaneRows : tuning.rows;
}

bool fitsRegisters(const GemmTuning &tuning, TunedInput input) {
  int64_t rows = tileRows(tuning, input);
  int64_t sums = (input == TunedInput::Planes ? 2 : 1) * rows * tuning.panels;
  return sums + tuning.panels + 1 <= 32;
}

std::string describeTuning(const GemmTuning &tuning) {
  std::string text;
  const GemmTuning usual;
  for (const TuningField &field : kFields)
    if (tuning.*field.member != usual.*field.member)
      text += llvm::formatv("{0}{1} {2}", text.empty() ? "" : ", ", field.name,
                            tuning.*field.member);
  return text.empty() ? "the default" : text;
}

} // namespace quern
