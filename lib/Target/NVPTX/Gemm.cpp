//===- Gemm.cpp - Integer matrix products on tensor cores -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Shared memory holds stages of blockM rows of x and blockN rows of W, 64 bytes
// each and without gaps. The 16-byte pieces of a row are permuted so that the
// eight rows which ldmatrix reads together lie in different banks:
//
//   x  rows r, r + 1, ..., r + 7: piece c of row r lies at c ^ (r / 2 % 4)
//   W  rows r, r + 1, r + 8, r + 9, ..., r + 25: at c ^ (r / 8 % 4)
//
// mma leaves two neighbouring columns of a tile of 8 in a thread. Which rows of
// W make up a tile is for us to say: tile i of 32 columns takes columns
// 8 t + 2 i and 8 t + 2 i + 1 for t in 0..3, so that thread t of each quad has
// columns 8 t to 8 t + 7 of the four tiles, and a quad stores 32 neighbours.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Gemm.h"

#include "lib/Target/NVPTX/GemmEpilogue.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes of shared memory that every sm_80 and later grants a block.
static constexpr int64_t kMostShared = 99 * 1024;

static int64_t warpsOf(const GemmSchedule &s) {
  return s.blockM / s.warpM * (s.blockN / s.warpN);
}

static int64_t stageBytes(const GemmSchedule &s) {
  return (s.blockM + s.blockN) * kGemmStep;
}

Error checkSchedule(const GemmSchedule &s) {
  auto multiple = [](int64_t a, int64_t b) { return a > 0 && a % b == 0; };
  if (!multiple(s.warpM, 16) || !multiple(s.warpN, 32))
    return Error::make("schedule: a warp makes ", s.warpM, "x", s.warpN,
                       ", expected a multiple of 16x32");
  if (!multiple(s.blockM, s.warpM) || !multiple(s.blockN, s.warpN))
    return Error::make("schedule: a block makes ", s.blockM, "x", s.blockN,
                       ", expected a multiple of the warp's ", s.warpM, "x",
                       s.warpN);
  if (s.warpM * s.warpN > 64 * 64)
    return Error::make("schedule: a warp makes ", s.warpM, "x", s.warpN,
                       ", but only 4096 sums fit its registers");
  int64_t rowsPerCopy = warpsOf(s) * 8;
  if (warpsOf(s) > 32 || s.blockM % rowsPerCopy || s.blockN % rowsPerCopy)
    return Error::make("schedule: ", warpsOf(s), " warps copy ", rowsPerCopy,
                       " rows at once, expected a divisor of ", s.blockM,
                       " and of ", s.blockN);
  if (s.stages < 2)
    return Error::make("schedule: ", s.stages, " stages, expected 2 or more");
  int64_t bytes = s.stages * stageBytes(s) + kEpilogueSharedBytes;
  if (bytes > kMostShared)
    return Error::make("schedule: ", bytes, " bytes of shared memory, expected",
                       " at most ", kMostShared);
  return Error::success();
}

Error checkForm(const GemmSchedule &s, const GemmForm &form) {
  if (Error error = checkSchedule(s))
    return error;
  if (form.grouped && form.hasZeros)
    return Error("groups of columns: found weights with zero points, expected "
                 "none");
  if (form.wide && (form.grouped || form.hasZeros))
    return Error("16-bit codes: found groups of columns or weights with zero "
                 "points, expected neither");
  if (form.fixed && (form.grouped || form.wide))
    return Error("products without floats: found groups of columns or 16-bit "
                 "codes, expected neither");
  if (form.tokens && (form.grouped || form.wide || form.fixed || form.hasZeros))
    return Error(
        "ranges of tokens: found groups of columns, 16-bit codes, "
        "zero points of weights or fixed-point numbers, expected none");
  if (form.fixed && form.result == Storage::F32)
    return Error("products without floats: found f32 results, expected codes");
  if (!form.fixed && form.activation == Activation::IGelu)
    return Error("activation: found 'i_gelu', expected it in products without "
                 "floats");
  if ((form.grouped || form.wide) && s.warpM * s.warpN > 32 * 64)
    return Error::make("schedule: a warp makes ", s.warpM, "x", s.warpN,
                       ", but only 2048 sums of ",
                       form.grouped ? "groups" : "planes of bytes",
                       " fit its registers");
  return Error::success();
}

std::string getFormName(const GemmForm &form) {
  std::string name;
  if (form.hasZeros)
    name += "_zeros";
  if (form.grouped)
    name += "_groups";
  if (form.fixed)
    name += "_fixed";
  if (form.tokens)
    name += "_tokens";
  if (form.activation != Activation::None)
    name += "_" + activationName(form.activation).str();
  return name + "_" + storageName(form.result).str();
}

std::string getGemmName(const GemmSchedule &s, const GemmForm &form) {
  return (form.wide ? "gemm_u16_" : "gemm_u8_") +
         shapeToString(std::array{s.blockM, s.blockN}) + "_" +
         shapeToString(std::array{s.warpM, s.warpN}) + "_s" +
         std::to_string(s.stages) + getFormName(form);
}

GemmLaunch getGemmLaunch(const GemmSchedule &s, int64_t m, int64_t n) {
  return {(n + s.blockN - 1) / s.blockN, (m + s.blockM - 1) / s.blockM,
          warpsOf(s) * 32, s.stages * stageBytes(s) + kEpilogueSharedBytes};
}

namespace {
/// The builder of one kernel.
class GemmEmitter {
public:
  GemmEmitter(DeviceBuilder &k, const GemmSchedule &s, const GemmForm &form)
      : k(k), s(s), form(form), tilesM(s.warpM / 16), spans(s.warpN / 32) {}

  void emit();

private:
  /// One operand on its way into shared memory: what each thread copies.
  struct Copies {
    /// First piece in memory of the device, then from one to the next.
    Values from;
    /// Bytes to copy: 16, or 0 for rows that are not there.
    Values bytes;
    /// Places within a stage.
    Values to;
  };
  Copies planCopies(Value base, Value rows, Value stride, Value firstRow,
                    int64_t count, int64_t stageOffset, bool isWeights);
  Value swizzled(Value row, Value piece, bool isWeights);
  void startStage(Value step, Value stage);
  Values multiplyStage(Value stage, ArrayRef<Value> sums);
  /// The sums of steps [begin, end).
  Values multiplySteps(Value begin, Value end);
  Values multiplyGroups(GemmEpilogue &epilogue, Value groups);
  /// Sums of a warp: those of the tile, then four for each 16 rows of the sums
  /// of their codes.
  int64_t sumCount() const {
    return tilesM * spans * 16 + (form.hasZeros ? tilesM * 4 : 0);
  }

  DeviceBuilder &k;
  const GemmSchedule &s;
  const GemmForm &form;
  int64_t tilesM, spans;
  Value shared, thread, lane, steps, warpRow, warpColumn;
  /// First of the eight columns of a thread, and its first row.
  Value column, row;
  Value stepColumns, groupEnds;
  /// Of 16-bit codes: steps of a plane, bytes from one to the next.
  Value planeSteps, xStride;
  /// With zero points: columns of x that count.
  Value columns;
  Copies left, right;
};
} // namespace

/// Place of a 16-byte piece within a tile of rows.
Value GemmEmitter::swizzled(Value row, Value piece, bool isWeights) {
  Value key = k.bitAnd(k.shr(row, isWeights ? 3 : 1), 3);
  return k.add(k.shl(row, 6), k.shl(k.bitXor(piece, key), 4));
}

GemmEmitter::Copies GemmEmitter::planCopies(Value base, Value rows,
                                            Value stride, Value firstRow,
                                            int64_t count, int64_t stageOffset,
                                            bool isWeights) {
  int64_t rowsPerCopy = warpsOf(s) * 8;
  Value piece = k.rem(thread, 4), row = k.div(thread, 4);
  Copies copies;
  for (int64_t i = 0; i != count / rowsPerCopy; ++i) {
    Value here = k.add(row, i * rowsPerCopy);
    Value there = k.add(firstRow, here);
    copies.from.push_back(
        k.at(k.at(base, k.mulWide(there, stride)), k.shl(piece, 4)));
    copies.bytes.push_back(k.select(k.less(there, rows), k.c(16), k.c(0)));
    copies.to.push_back(k.add(swizzled(here, piece, isWeights), stageOffset));
  }
  return copies;
}

/// Starts the copies of step `step` into stage `stage`.
void GemmEmitter::startStage(Value step, Value stage) {
  Value start = k.mul(stage, stageBytes(s));
  Value inW = k.wide(k.mul(step, kGemmStep)), inX = inW;
  if (form.grouped) {
    Values both = k.loadMany(k.at(stepColumns, k.shl(step, 3)), k.i32(), 2);
    inX = k.wide(both[0]);
    inW = k.wide(both[1]);
  }
  if (form.wide) {
    // The second plane starts again with the weights.
    Value isHigh = k.less(step, planeSteps);
    Value within = k.select(isHigh, step, k.sub(step, planeSteps));
    inW = k.wide(k.mul(within, kGemmStep));
    inX = k.add(inW, k.wide(k.select(isHigh, k.c(0), xStride)));
  }
  Value there;
  if (form.hasZeros) {
    // The sums of codes are those of the columns that are there.
    Value begin = k.add(k.mul(step, kGemmStep), k.shl(k.rem(thread, 4), 4));
    there = k.max(k.sub(columns, begin), k.c(0));
  }
  for (const Copies *copies : {&left, &right})
    for (size_t i = 0; i != copies->from.size(); ++i) {
      Value bytes = copies->bytes[i];
      if (there && copies == &left)
        bytes = k.min(bytes, there);
      k.copyAsync(k.at(shared, k.add(start, copies->to[i])),
                  k.at(copies->from[i], copies == &left ? inX : inW), bytes);
    }
}

/// Adds the products of one stage, 32 k at a time.
Values GemmEmitter::multiplyStage(Value stage, ArrayRef<Value> sums) {
  Values now(sums.begin(), sums.end());
  Value start = k.mul(stage, stageBytes(s));
  // Lanes 0 to 15 of x's loads name 16 rows, lanes 16 to 31 their second half.
  Value rowX = k.add(warpRow, k.rem(lane, 16));
  // Those of W: 8 rows of one tile, first and second half, and of the next one.
  Value r = k.rem(lane, 8);
  Value columnW = k.add(k.add(warpColumn, k.mul(k.div(r, 2), 8)),
                        k.add(k.rem(r, 2), k.mul(k.div(lane, 16), 2)));
  Value halfW = k.rem(k.div(lane, 8), 2);
  Value ones = k.c(0x01010101);
  for (int64_t half = 0; half != kGemmStep / 32; ++half) {
    SmallVector<Values> a;
    for (int64_t i = 0; i != tilesM; ++i) {
      Value piece = k.add(k.div(lane, 16), half * 2);
      Value at = swizzled(k.add(rowX, i * 16), piece, /*isWeights=*/false);
      a.push_back(k.loadMatrices(k.at(shared, k.add(start, at))));
    }
    if (form.hasZeros)
      for (int64_t i = 0; i != tilesM; ++i) {
        auto at = now.begin() + tilesM * spans * 16 + i * 4;
        llvm::copy(k.multiply(a[i], {ones, ones}, Values(at, at + 4)), at);
      }
    for (int64_t j = 0; j != spans * 2; ++j) {
      Value piece = k.add(halfW, half * 2);
      Value column = k.add(columnW, j / 2 * 32 + j % 2 * 4);
      Value at = k.add(swizzled(column, piece, /*isWeights=*/true),
                       s.blockM * kGemmStep);
      Values w = k.loadMatrices(k.at(shared, k.add(start, at)));
      for (int64_t tile = 0; tile != 2; ++tile)
        for (int64_t i = 0; i != tilesM; ++i) {
          auto sum = now.begin() + ((i * spans * 2 + j) * 2 + tile) * 4;
          llvm::copy(k.multiply(a[i], {w[tile * 2], w[tile * 2 + 1]},
                                Values(sum, sum + 4)),
                     sum);
        }
    }
  }
  return now;
}

Values GemmEmitter::multiplySteps(Value begin, Value end) {
  Values sums(sumCount(), k.c(0));
  return k.loop(begin, end, 1, sums, [&](Value step, ArrayRef<Value> carried) {
    k.waitForCopies(s.stages - 2);
    // Others' copies are seen, and the stage to be filled has been read.
    k.barrier();
    Value next = k.add(step, s.stages - 1);
    k.ifThen(k.less(next, steps),
             [&] { startStage(next, k.rem(next, s.stages)); });
    // A group is committed in every step, empty or not, so that the number of
    // groups that may be under way is the same in all.
    k.commitCopies();
    return multiplyStage(k.rem(step, s.stages), carried);
  });
}

/// The scaled sums of all groups; behind them the steps done so far.
Values GemmEmitter::multiplyGroups(GemmEpilogue &epilogue, Value groups) {
  Values start(sumCount(), k.f(0.0f));
  start.push_back(k.c(0));
  return k.loop(
      k.c(0), groups, 1, start, [&](Value group, ArrayRef<Value> carried) {
        Value end = k.load(k.at(groupEnds, k.shl(group, 2)), k.i32(), 4);
        Values sums = multiplySteps(carried.back(), end);
        Values now(carried.begin(), carried.end());
        epilogue.addGroup(group, column, tilesM, spans, sums, now);
        now.back() = end;
        return now;
      });
}

void GemmEmitter::emit() {
  Value x = k.param(), w = k.param();
  if (form.grouped) {
    stepColumns = k.param();
    groupEnds = k.param();
    // Those of warpgroups.
    k.param();
    k.param();
  }
  GemmEpilogue epilogue(k, form);
  Value m = k.param(), n = k.param(), depth = k.param();
  xStride = k.param();
  Value more = epilogue.takeParams(m, n);
  columns = form.hasZeros ? more : Value();
  if (form.tokens)
    epilogue.takeRanges(k.at(x, k.wide(depth)), xStride);

  shared = k.dynamicShared();
  thread = k.thread();
  lane = k.rem(thread, 32);
  Value warp = k.div(thread, 32);
  int64_t across = s.blockN / s.warpN;
  warpRow = k.mul(k.div(warp, across), s.warpM);
  warpColumn = k.mul(k.rem(warp, across), s.warpN);
  Value firstRow = k.mul(k.block(1), s.blockM);
  Value firstColumn = k.mul(k.block(0), s.blockN);
  row = k.add(k.add(firstRow, warpRow), k.div(lane, 4));
  column = k.add(k.add(firstColumn, warpColumn), k.mul(k.rem(lane, 4), 8));
  planeSteps = k.div(depth, kGemmStep);
  steps = form.wide ? k.shl(planeSteps, 1) : planeSteps;
  if (form.grouped) {
    Value last = k.shl(k.sub(more, k.c(1)), 2);
    steps = k.load(k.at(groupEnds, last), k.i32(), 4);
  }
  left = planCopies(x, m, form.wide ? k.shl(xStride, 1) : xStride, firstRow,
                    s.blockM, 0, false);
  right = planCopies(w, n, depth, firstColumn, s.blockN, s.blockM * kGemmStep,
                     true);
  epilogue.prepare(k.at(shared, k.c(s.stages * stageBytes(s))), thread,
                   warpsOf(s) * 32);

  for (int64_t i = 0; i != s.stages - 1; ++i) {
    k.ifThen(k.less(k.c(i), steps), [&] { startStage(k.c(i), k.c(i)); });
    k.commitCopies();
  }
  Values sums = form.grouped ? multiplyGroups(epilogue, more)
                             : multiplySteps(k.c(0), planeSteps);
  Values lows;
  if (form.wide)
    lows = multiplySteps(planeSteps, steps);

  epilogue.finishTiles(row, column, tilesM, spans, sums, lows);
}

LLVM::LLVMFuncOp buildGemm(ModuleOp module, const GemmSchedule &schedule,
                           const GemmForm &form) {
  SmallVector<Param> params(form.grouped ? 6 : 2, Param::Input);
  GemmEpilogue::addParams(form, params);
  DeviceBuilder k(module, getGemmName(schedule, form), params,
                  warpsOf(schedule) * 32);
  GemmEmitter(k, schedule, form).emit();
  return k.finish();
}

} // namespace quern::nvptx
