//===- GemmGroupTiles.cpp - Grouped codes by tile registers ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// As GemmTiles.cpp, with sums of tile registers for each group, which reach the
// vector unit through memory. There they are scaled and added to f32 sums in
// scratch memory while the next group is multiplied, those of the last group of
// a block with the first group of the next block. Then follows the epilogue. A
// piece of each comes with each tile operation, so that they hide behind them.
//
// Groups begin and end anywhere, and their places are data: one kernel serves
// all layers. So the rows of a block are copied, a tile for each step of each
// group, with zeros where a step holds columns of other groups.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroupTiles.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmTileWalk.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Vectors that are worked on together; they share a column.
static constexpr int64_t kTogether = 2;
/// Such pieces of a block, the first column's first.
static constexpr int64_t kPieces = kTileBlock * kTileBlock / 16 / kTogether;
static constexpr int64_t kPieceBytes = kTogether * 64;

/// Scratch memory: the integer sums of two groups in turn, the f32 sums of a
/// block and of the one that waits, and rows. Nearly all of the nearest cache.
static constexpr int64_t kSumsAt = 2 * kTileBlockBytes;
static constexpr int64_t kPendingAt = kSumsAt + 2 * kTileBlockBytes;
static constexpr int64_t kRowsAt = kPendingAt + kTilePendingBytes;
/// Tile operations of a step, and pieces of the epilogue that come with it.
static constexpr int64_t kTileOps = 8, kStepPieces = 2;
/// Bytes of the rows of a step.
static constexpr int64_t kStepBytes = kTileBlock * kTileStep;
/// Steps of four columns in one of a tile.
static constexpr int64_t kFours = kTileStep / 4;
/// Steps of a group whose sums stay in tile registers, and which take the group
/// before to the f32 sums.
static constexpr int64_t kRunSteps = 4;

/// Steps of the weights of all groups, one after another.
static int64_t stepsOf(const GroupGemmShape &shape) {
  return llvm::divideCeil(getTotalGroupSteps(shape), kFours);
}
/// Where the corrections of a block lie, and unpacked weights. Each group may
/// have a step more than its share.
static int64_t correctionsAt(const GroupGemmShape &shape) {
  return kRowsAt + (stepsOf(shape) + shape.groups()) * kStepBytes;
}
static int64_t unpackedAt(const GroupGemmShape &shape) {
  return correctionsAt(shape) + shape.groups() * 2 * 64;
}

bool hasGroupTiles(const GroupGemmShape &shape) {
  return mayHaveTiles(shape.gemm) && shape.groups() <= stepsOf(shape);
}

int64_t getGroupTilesScratchBytes(const GroupGemmShape &shape) {
  if (!hasGroupTiles(shape))
    return 0;
  return unpackedAt(shape) +
         TileWalkSizes(shape.gemm, stepsOf(shape)).unpackedBytes;
}

namespace {

using Block = TileWalk::Block;
using Group = TileWalk::Group;

class GroupTileGemm {
public:
  GroupTileGemm(KernelBuilder &k, const GroupGemmShape &shape)
      : k(k), gemm(shape.gemm), groups(shape.groups()), steps(stepsOf(shape)),
        columns(TileWalkSizes(gemm, steps).panels * 16),
        correctionsAt(quern::correctionsAt(shape)), multiplier(k.buffer(4)),
        epilogue(k, gemm, resultOperands(k, gemm, 4), GemmSums::Scaled,
                 kTileBlock, /*late=*/false),
        walk(k, gemm, steps, kPendingAt, unpackedAt(shape)) {}

  void build() {
    // Where a block begins; from then on who reads its sums clears them.
    k.loop(k.index(0), k.index(2 * kTileBlockBytes), 64, [&](Value at) {
      k.storeBytes(noSums(), k.scratch(), k.add(at, kSumsAt));
    });
    walk.run(
        k.index(kSumsAt),
        [&](const Group &group, Value number) {
          copyRows(k.add(group.firstRow, k.mul(number, kTileBlock)));
          k.loop(group.first, group.last, 2,
                 [&](Value panel) { block(group, number, panel); });
        },
        [&] {
          TileWalk::Pending pending = walk.loadPending();
          Flush flush =
              flushOf(k.index(0), pending.slot, pending, pending.column);
          for (int64_t piece = 0; piece < kPieces; ++piece)
            flushOne(flush, piece);
          finishFrom(k.index(0), pending);
        });
  }

private:
  /// A group of columns: its number, its first column of x, how many steps of
  /// four columns are its own and go before, and the same in steps of tiles.
  struct Columns {
    Value number, first, fours, foursBefore, steps, stepsBefore;
  };
  /// The steps of tiles of all groups.
  Value forEachColumns(function_ref<void(const Columns &)> body);
  /// Where the weights of a step begin, in steps of four columns: a step may
  /// not run over the end of a panel.
  Value foursAt(const Columns &of, Value step) {
    Value at = k.add(of.foursBefore, k.mul(step, kFours));
    return k.min(at, k.index((steps - 1) * kFours));
  }
  void copyRows(Value firstRow);

  void copyCorrections(Value column);
  void block(const Group &group, Value number, Value panel);
  /// The sums of a group on their way to the f32 sums: where both lie, and the
  /// first of its multipliers.
  struct Flush {
    Value from, to, multiplier;
  };
  /// What is flushed during group `g` of a block whose sums lie at `slot`: the
  /// group before, which may be the last one of the block that waits.
  Flush flushOf(Value g, Value slot, const TileWalk::Pending &pending,
                Value column);
  void flushOne(const Flush &flush, int64_t piece);

  struct Run {
    const Group &group;
    const Block &block;
    const TileWalk::Pending &pending;
    const Columns &of;
  };
  void run(const Run &in, Value first, int64_t count, bool more);
  void finish(const TileWalk::Pending &pending, Value piece);
  void finishFrom(Value piece, const TileWalk::Pending &pending) {
    k.loop(piece, k.index(kPieces), 1, [&](Value i) { finish(pending, i); });
  }

  /// Where the integer sums of group `g` lie; groups take turns, also from one
  /// block to the next.
  Value slotOf(Value blockSlot, Value g) {
    Value other = k.select(k.equal(blockSlot, k.index(kSumsAt)),
                           k.index(groups % 2), k.index(0));
    return k.mul(k.rem(k.add(g, other), k.index(2)), kTileBlockBytes);
  }
  /// f32 sums of no groups: x + -0 is x for all x.
  Value noSums() { return k.splat(k.vec(16, k.f32()), -0.0); }

  KernelBuilder &k;
  const GemmShape &gemm;
  int64_t groups, steps, columns, correctionsAt;
  Value multiplier;
  GemmEpilogue epilogue;
  TileWalk walk;
};

} // namespace

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Value GroupTileGemm::forEachColumns(function_ref<void(const Columns &)> body) {
  return k.loop(
      k.index(0), k.index(groups), 1, Values{k.index(0), k.index(0)},
      [&](Value g, ArrayRef<Value> before) {
        Value at = k.mul(g, 2);
        Columns of;
        of.number = g;
        of.first = k.toIndex(k.load(k.buffer(2), at));
        of.fours = k.toIndex(k.load(k.buffer(2), k.add(at, 1)));
        of.steps = k.div(k.add(of.fours, kFours - 1), k.index(kFours));
        of.foursBefore = before[0];
        of.stepsBefore = before[1];
        body(of);
        return Values{k.add(before[0], of.fours), k.add(before[1], of.steps)};
      })[1];
}

void GroupTileGemm::copyRows(Value firstRow) {
  Value zeros = k.zeros(k.vec(64, k.i8()));
  forEachColumns([&](const Columns &of) {
    k.loop(k.index(0), of.steps, 1, [&](Value step) {
      Value left = k.sub(of.fours, k.mul(step, kFours));
      Value bytes = k.mul(k.min(left, k.index(kFours)), 4);
      Value start = k.add(of.foursBefore, k.mul(step, kFours));
      Value skip = k.mul(k.sub(start, foursAt(of, step)), 4);
      // What is loaded may not run over the end of a row.
      Value column = k.add(of.first, k.mul(step, kTileStep));
      Value from = k.min(column, k.index(gemm.xStride - kTileStep));
      Value late = k.sub(column, from);
      Value mask = k.bitXor(k.mask(k.add(late, bytes), 64), k.mask(late, 64));
      Value place = k.mul(k.add(of.stepsBefore, step), kStepBytes);
      place = k.add(place, kRowsAt);
      k.loop(k.index(0), k.index(kTileBlock), 1, [&](Value row) {
        Value to = k.add(place, k.mul(row, kTileStep));
        Value x = k.add(k.mul(k.add(firstRow, row), gemm.xStride), from);
        k.storeVector(zeros, k.scratch(), to);
        k.storeMasked(k.loadVector(k.buffer(0), x, 64), k.scratch(),
                      k.sub(k.add(to, skip), late), mask);
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void GroupTileGemm::copyCorrections(Value column) {
  k.loop(k.index(0), k.index(groups), 1, [&](Value g) {
    for (int64_t j = 0; j < 2; ++j) {
      Value from = k.add(k.add(k.mul(g, columns), column), 16 * j);
      k.storeBytes(k.loadVector(k.buffer(3), from), k.scratch(),
                   k.add(k.mul(g, 2 * 64), correctionsAt + 64 * j));
    }
  });
}

void GroupTileGemm::block(const Group &group, Value number, Value panel) {
  TileWalk::Pending pending = walk.loadPending();
  // Sums take turns with those of the block that waits.
  Value slot = k.sub(k.index(2 * kSumsAt + kTileBlockBytes), pending.slot);
  Block block = walk.blockAt(group, number, panel, slot);
  copyCorrections(k.mul(block.panel, 16));
  Value all = forEachColumns([&](const Columns &of) {
    Run in = {group, block, pending, of};
    for (int64_t count = 1; count < kRunSteps; ++count)
      k.ifThen(k.equal(of.steps, k.index(count)),
               [&] { run(in, k.index(0), count, false); });
    k.ifThen(k.less(k.index(kRunSteps - 1), of.steps), [&] {
      run(in, k.index(0), kRunSteps, false);
      k.loop(k.index(kRunSteps), of.steps, 1,
             [&](Value step) { run(in, step, 1, true); });
    });
  });
  Value finished = k.mul(all, kStepPieces);
  finishFrom(k.min(finished, k.index(kPieces)), pending);
  walk.keep(block);
}

/// `count` steps of a group from step `first` on; with `more`, the sums of the
/// steps before are taken from memory, and the group before has been flushed.
void GroupTileGemm::run(const Run &in, Value first, int64_t count, bool more) {
  Value slot = slotOf(in.block.slot, in.of.number);
  Value column = k.mul(in.block.panel, 16);
  Flush flush = flushOf(in.of.number, in.block.slot, in.pending, column);
  int64_t done = 0, all = count * kTileOps;
  // What comes with a tile operation. The epilogue of a piece follows its last
  // flush.
  auto doSome = [&](Value place) {
    for (int64_t piece = kPieces * done / all;
         !more && piece < kPieces * (done + 1) / all; ++piece)
      flushOne(flush, piece);
    int64_t op = done++ % kTileOps, every = kTileOps / kStepPieces;
    if (op % every != every - 1)
      return;
    Value piece = k.add(k.mul(place, kStepPieces), op / every);
    k.ifThen(k.less(piece, k.index(kPieces)),
             [&] { finish(in.pending, piece); });
  };
  auto sumsAt = [&](int64_t i, int64_t j) {
    return k.add(slot, (j * kTileBlock + i * kTileSide) * 64);
  };
  auto begin = [&](int64_t i, int64_t j) {
    if (more)
      return k.tileLoadSums(k.scratch(), sumsAt(i, j), 64);
    Value corrections =
        k.add(k.mul(in.of.number, 2 * 64), correctionsAt + 64 * j);
    return k.tileLoadSums(k.scratch(), corrections, /*stride=*/0);
  };
  Value sums[2][2];
  for (int64_t step = 0; step < count; ++step) {
    Value now = k.add(first, step), place = k.add(in.of.stepsBefore, now);
    Value x = k.add(k.mul(place, kStepBytes), kRowsAt);
    Value w = k.mul(foursAt(in.of, now), 64);
    auto rowsAt = [&](int64_t i) {
      Value tile = k.tileLoad(k.scratch(), k.add(x, i * kTileBytes), kTileStep);
      doSome(place);
      return tile;
    };
    auto weightsAt = [&](int64_t j) {
      Value tile = walk.weights(in.group, in.block, j, w);
      doSome(place);
      return tile;
    };
    auto multiply = [&](int64_t i, int64_t j, Value a, Value b) {
      if (step == 0)
        sums[i][j] = begin(i, j);
      sums[i][j] = k.tileDot(sums[i][j], a, b);
      doSome(place);
    };
    auto end = [&](int64_t i, int64_t j) {
      if (step + 1 == count)
        k.tileStore(sums[i][j], k.scratch(), sumsAt(i, j), 64);
    };
    Value a0 = rowsAt(0), b0 = weightsAt(0);
    multiply(0, 0, a0, b0);
    Value b1 = weightsAt(1);
    multiply(0, 1, a0, b1);
    end(0, 0);
    Value a1 = rowsAt(1);
    multiply(1, 0, a1, b0);
    end(0, 1);
    multiply(1, 1, a1, b1);
    end(1, 0);
    end(1, 1);
    walk.prefetch(in.block, place);
  }
}

//===----------------------------------------------------------------------===//
// What follows
//===----------------------------------------------------------------------===//

GroupTileGemm::Flush GroupTileGemm::flushOf(Value g, Value slot,
                                            const TileWalk::Pending &pending,
                                            Value column) {
  Value isFirst = k.equal(g, k.index(0));
  Value before = k.sub(k.select(isFirst, k.index(groups), g), k.index(1));
  Flush flush;
  flush.to = k.select(isFirst, pending.slot, slot);
  flush.from = slotOf(flush.to, before);
  flush.multiplier =
      k.add(k.mul(before, columns), k.select(isFirst, pending.column, column));
  return flush;
}

void GroupTileGemm::flushOne(const Flush &flush, int64_t piece) {
  int64_t j = piece * kTogether / kTileBlock;
  Value scale = k.loadVector(multiplier, k.add(flush.multiplier, 16 * j));
  for (int64_t i = 0; i < kTogether; ++i) {
    int64_t at = piece * kPieceBytes + i * 64;
    Value sums = k.loadBytes(k.scratch(), k.add(flush.from, at), 16, k.i32());
    Value v = k.mul(k.toFloat(sums, k.f32()), scale), to = k.add(flush.to, at);
    v = k.add(k.loadBytes(k.scratch(), to, 16, k.f32()), v);
    k.storeBytes(v, k.scratch(), to);
  }
}

void GroupTileGemm::finish(const TileWalk::Pending &pending, Value piece) {
  Value half = k.index(kPieces / 2), j = k.div(piece, half);
  Value column = k.add(pending.column, k.mul(j, 16));
  Values sums;
  for (int64_t i = 0; i < kTogether; ++i) {
    Value at = k.add(k.add(pending.slot, i * 64), k.mul(piece, kPieceBytes));
    sums.push_back(k.loadBytes(k.scratch(), at, 16, k.f32()));
    k.storeBytes(noSums(), k.scratch(), at);
  }
  epilogue.convert(sums, epilogue.constantsAt(column));
  Value row = k.mul(k.rem(piece, half), kTogether);
  Value at = k.add(k.add(pending.at, k.mul(j, 16)), k.mul(row, gemm.outStride));
  for (int64_t i = 0; i < kTogether; ++i)
    epilogue.store(sums[i], k.add(at, i * gemm.outStride));
}

func::FuncOp buildGroupTiles(ModuleOp module, StringRef name,
                             const GroupGemmShape &shape,
                             ArrayRef<Type> elements,
                             function_ref<void(KernelBuilder &)> few) {
  return buildTileVariant(
      module, name, shape.gemm, elements, few,
      [&](KernelBuilder &k) { GroupTileGemm(k, shape).build(); });
}

} // namespace quern
