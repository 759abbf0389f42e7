//===- Product.cpp - u8 x s8 products for CPUs without VNNI ---------------===//
//
// Generator of the inner part of a linear layer: sums of products of codes, in
// i32, exact. The algorithm is the first half of generate(), the schedule the
// second.
//
// Codes are widened to 16 bits and multiplied in pairs (pmaddwd). Sums of pairs
// of 8-bit products in 16 bits (pmaddubsw) would saturate; where they cannot,
// pair_product.c takes them.
//
// Weights lie as packGemmWeights of lib/Tile puts them: panels of 16 columns,
// in each, for every four k, 16 columns of four codes. A pair of bytes is taken
// as one number of 16 bits, from which shifts get the even and the odd one, so
// pairs are (k, k + 2) and (k + 1, k + 3).
//
//===----------------------------------------------------------------------===//
#include "Halide.h"

using namespace Halide;

namespace {

class Product : public Generator<Product> {
public:
  /// Pairs of codes of a row, rows.
  Input<Buffer<uint16_t>> x{"x", 2};
  /// 32 pairs of bytes, groups of four k, panels.
  Input<Buffer<int16_t>> w{"w", 3};
  /// 16 columns, panels, rows.
  Output<Buffer<int32_t>> out{"out", 3};

  /// Rows and columns of sums that stay in registers. Rows of x and out are
  /// rounded up to the first.
  GeneratorParam<int> tileRows{"tile_rows", 4};
  GeneratorParam<int> tileColumns{"tile_columns", 16};
  /// Groups of four k whose codes are widened at a time; divides all of them.
  GeneratorParam<int> blockTurns{"block_turns", 16};
  /// No call has more rows.
  GeneratorParam<int> mostRows{"most_rows", 32};

  void generate() {
    Var column("column"), row("row"), panel("panel");
    Var pair("pair"), odd("odd"), turn("turn"), lane("lane"), block("block");
    const int inBlock = blockTurns;
    Expr turns = w.dim(1).extent();

    Func wideX("wide_x"), wideW("wide_w"), part("part");
    Expr both = x(turn * 2 + pair, row);
    wideX(pair, odd, turn, row) =
        cast<int16_t>(select(odd == 0, both & 255, both >> 8));
    Expr bytes = w(lane, turn, panel);
    wideW(lane, odd, turn, panel) =
        select(odd == 0, bytes << cast<int16_t>(8), bytes) >> cast<int16_t>(8);

    RDom k(0, 2, 0, 2, 0, inBlock);
    Expr at = block * inBlock + k.z;
    part(column, panel, row, block) = 0;
    part(column, panel, row, block) +=
        cast<int32_t>(wideX(k.x, k.y, at, row)) *
        cast<int32_t>(wideW(2 * column + k.x, k.y, at, panel));
    RDom blocks(0, turns / inBlock);
    out(column, panel, row) = 0;
    out(column, panel, row) += part(column, panel, row, blocks);

    x.dim(0).set_min(0);
    x.dim(1).set_min(0);
    w.dim(0).set_bounds(0, 32);
    w.dim(1).set_min(0).set_stride(32);
    w.dim(2).set_min(0);
    out.dim(0).set_bounds(0, 16);
    out.dim(1).set_min(0).set_stride(16);
    out.dim(2).set_min(0);

    const int lanes = natural_vector_size<int32_t>();
    Var rowOut("row_out"), rowIn("row_in"), colOut("col_out"), colIn("col_in");
    out.bound(column, 0, 16).vectorize(column, lanes).unroll(column);
    out.update()
        .split(row, rowOut, rowIn, int(tileRows))
        .split(column, colOut, colIn, int(tileColumns))
        .reorder(colIn, rowIn, colOut, rowOut, panel, blocks)
        .vectorize(colIn, lanes)
        .unroll(colIn)
        .unroll(rowIn);
    part.compute_at(out, colOut)
        .bound_extent(column, int(tileColumns))
        .bound_extent(row, int(tileRows))
        .store_in(MemoryType::Register)
        .vectorize(column, lanes)
        .unroll(column)
        .unroll(row);
    part.update()
        .reorder(k.x, column, row, k.y, k.z)
        .atomic()
        .vectorize(column, lanes)
        .vectorize(k.x)
        .unroll(column)
        .unroll(row)
        .unroll(k.y);
    // Both lie on the stack and stay in the first cache.
    wideX.compute_at(out, blocks)
        .bound(pair, 0, 2)
        .bound(odd, 0, 2)
        .bound_storage(turn, inBlock)
        .bound_storage(row, int(mostRows))
        .store_in(MemoryType::Stack)
        .reorder_storage(pair, odd, turn, row)
        .reorder(odd, pair, turn, row)
        .vectorize(turn, lanes)
        .unroll(odd)
        .unroll(pair);
    wideW.compute_at(out, panel)
        .bound(lane, 0, 32)
        .bound(odd, 0, 2)
        .bound_storage(turn, inBlock)
        .store_in(MemoryType::Stack)
        .reorder_storage(lane, odd, turn, panel)
        .reorder(odd, lane, turn, panel)
        .vectorize(lane, lanes * 2)
        .unroll(lane)
        .unroll(odd);
  }
};

} // namespace

HALIDE_REGISTER_GENERATOR(Product, product)
