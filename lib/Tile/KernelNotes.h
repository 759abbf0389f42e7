//===- KernelNotes.h - What a kernel is, in words ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The tile and the layouts that a kernel was built with, and why they are not
// better ones. Written where the choice is made, kept in the module's manifest,
// printed by `quern inspect --explain`.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_KERNELNOTES_H
#define QUERN_LIB_TILE_KERNELNOTES_H

#include "lib/Tile/Attention.h"
#include "lib/Tile/Gemm.h"

#include <map>
#include <string>
#include <vector>

namespace quern {

struct KernelNotes {
  /// Rows and columns that are in registers at once; those of variants, by
  /// the means of tk.variant.
  std::string tile;
  std::map<std::string, std::string> variantTiles;
  /// How the operands lie.
  std::string layout;
  /// Why this is not faster, in whatever is not the tier's.
  std::vector<std::string> reasons;
  /// With dot products of 512 bits and tiles that are full: the share of their
  /// peak that what multiplies beside them leaves; 0 where that is not known.
  double predicted = 0;
  /// Rows of such a tile.
  int64_t tileRows = 1;
};

/// What a product reads.
enum class GemmInput {
  Codes,
  /// 16-bit codes as two planes of bytes.
  Planes,
  /// Codes with the ranges of tokens.
  Tokens,
  Reals
};

/// Notes on a product; `groups` of its input are scaled one by one (1: none).
KernelNotes gemmNotes(const GemmShape &shape, GemmInput input,
                      int64_t groups = 1);

/// Notes on attention over codes, or in f32.
KernelNotes attentionNotes(const AttentionShape &shape, bool isReal);

/// Notes on a kernel that works row by row, with 16 columns at a time.
KernelNotes rowNotes(RowsOf rows, bool isReal);

} // namespace quern

#endif // QUERN_LIB_TILE_KERNELNOTES_H
