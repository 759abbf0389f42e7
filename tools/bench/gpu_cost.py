#!/usr/bin/env python3
"""What a BERT encoder should take on GPUs that were not measured: arithmetic.

For every kernel of lib/Target/NVPTX the slowest of: multiply-adds on tensor
cores, bytes through shared memory, bytes of tiles out of the L2 cache, bytes of
the device's memory. A product is done by whole blocks, so the busiest
multiprocessor counts. Numbers of cards are public ones; EFFICIENCY is what is
left of a peak in the one product of each family that was measured and published,
COPY the same of memory. All layers count as if all rows were read: a classifier's
last one has less to do.

  tools/bench/gpu_cost.py [--batch 128 --tokens 128] [--hidden 768 --layers 12]
"""
import argparse
import math
from dataclasses import dataclass

# CUTLASS int8 on an A100: 460 to 507 of 624 TOP/s, with mma.sync as here.
EFFICIENCY = 0.775
# cuBLAS on an H100 in FP8, which has the peak of int8: 1296 of 1979 TOP/s.
WGMMA_EFFICIENCY = 0.655
L2_BYTES = 5120  # a clock of the whole cache: A100's, taken for H100's
L2_PORT = 64  # a clock, of one multiprocessor
SHARED_BYTES = 128  # a clock and multiprocessor, reads and writes together
COPY = 0.896  # an H100 copied 3.0 of 3.35 TB/s
LAUNCH = 2.3e-6  # from one kernel to the next, in a stream or graph
# Kernels of a layer, and of a classifier beside them: embeddings, the last
# layer's first rows and their queries, pooler, classifier, its codes as numbers.
LAYER_KERNELS, OTHER_KERNELS = 7, 6


@dataclass
class Card:
    name: str
    sms: int
    ghz: float
    macs: float  # of mma.sync, a clock and multiprocessor
    bandwidth: float
    wgmma: float = 0  # the same of wgmma, where there is such


CARDS = [
    Card("A100 80GB", 108, 1.41, 2048, 2.04e12),
    # mma.sync reaches 62 to 65 % of wgmma's 4096.
    Card("H100 SXM", 132, 1.83, 0.635 * 4096, 3.35e12, 4096),
    # Taken for Ampere's rate, which old instructions fall to there.
    Card("B200", 148, 1.85, 2048, 8.0e12),
]


@dataclass
class Tile:
    m: int
    n: int
    warp_m: int
    warp_n: int
    wgmma: bool = False  # 64 rows to a warpgroup, whose warps share W

    def __str__(self):
        return f"{self.m}x{self.n}" + (" wgmma" if self.wgmma else "")


SMALL, LARGE = Tile(64, 64, 32, 32), Tile(128, 128, 64, 64)
WARPGROUPS = [Tile(64, 64, 64, 64, True), Tile(128, 192, 64, 192, True)]


def tile_rate(card, tile, blocks):
    """Multiply-adds a clock of one multiprocessor: by its tensor cores, by the
    bytes that copies write and warps (or warpgroups) read in each step of 64, or
    by those that the L2 cache has for each of so many blocks."""
    warps = tile.m // tile.warp_m * (tile.n // tile.warp_n)
    written = (tile.m + tile.n) * 64
    read = warps * (tile.warp_m + tile.warp_n) * 64
    shared = tile.m * tile.n * 64 / ((written + read) / SHARED_BYTES)
    port = min(L2_PORT, L2_BYTES / min(blocks, card.sms))
    cache = tile.m * tile.n * 64 / (written / port)
    peak = (card.wgmma * WGMMA_EFFICIENCY if tile.wgmma
            else card.macs * EFFICIENCY)
    return min(peak, shared, cache)


def product(card, tile, m, n, k, out_bytes=1):
    blocks = math.ceil(m / tile.m) * math.ceil(n / tile.n)
    each = tile.m * tile.n * math.ceil(k / 64) * 64
    clocks = math.ceil(blocks / card.sms) * each / tile_rate(card, tile, blocks)
    moved = m * k + n * k + m * n * out_bytes
    return max(clocks / (card.ghz * 1e9), moved / (COPY * card.bandwidth))


def attention(card, sequences, tokens, heads, dim):
    """Scores, and the context; a score is looked at three times, by about 12
    instructions of 128 lanes a clock."""
    blocks = sequences * heads * math.ceil(tokens / 64)
    macs = 2 * 64 * tokens * dim
    clocks = macs / (card.macs * EFFICIENCY) + 64 * tokens * 36 / 128
    moved = sequences * tokens * heads * dim * 4
    busy = math.ceil(blocks / card.sms) * clocks / (card.ghz * 1e9)
    return max(busy, moved / (COPY * card.bandwidth))


def rows(card, m, d, passes):
    return m * d * passes / (COPY * card.bandwidth)


def encoder(card, tile, batch, tokens, hidden, layers):
    m = batch * tokens
    parts = {
        "products": product(card, tile, m, 3 * hidden, hidden)
        + product(card, tile, m, hidden, hidden)
        + product(card, tile, m, 4 * hidden, hidden)
        + product(card, tile, m, hidden, 4 * hidden),
        "attention": attention(card, batch, tokens, hidden // 64, 64),
        "LayerNorm": 2 * rows(card, m, hidden, 3),
        "launches": LAYER_KERNELS * LAUNCH,
    }
    parts = {name: layers * time for name, time in parts.items()}
    parts["launches"] += OTHER_KERNELS * LAUNCH
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8, 128])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    args = parser.parse_args()
    print("| card | tile | share of peak at 8192 x 8192 x 8192 | " +
          " | ".join(f"{b} x {args.tokens}: products, attention, LayerNorm, "
                     "launches = ms" for b in args.batch) + " |")
    print("|---" * (3 + len(args.batch)) + "|")
    for card in CARDS:
        for tile in [SMALL, LARGE] + (WARPGROUPS if card.wgmma else []):
            seconds = product(card, tile, 8192, 8192, 8192, 1)
            macs, name = ((card.wgmma, "wgmma") if tile.wgmma
                          else (card.macs, "mma.sync"))
            peak = card.sms * card.ghz * 1e9 * macs
            row = [card.name, str(tile),
                   f"{100 * 8192**3 / seconds / peak:.0f} % of {name}, "
                   f"{2e-12 * 8192**3 / seconds:.0f} TOP/s"]
            for batch in args.batch:
                parts = encoder(card, tile, batch, args.tokens, args.hidden,
                                args.layers)
                text = " + ".join(f"{1e3 * t:.2f}" for t in parts.values())
                row.append(f"{text} = {1e3 * sum(parts.values()):.2f}")
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
