//===- GemmGroup.cpp - Kernel of linear layers of grouped codes -----------===//
//
// The tiles and the inner loop are those of the u8 kernel. At the end of a
// group the integer accumulators, 24 with tiles of 8 x 48, are scaled and added
// to f32 sums in scratch memory, which leaves all registers to the next group.
// GemmGroupTiles.cpp has a form for tile registers.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroup.h"

#include "lib/Tile/GemmEpilogue.h"
#include "lib/Tile/GemmGroupTiles.h"
#include "lib/Tile/GemmUnpack.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cassert>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

int64_t getTotalGroupSteps(const GroupGemmShape &shape) {
  int64_t total = 0;
  for (GroupSteps steps : getGroupSteps(shape))
    total += steps.count;
  return total;
}

static int64_t vectorsOf(const GroupGemmShape &shape) {
  return shape.gemm.tuning.rows * getGemmPanels(shape.gemm).width;
}

/// True if a tile is finished while the next one is multiplied, a vector in
/// each of the first turns.
static bool isLate(const GroupGemmShape &shape) {
  return hasLateEpilogue(shape.gemm) &&
         getTotalGroupSteps(shape) >= vectorsOf(shape) * kGemmUnroll;
}

/// Scratch bytes of the tile that waits and of the f32 sums.
static int64_t sumsBytes(const GroupGemmShape &shape) {
  int64_t vectors = vectorsOf(shape);
  int64_t waiting = isLate(shape) ? lateEpilogueBytes(vectors) : 0;
  return waiting + vectors * 64;
}

std::vector<GroupSteps> getGroupSteps(const GroupGemmShape &shape) {
  std::vector<GroupSteps> all;
  int64_t begin = 0, columns = llvm::alignTo(shape.gemm.k, 4);
  for (int64_t end : shape.ends) {
    int64_t first = begin / 4 * 4;
    int64_t count =
        llvm::alignTo(llvm::divideCeil(end - first, 4), kGemmUnroll);
    // The turns of the last groups must not run over the end of x.
    first = std::max<int64_t>(0, std::min(first, columns - 4 * count));
    all.push_back({int32_t(first), int32_t(count)});
    begin = end;
  }
  return all;
}

std::string getGroupGemmName(const GroupGemmShape &shape) {
  return getGemmName(shape.gemm) + "_groups" + std::to_string(shape.groups()) +
         "_steps" + std::to_string(getTotalGroupSteps(shape));
}

int64_t packedGroupGemmBytes(const GroupGemmShape &shape) {
  return packedGemmBytes(shape.gemm.n, getTotalGroupSteps(shape) * 4,
                         shape.gemm.weightBits);
}

void packGroupGemmWeights(const int8_t *w, const GroupGemmShape &shape,
                          int8_t *packed) {
  // The columns in the order in which the kernel meets them.
  int64_t k = shape.gemm.k, n = shape.gemm.n,
          width = getTotalGroupSteps(shape) * 4;
  std::vector<int8_t> met(size_t(n * width), 0);
  int64_t begin = 0, at = 0;
  for (auto [g, steps] : llvm::enumerate(getGroupSteps(shape))) {
    for (int64_t i = 0; i < n; ++i)
      std::copy(w + i * k + begin, w + i * k + shape.ends[g],
                met.data() + i * width + at + begin - steps.column);
    begin = shape.ends[g];
    at += steps.count * 4;
  }
  packGemmWeights(met.data(), n, width, packed, shape.gemm.weightBits);
}

namespace {

/// Emits register tiles.
class GroupTiles {
public:
  GroupTiles(KernelBuilder &k, const GroupGemmShape &shape,
             const GemmStream &stream)
      : k(k), shape(shape), gemm(shape.gemm), stream(stream),
        inputs{k.buffer(0), gemm.xStride, k.buffer(1), gemm.weightBits,
               /*unpackedAt=*/sumsBytes(shape)},
        steps(k.buffer(2)), correction(k.buffer(3)), multiplier(k.buffer(4)),
        padded(llvm::alignTo(gemm.n, 16)),
        sumsAt(isLate(shape) ? lateEpilogueBytes(vectorsOf(shape)) : 0),
        epilogue(k, gemm, resultOperands(k, gemm, 4), GemmSums::Scaled,
                 gemm.tuning.rows, isLate(shape)) {}

  void emitAll() {
    epilogue.start();
    forEachTile(
        k, gemm, stream, [&](const GemmTile &tile) { emit(tile); }, &inputs);
    epilogue.end();
  }

private:
  /// What has been summed of a group, and where the next one goes on.
  struct Group {
    Values sums;
    /// First of its constants of the tile's columns.
    Value constants;
    /// Turns of the inner loop up to its end.
    Value turns;
  };

  void emit(const GemmTile &tile) {
    int64_t groups = shape.groups();
    Value turns = k.index(0);
    if (groups > 1) {
      Group first = multiply(tile, k.index(0), turns);
      forEachVector(tile, [&](int64_t i, int64_t j) {
        store(i, j, part(tile, first, i, j));
      });
      turns = k.loop(k.index(1), k.index(groups - 1), 1, Values{first.turns},
                     [&](Value g, ArrayRef<Value> done) {
                       Group group = multiply(tile, g, done[0]);
                       forEachVector(tile, [&](int64_t i, int64_t j) {
                         Value sum = load(i, j);
                         store(i, j, k.add(sum, part(tile, group, i, j)));
                       });
                       return Values{group.turns};
                     })[0];
    }
    Group last = multiply(tile, k.index(groups - 1), turns);
    epilogue.finish(tile, [&](int64_t i, int64_t j) {
      Value v = part(tile, last, i, j);
      return groups > 1 ? k.add(load(i, j), v) : v;
    });
  }

  /// The products of group `g`, before which `done` turns went.
  Group multiply(const GemmTile &tile, Value g, Value done) {
    Value column = k.toIndex(k.load(steps, k.mul(g, 2)));
    Value count = k.toIndex(k.load(steps, k.add(k.mul(g, 2), 1)));
    Group group;
    group.constants = k.add(k.mul(g, padded), k.mul(tile.panel, 16));
    group.turns = k.add(done, k.div(count, k.index(kGemmUnroll)));
    for (int64_t i = 0; i < tile.rows; ++i)
      for (int64_t j = 0; j < tile.width; ++j)
        group.sums.push_back(
            i ? group.sums[j]
              : k.loadVector(correction, k.add(group.constants, j * 16)));
    // Turn t of all reads x where turn t - done of the group does.
    Value start = k.add(k.mul(tile.row, gemm.xStride), column);
    start = k.sub(start, k.mul(done, 4 * kGemmUnroll));
    if (epilogue.late()) {
      // What the turns of earlier groups have left of the tile that waits.
      Value shared = k.min(group.turns, k.index(epilogue.vectors()));
      GemmEpilogue::Pending pending = epilogue.loadPending();
      group.sums = multiplyTurns(
          k, stream, tile, inputs, start, group.sums, done, shared,
          [&](Value turn) { epilogue.finishOne(pending, turn); });
      done = k.maxUnsigned(done, shared);
    }
    group.sums = multiplyTurns(k, stream, tile, inputs, start, group.sums, done,
                               group.turns, [](Value) {});
    return group;
  }

  void forEachVector(const GemmTile &tile,
                     function_ref<void(int64_t, int64_t)> body) {
    for (int64_t j = 0; j < tile.width; ++j)
      for (int64_t i = 0; i < tile.rows; ++i)
        body(i, j);
  }

  /// The scaled sum of a group at row i, panel j.
  Value part(const GemmTile &tile, const Group &group, int64_t i, int64_t j) {
    return k.mul(k.toFloat(group.sums[i * tile.width + j], k.f32()),
                 k.loadVector(multiplier, k.add(group.constants, j * 16)));
  }

  Value placeOf(int64_t i, int64_t j) {
    return k.index(sumsAt + (j * gemm.tuning.rows + i) * 64);
  }
  Value load(int64_t i, int64_t j) {
    return k.loadBytes(k.scratch(), placeOf(i, j), 16, k.f32());
  }
  void store(int64_t i, int64_t j, Value v) {
    k.storeBytes(v, k.scratch(), placeOf(i, j));
  }

  KernelBuilder &k;
  const GroupGemmShape &shape;
  const GemmShape &gemm;
  GemmStream stream;
  GemmInputs inputs;
  Value steps, correction, multiplier;
  int64_t padded;
  /// First byte of the f32 sums in scratch memory.
  int64_t sumsAt;
  GemmEpilogue epilogue;
};

} // namespace

static GemmStream streamOf(const GroupGemmShape &shape) {
  int64_t steps = getTotalGroupSteps(shape);
  return {/*lineElements=*/64,
          packedGemmBytes(16, steps * 4, shape.gemm.weightBits),
          steps / kGemmUnroll,
          shape.gemm.smallTile ? 0 : shape.gemm.tuning.ahead,
          shape.gemm.tuning.aheadCache};
}

int64_t getGroupGemmScratchBytes(const GroupGemmShape &shape) {
  return std::max(sumsBytes(shape) + unpackedBytes(shape.gemm, streamOf(shape)),
                  getGroupTilesScratchBytes(shape));
}

/// Products by dot4.
static void emitGroupGemm(KernelBuilder &k, const GroupGemmShape &shape) {
  GroupTiles(k, shape, streamOf(shape)).emitAll();
}

func::FuncOp buildGroupGemm(ModuleOp module, StringRef name,
                            const GroupGemmShape &shape) {
  const GemmShape &gemm = shape.gemm;
  assert(!shape.ends.empty() && shape.ends.back() == gemm.k &&
         "the groups cover the columns");
  assert(gemm.xStride >= (gemm.k + 63) / 64 * 64 && "rows are read in blocks");
  Builder b(module.getContext());
  SmallVector<Type> elements = {b.getI8Type(), b.getI8Type(), b.getI32Type(),
                                b.getI32Type()};
  addResultElements(b, gemm, elements);
  KernelBuilder k(module, name, elements);
  emitGroupGemm(k, shape);
  func::FuncOp kernel = k.finish();
  if (gemm.smallTile)
    return kernel;
  addSmallVariant(module, name, gemm,
                  [&](ModuleOp to, StringRef small, const GemmShape &tile) {
                    GroupGemmShape groups = shape;
                    groups.gemm = tile;
                    return buildGroupGemm(to, small, groups);
                  });
  if (hasGroupTiles(shape))
    buildGroupTiles(module, name, shape, elements,
                    [&](KernelBuilder &few) { emitGroupGemm(few, shape); });
  return kernel;
}

} // namespace quern
