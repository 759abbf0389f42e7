//===- FixedAttentionRun.h - Attention without floats, run ------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The attention kernel in fixed-point numbers on every tier, beside the
// reference's rows.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TILE_FIXEDATTENTIONRUN_H
#define QUERN_TEST_LIB_TILE_FIXEDATTENTIONRUN_H

#include "test/lib/Tile/FixedReference.h"
#include "test/lib/Tile/KernelCall.h"

namespace quern::test {

/// Scores `s`, probabilities `p` and context, bit for bit; chunks in turn and
/// split among three.
inline void
expectOnAllTiers(const AttentionShape &shape, std::vector<uint8_t> qkv,
                 std::vector<int32_t> offsets, std::vector<int8_t> params,
                 const std::vector<uint8_t> &s, const std::vector<uint8_t> &p,
                 const std::vector<uint8_t> &expected) {
  const int64_t d = shape.heads * shape.headDim, tokens = offsets.back();
  const int64_t sequences = int64_t(offsets.size()) - 1;
  const size_t size = expected.size();
  int64_t chunks = sequences * shape.heads, longest = 0;
  for (int64_t i = 0; i < sequences; ++i)
    longest = std::max<int64_t>(longest, offsets[i + 1] - offsets[i]);
  for (Tier tier : withTiles(testTiers(), hasTileAttention(shape))) {
    SCOPED_TRACE(getTierName(tier).str());
    KernelCall kernel(tier, qattentionScratch(shape), [&](mlir::ModuleOp m) {
      buildQAttention(m, "kernel", shape);
    });
    std::vector<uint8_t> got(size), split(size), gotS(s.size()), gotP(p.size());
    amx::resetCounts();
    kernel.run({qkv.data(), offsets.data(), params.data(), got.data(),
                gotS.data(), gotP.data()},
               tokens, sequences, chunks, true);
    expectRows(gotS, s, 1, int64_t(s.size()), 0);
    expectRows(gotP, p, 1, int64_t(p.size()), 0);
    expectRows(got, expected, tokens, d, shape.contextStride);
    kernel.runSplit({qkv.data(), offsets.data(), params.data(), split.data(),
                     gotS.data(), gotP.data()},
                    tokens, sequences, chunks, false, 3);
    expectRows(split, expected, tokens, d, shape.contextStride);
    if (longest >= leastTileQueries(shape))
      expectTiles(tier);
  }
}

} // namespace quern::test

#endif // QUERN_TEST_LIB_TILE_FIXEDATTENTIONRUN_H
