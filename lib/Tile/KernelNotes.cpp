//===- KernelNotes.cpp - What a kernel is, in words -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelNotes.h"

#include "lib/Tile/GemmParts.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <optional>

using llvm::formatv;

namespace quern {

static std::string weightLayout(const GemmShape &shape, GemmInput input) {
  if (input == GemmInput::Reals)
    return shape.weightBits == 8 ? "weights in panels [n/16][k][16]"
                                 : formatv("weights in panels [n/16][k][16] of "
                                           "{0} bits",
                                           shape.weightBits)
                                       .str();
  std::string text = "weights in panels [n/16][k/4][16][4]";
  if (shape.weightBits != 8)
    text += formatv(" of {0} bits", shape.weightBits).str();
  return text;
}

/// Multiplications from 16 sums to 16 codes, each of which takes as long as a
/// dot product; nothing where that is not so, or not counted.
static std::optional<int64_t> multiplications(const GemmShape &shape,
                                              GemmInput input, int64_t groups) {
  if (shape.fixed || input == GemmInput::Reals)
    return std::nullopt;
  int64_t perSum = groups + (input == GemmInput::Tokens);
  // The activation's own, and the step of its codes.
  switch (shape.activation) {
  case GemmActivation::None:
    return perSum;
  case GemmActivation::Relu:
    return perSum + 1;
  case GemmActivation::Gelu:
  case GemmActivation::GeluTanh:
    return perSum + 1 + QM_GELU_DEGREE + 1;
  case GemmActivation::Tanh:
    return perSum + 1 + QM_TANH_DEGREE + 1;
  case GemmActivation::IGelu:
    return std::nullopt;
  }
  return std::nullopt;
}

/// The share of dot products among all that the multipliers do.
static double predict(const GemmShape &shape, GemmInput input, int64_t groups) {
  std::optional<int64_t> beside = multiplications(shape, input, groups);
  if (!beside)
    return 0;
  double dots = double(llvm::alignTo(shape.k, 64)) / 4;
  if (input == GemmInput::Planes)
    dots *= 2;
  double columns = double(shape.n) / double(llvm::alignTo(shape.n, 16));
  return double(shape.k) / 4 * columns / (dots + double(*beside));
}

KernelNotes gemmNotes(const GemmShape &shape, GemmInput input, int64_t groups) {
  KernelNotes notes;
  int64_t width = getGemmPanels(shape).width,
          rows = tileRows(shape.tuning, input == GemmInput::Planes
                                            ? TunedInput::Planes
                                            : TunedInput::Codes);
  int64_t panels = llvm::divideCeil(shape.n, 16);
  notes.tile = formatv("{0} rows x {1} columns", rows, 16 * width);
  notes.predicted = predict(shape, input, groups);
  notes.tileRows = rows;
  notes.variantTiles = {
      {"small", formatv("{0} rows x 16 columns", kSmallRows)},
      {"library", formatv("{0} rows x {1} columns in a call of the library",
                          shape.tuning.libraryRows, 16 * width)},
      {"tiles",
       formatv("32 rows x 32 columns in tile registers, from {0} rows on",
               shape.tuning.leastTileRows)}};
  notes.layout = weightLayout(shape, input) +
                 (input == GemmInput::Planes ? ", rows as two planes of bytes"
                                             : ", rows token after token");
  auto because = [&](std::string reason) {
    notes.reasons.push_back(std::move(reason));
  };
  bool isReal = input == GemmInput::Reals;
  if (width < 3 && panels % 3)
    because(formatv("{0} columns are {1} panels of 16, no multiple of 3: tiles "
                    "of {2} columns read each row oftener than 48 would",
                    shape.n, panels, 16 * width));
  if (shape.n % 16)
    because(formatv("{0} of the {1} columns computed are padding",
                    16 * panels - shape.n, 16 * panels));
  int64_t padded = llvm::alignTo(shape.k, 64);
  if (!isReal && padded != shape.k)
    because(formatv("{0} inputs are padded to {1}", shape.k, padded));
  if (shape.rows == RowsOf::Sequences)
    because("a row for each sequence: a tile of 8 rows is full from 5 "
            "sequences on, and weights are read for few products");
  if (input == GemmInput::Planes)
    because(
        "16-bit codes are two planes of bytes: every product is done twice, "
        "in tiles of 4 rows");
  if (input == GemmInput::Tokens)
    because("every row has a scale and a zero point of its own, two more steps "
            "in the epilogue");
  if (groups > 1)
    because(formatv("sums are flushed {0} times, once for each group of "
                    "channels, which are scaled and added in f32",
                    groups));
  if (shape.hasZeros)
    because("weights with zero points: the codes of every row are summed, too");
  if (!isReal && shape.weightBits != 8)
    because(formatv("weights of {0} bits are unpacked in the inner loop",
                    shape.weightBits));
  if (isReal)
    because("operands in f32: no dot product of bytes, products and sums are "
            "rounded one by one");
  if (shape.fixed)
    because("integers throughout: the epilogue multiplies in 64 bits");
  if (!isReal && shape.activation != GemmActivation::None)
    because("the activation is computed in the epilogue, " +
            std::string(shape.fixed ? "in integers" : "in f32"));
  return notes;
}

KernelNotes attentionNotes(const AttentionShape &shape, bool isReal) {
  KernelNotes notes;
  bool inLanes = !isReal && hasLaneAttention(shape);
  notes.tile = inLanes ? "16 queries in lanes x 16 keys, x 16 channels"
                       : "8 queries x 32 keys, 8 queries x 32 channels";
  notes.variantTiles["small"] = "4 queries x 16 keys, 4 queries x 16 channels";
  if (!isReal && hasTileAttention(shape))
    notes.variantTiles["tiles"] = formatv("32 queries x 32 keys, 32 queries x "
                                          "32 channels in tile registers, from "
                                          "{0} tokens on",
                                          leastTileQueries(shape));
  notes.layout = isReal    ? "keys packed by head in panels [dim][16]"
                 : inLanes ? "operands packed by head in panels [dim/4][16][4]"
                           : "keys and values packed by head in panels "
                             "[dim/4][16][4]";
  auto because = [&](std::string reason) {
    notes.reasons.push_back(std::move(reason));
  };
  if (!isReal && !shape.fixed && !shape.isLog()) {
    // Requantizing 16 scores, and their softmax, which takes as long as 11 dot
    // products on Zen 4 and 5 (tools/README.md). With queries in lanes both
    // together take as long as 13 in the longest sequences (lib/README.md).
    const double beside = inLanes ? 13 : 1 + 11;
    double dots = double(llvm::alignTo(shape.headDim, 4)) / 4 +
                  double(llvm::alignTo(shape.headDim, 16)) / 4;
    notes.predicted = double(shape.headDim) / 2 / (dots + beside);
    notes.tileRows = inLanes ? 16 : 8;
    if (shape.firstQuery) {
      notes.predicted /= 8;
      notes.tileRows = 1;
    }
  }
  if (isReal)
    because("operands in f32: no dot product of bytes");
  else if (inLanes)
    because(
        "queries and values of a head are packed before its products; where "
        "taps are on, rows of 8 queries are computed instead");
  else
    because("keys and values of a head are packed before its products");
  if (shape.firstQuery)
    because("one query for each sequence: 7 of the 8 rows of a tile are empty");
  int64_t step = isReal ? 16 : 64;
  if (shape.headDim % step && !inLanes)
    because(formatv("heads of {0} channels do not fill vectors of {1}",
                    shape.headDim, step));
  if (shape.isLog())
    because(formatv("logarithmic probabilities: up to {0} sums of planes",
                    qm_log_planes(shape.log) * shape.log.per_octave));
  if (shape.fixed)
    because("integers throughout: probabilities multiply in 64 bits");
  return notes;
}

KernelNotes rowNotes(RowsOf rows, bool isReal) {
  KernelNotes notes;
  notes.tile = "1 row x 16 columns";
  notes.layout = rows == RowsOf::Tokens ? "rows token after token"
                                        : "a row for each sequence";
  if (isReal)
    notes.reasons.push_back("in f32, in the order of 16 lanes");
  return notes;
}

} // namespace quern
