//===- GemmGroup.cpp - Kernel of linear layers of grouped codes -----------===//
//
// Tiles of 4 rows times up to 3 panels: twelve integer and twelve float
// accumulators, three weights and one broadcast in 32 registers. The float
// ones take a group's sums at its end, so the integer ones stay exact.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroup.h"
#include "lib/Tile/GemmParts.h"

#include <algorithm>
#include <cassert>
#include <cstring>

using namespace mlir;

namespace quern {

using Values = KernelBuilder::Values;

/// Rows of a register tile.
static constexpr int64_t kRows = 4;

static int64_t totalSteps(const GroupGemmShape &shape) {
  int64_t total = 0;
  for (GroupSteps steps : getGroupSteps(shape))
    total += steps.count;
  return total;
}

/// Steps that one turn of the inner loop does.
static int64_t unrollOf(const GroupGemmShape &shape) {
  int64_t unroll = 4;
  for (GroupSteps steps : getGroupSteps(shape))
    while (steps.count % unroll)
      unroll /= 2;
  return unroll;
}

std::vector<GroupSteps> getGroupSteps(const GroupGemmShape &shape) {
  std::vector<GroupSteps> all;
  int64_t begin = 0;
  for (int64_t end : shape.ends) {
    int64_t first = begin / 4, last = (end + 3) / 4;
    all.push_back({int32_t(first * 4), int32_t(last - first)});
    begin = end;
  }
  return all;
}

std::string getGroupGemmName(const GroupGemmShape &shape) {
  return getGemmName(shape.gemm) + "_groups" + std::to_string(shape.groups()) +
         "_steps" + std::to_string(totalSteps(shape)) + "by" +
         std::to_string(unrollOf(shape));
}

int64_t packedGroupGemmBytes(const GroupGemmShape &shape) {
  return (shape.gemm.n + 15) / 16 * totalSteps(shape) * 64;
}

void packGroupGemmWeights(const int8_t *w, const GroupGemmShape &shape,
                          int8_t *packed) {
  std::memset(packed, 0, size_t(packedGroupGemmBytes(shape)));
  int64_t panel = totalSteps(shape) * 64, k = shape.gemm.k, begin = 0, at = 0;
  for (auto [g, steps] : llvm::enumerate(getGroupSteps(shape))) {
    for (int64_t j = begin; j < shape.ends[g]; ++j)
      for (int64_t i = 0; i < shape.gemm.n; ++i)
        packed[i / 16 * panel + at + (j - steps.column) / 4 * 64 + i % 16 * 4 +
               j % 4] = w[i * k + j];
    begin = shape.ends[g];
    at += steps.count * 64;
  }
}

namespace {

struct Operands {
  Value x, w, steps, correction, multiplier, offset, post, y;
};

/// A register tile: `kRows` rows from `row`.
struct Tile {
  Value row, panel;
  int64_t width;
};

/// Emits register tiles. As in Gemm.cpp, a long epilogue runs during the next
/// tile: the sums of a tile wait in scratch memory, and each group of the next
/// tile first finishes a few vectors of them, between whose instructions the
/// dot products of the group go.
class GroupTiles {
public:
  GroupTiles(KernelBuilder &k, const GroupGemmShape &shape,
             const GemmStream &stream, const Operands &operands)
      : k(k), shape(shape), gemm(shape.gemm), stream(stream),
        operands(operands), width(getGemmPanels(gemm).width),
        padded((gemm.n + 15) / 16 * 16), unroll(unrollOf(shape)) {
    late = getGroupGemmScratchBytes(shape) != 0;
  }

  void start() {
    if (!late)
      return;
    GemmChunks chunks = getGemmChunks(gemm);
    GemmPanels panels = getGemmPanels(gemm);
    Value columns = k.index(chunks.multiply);
    Tile first;
    first.row = k.mul(k.div(k.begin(), columns), gemm.rowsPerChunk);
    first.panel =
        k.mul(k.rem(k.begin(), columns), panels.perChunk * panels.width);
    storePending(first);
  }

  void emit(const GemmTile &whole) {
    for (int64_t row = 0; row < whole.rows; row += kRows) {
      Tile tile{k.add(whole.row, row), whole.panel, whole.width};
      Values sums = multiply(tile, row == 0 ? &whole : nullptr);
      if (late) {
        for (auto [i, v] : llvm::enumerate(sums))
          k.storeBytes(v, k.scratch(), k.index(int64_t(i) * 64));
        storePending(tile);
        continue;
      }
      for (int64_t j = 0; j < tile.width; ++j) {
        Value column = k.add(k.mul(tile.panel, 16), j * 16);
        Value offset = k.loadVector(operands.offset, column);
        Values group;
        for (int64_t i = 0; i < kRows; ++i)
          group.push_back(sums[i * tile.width + j]);
        finish(group, offset);
        for (int64_t i = 0; i < kRows; ++i)
          storeBlock(k, gemm, whole, row + i, j, group[i], operands.y);
      }
    }
  }

  void end() {
    if (!late)
      return;
    k.ifThen(k.less(k.begin(), k.end()), [&] {
      k.loop(k.index(0), k.index(kRows * width), 1,
             [&](Value i) { finishOne(i); });
    });
  }

private:
  /// The float accumulators of a tile after all groups.
  Values multiply(const Tile &tile, const GemmTile *prefetch) {
    Value rowStart = k.mul(tile.row, gemm.xStride);
    Value panelStart = k.mul(tile.panel, stream.panelElements);
    Value zero = k.zeros(k.vec(16, k.f32()));
    Values carried(kRows * tile.width, zero);
    Value at = panelStart;
    doGroup(tile, prefetch, k.index(0), rowStart, at, carried, true);
    carried.push_back(at);
    carried = k.loop(k.index(1), k.index(shape.groups()), 1, carried,
                     [&](Value g, ArrayRef<Value> now) {
                       Values next(now.begin(), now.end());
                       Value here = next.pop_back_val();
                       doGroup(tile, prefetch, g, rowStart, here, next, false);
                       next.push_back(here);
                       return next;
                     });
    carried.pop_back();
    return carried;
  }

  /// Adds group `g`, whose weights start at `at`, to `sums`; moves `at` on.
  void doGroup(const Tile &tile, const GemmTile *prefetch, Value g,
               Value rowStart, Value &at, Values &sums, bool first) {
    if (prefetch)
      prefetchStep(k, stream, *prefetch, operands.w, g);
    if (late)
      finishSome(g);
    Value column = k.toIndex(k.load(operands.steps, k.mul(g, 2)));
    Value count = k.toIndex(k.load(operands.steps, k.add(k.mul(g, 2), 1)));
    Value constants = k.add(k.mul(g, padded), k.mul(tile.panel, 16));
    Values integers;
    for (int64_t j = 0; j < tile.width; ++j)
      integers.push_back(
          k.loadVector(operands.correction, k.add(constants, j * 16)));
    Values start;
    for (int64_t i = 0; i < kRows; ++i)
      start.append(integers.begin(), integers.end());
    Value x = k.add(rowStart, column);
    Values acc = k.loop(k.index(0), count, unroll, start,
                        [&](Value step, ArrayRef<Value> now) {
                          Values next(now.begin(), now.end());
                          for (int64_t t = 0; t < unroll; ++t)
                            multiplyFour(tile, next, x, at, k.add(step, t));
                          return next;
                        });
    for (int64_t j = 0; j < tile.width; ++j) {
      Value multiplier =
          k.loadVector(operands.multiplier, k.add(constants, j * 16));
      for (int64_t i = 0; i < kRows; ++i) {
        int64_t n = i * tile.width + j;
        Value part = k.mul(k.toFloat(acc[n], k.f32()), multiplier);
        sums[n] = first ? part : k.add(sums[n], part);
      }
    }
    at = k.add(at, k.mul(count, 64));
  }

  void multiplyFour(const Tile &tile, Values &sums, Value x, Value w,
                    Value step) {
    Values weights;
    for (int64_t j = 0; j < tile.width; ++j)
      weights.push_back(k.loadVector(
          operands.w,
          k.add(k.add(w, k.mul(step, 64)), j * stream.panelElements), 64));
    for (int64_t i = 0; i < kRows; ++i) {
      Value a = k.broadcast4(operands.x,
                             k.add(k.add(x, k.mul(step, 4)), i * gemm.xStride));
      for (int64_t j = 0; j < tile.width; ++j) {
        Value &sum = sums[i * tile.width + j];
        sum = k.dot4(sum, a, weights[j]);
      }
    }
  }

  int64_t pendingAt() const { return kRows * width * 64; }

  void storePending(const Tile &tile) {
    Value column = k.mul(tile.panel, 16);
    Value at = k.add(k.mul(tile.row, gemm.outStride), column);
    k.storeBytes(k.broadcast(toI64(at), 1), k.scratch(), k.index(pendingAt()));
    k.storeBytes(k.broadcast(toI64(column), 1), k.scratch(),
                 k.index(pendingAt() + 8));
  }

  Value toI64(Value v) {
    return arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
  }

  Value loadPending(int64_t at) {
    return k.toIndex(
        k.lane(k.loadBytes(k.scratch(), k.index(at), 1, k.i64()), 0));
  }

  /// The share of group `g` in the pending vectors. The last groups may do the
  /// last vector again.
  void finishSome(Value g) {
    int64_t vectors = kRows * width;
    int64_t share = (vectors + shape.groups() - 1) / shape.groups();
    for (int64_t i = 0; i < share; ++i)
      finishOne(k.min(k.add(k.mul(g, share), i), k.index(vectors - 1)));
  }

  /// Finishes vector `i` of the pending tile: row i / width, panel i % width.
  void finishOne(Value i) {
    Value row = k.div(i, k.index(width));
    Value across = k.mul(k.rem(i, k.index(width)), 16);
    Value at = loadPending(pendingAt()), column = loadPending(pendingAt() + 8);
    Values sum = {k.loadBytes(k.scratch(), k.mul(i, 64), 16, k.f32())};
    finish(sum, k.loadVector(operands.offset, k.add(column, across)));
    k.storeCodes(sum[0], operands.y,
                 k.add(at, k.add(k.mul(row, gemm.outStride), across)));
  }

  /// From float accumulators to what is stored, several in step.
  void finish(Values &values, Value offset) {
    for (Value &v : values)
      v = k.add(v, offset);
    for (Value &v : values)
      v = activate(k, gemm.activation, v);
    if (gemm.out == Storage::F32)
      return;
    if (gemm.activation != GemmActivation::None) {
      Value scale = k.broadcast(k.load(operands.post, k.index(0)));
      Value zero = k.broadcast(k.load(operands.post, k.index(1)));
      for (Value &v : values)
        v = k.mul(v, scale);
      for (Value &v : values)
        v = k.add(v, zero);
    }
    for (Value &v : values)
      v = k.round(v, gemm.range);
  }

  KernelBuilder &k;
  const GroupGemmShape &shape;
  const GemmShape &gemm;
  const GemmStream &stream;
  const Operands &operands;
  int64_t width, padded, unroll;
  bool late;
};

} // namespace

int64_t getGroupGemmScratchBytes(const GroupGemmShape &shape) {
  const GemmShape &gemm = shape.gemm;
  bool costly = gemm.activation != GemmActivation::None &&
                gemm.activation != GemmActivation::Relu;
  if (!costly || gemm.exact || gemm.out == Storage::F32)
    return 0;
  return kRows * getGemmPanels(gemm).width * 64 + 64;
}

func::FuncOp buildGroupGemm(ModuleOp module, StringRef name,
                            const GroupGemmShape &shape) {
  const GemmShape &gemm = shape.gemm;
  assert(!shape.ends.empty() && shape.ends.back() == gemm.k &&
         "the groups cover the columns");
  assert(gemm.xStride >= (gemm.k + 63) / 64 * 64 && "rows are read in blocks");
  Builder b(module.getContext());
  bool post =
      gemm.activation != GemmActivation::None && gemm.out != Storage::F32;
  SmallVector<Type> elements = {b.getI8Type(),  b.getI8Type(),  b.getI32Type(),
                                b.getI32Type(), b.getF32Type(), b.getF32Type()};
  if (post)
    elements.push_back(b.getF32Type());
  elements.push_back(gemm.out == Storage::U8    ? Type(b.getI8Type())
                     : gemm.out == Storage::U16 ? Type(b.getI16Type())
                                                : Type(b.getF32Type()));
  KernelBuilder k(module, name, elements);
  Operands operands;
  operands.x = k.buffer(0);
  operands.w = k.buffer(1);
  operands.steps = k.buffer(2);
  operands.correction = k.buffer(3);
  operands.multiplier = k.buffer(4);
  operands.offset = k.buffer(5);
  operands.post = post ? k.buffer(6) : Value();
  operands.y = k.buffer(post ? 7 : 6);
  GemmStream stream{/*lineElements=*/64, totalSteps(shape) * 64,
                    shape.groups()};
  GroupTiles tiles(k, shape, stream, operands);
  tiles.start();
  forEachTile(k, gemm, stream, [&](const GemmTile &tile) { tiles.emit(tile); });
  tiles.end();
  return k.finish();
}

} // namespace quern
