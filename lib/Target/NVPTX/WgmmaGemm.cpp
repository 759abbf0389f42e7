//===- WgmmaGemm.cpp - Matrix products of warpgroups ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Shared memory holds stages of blockM rows of x and blockN rows of W, 128
// bytes each, as copies of tiles lay them out; then, where weights have zero
// points, eight rows of ones, whose products are the sums of the codes; then
// the tables of the epilogue; then two mbarriers for each stage: it is full, it
// is empty.
//
// The last warp fills stages: one of its threads waits until a stage is empty,
// says how many bytes will come, and starts both copies. The others multiply:
// one step is under way while the next one begins, so a stage is empty when the
// step after it has begun. Each of their warps says so for itself: a warp's
// wait is for its own products. What lies outside of x or W comes as zeros.
//
// Codes of 16 bits are two planes of bytes in a row of x. Steps go through the
// high bytes, then through the low ones, with W from its beginning again; the
// sums of both wait for each other in registers. Columns in groups come in
// whole steps for each; its sums are scaled into those of the groups before.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/WgmmaGemm.h"

#include "lib/Target/NVPTX/GemmEpilogue.h"

using namespace mlir;

namespace quern::nvptx {

using Values = DeviceBuilder::Values;
using Param = DeviceBuilder::Param;

/// Bytes of shared memory that sm_90 grants a block.
static constexpr int64_t kMostShared = 227 * 1024;
static constexpr int64_t kBarrierBytes = 8;
/// Nine warps get 168 registers each, for one quarter of a multiprocessor has
/// three of them; what follows the sums of fixed products takes many.
static constexpr int64_t kMostFixedColumns = 128;
/// Two sums for each column: those of groups and of all, or of both bytes.
static constexpr int64_t kMostTwofoldColumns = 96;
/// Four sums of codes, and eight zero points more.
static constexpr int64_t kMostZeroColumns = 192;
/// Columns of the product with ones, the least that there are.
static constexpr int64_t kOnesColumns = 8;

/// Threads that multiply.
static int64_t consumersOf(const WgmmaSchedule &s) { return s.blockM * 2; }
static int64_t threadsOf(const WgmmaSchedule &s) { return consumersOf(s) + 32; }
static int64_t stageBytes(const WgmmaSchedule &s) {
  return (s.blockM + s.blockN) * kWgmmaStep;
}
static int64_t onesBytes(const GemmForm &form) {
  return form.hasZeros ? kOnesColumns * kWgmmaStep : 0;
}
static int64_t sharedBytes(const WgmmaSchedule &s, const GemmForm &form) {
  return s.stages * (stageBytes(s) + 2 * kBarrierBytes) + onesBytes(form) +
         kEpilogueSharedBytes;
}

int64_t getMostWgmmaColumns(const GemmForm &form) {
  return form.wide || form.grouped ? kMostTwofoldColumns
         : form.fixed              ? kMostFixedColumns
         : form.hasZeros           ? kMostZeroColumns
                                   : 256;
}

Error checkWgmmaForm(const WgmmaSchedule &s, const GemmForm &form) {
  if (s.blockM != 64 && s.blockM != 128)
    return Error::make("schedule: a block makes ", s.blockM,
                       " rows, expected 64 or 128");
  if (s.blockN < 32 || s.blockN > 256 || s.blockN % 32)
    return Error::make("schedule: a block makes ", s.blockN,
                       " columns, expected a multiple of 32, at most 256");
  if (s.stages < 2)
    return Error::make("schedule: ", s.stages, " stages, expected 2 or more");
  if (sharedBytes(s, form) > kMostShared)
    return Error::make("schedule: ", sharedBytes(s, form),
                       " bytes of shared memory, expected at most ",
                       kMostShared);
  if (Error error = checkForm(GemmSchedule(), form))
    return error;
  if (s.blockN > getMostWgmmaColumns(form))
    return Error::make("schedule: a block makes ", s.blockN,
                       " columns, but only ", getMostWgmmaColumns(form),
                       form.grouped ? " of groups"
                       : form.wide  ? " of 16-bit codes"
                       : form.fixed ? " of products without floats"
                                    : " of weights with zero points",
                       " fit the registers");
  return Error::success();
}

std::string getWgmmaName(const WgmmaSchedule &s, const GemmForm &form) {
  return (form.wide ? "wgmma_u16_" : "wgmma_u8_") +
         shapeToString(std::array{s.blockM, s.blockN}) + "_s" +
         std::to_string(s.stages) + getFormName(form);
}

GemmLaunch getWgmmaLaunch(const WgmmaSchedule &s, const GemmForm &form,
                          int64_t m, int64_t n) {
  return {(n + s.blockN - 1) / s.blockN, (m + s.blockM - 1) / s.blockM,
          threadsOf(s), sharedBytes(s, form)};
}

namespace {
/// The builder of one kernel.
class WgmmaEmitter {
public:
  WgmmaEmitter(DeviceBuilder &k, const WgmmaSchedule &s, const GemmForm &form)
      : k(k), s(s), form(form) {}

  void emit();

private:
  /// Fills all stages, one after the other.
  void fill();
  /// Multiplies steps [begin, end); the sums of a thread, and behind them, with
  /// zero points, four of the codes.
  Values multiply(Value begin, Value end);
  /// One step, from the tiles of a stage; `adds` is 0 for the first. Sums are
  /// those of the columns and, with zero points, of the codes.
  Values multiplyStage(Value stage, Value adds, ArrayRef<Value> sums);
  /// The scaled sums of all groups.
  Values multiplyGroups(GemmEpilogue &epilogue, Value groups);
  void writeOnes();

  Value full(Value stage) {
    return k.at(barriers, k.mul(stage, kBarrierBytes));
  }
  Value empty(Value stage) {
    return k.at(barriers, k.mul(k.add(stage, s.stages), kBarrierBytes));
  }
  Value tile(Value stage) { return k.at(shared, k.mul(stage, stageBytes(s))); }
  /// 0 and 1 in turns: which time the stage of this step is used.
  Value parity(Value step) { return k.rem(k.div(step, s.stages), 2); }

  DeviceBuilder &k;
  const WgmmaSchedule &s;
  const GemmForm &form;
  Value mapX, mapW, shared, ones, barriers, thread, firstRow, firstColumn;
  /// Of all planes, and of one.
  Value steps, planeSteps, xStride;
  /// First of the eight columns of a thread, and its first row.
  Value column, row;
  Value tiles, tileEnds;
};
} // namespace

void WgmmaEmitter::fill() {
  k.loop(k.c(0), steps, 1, {}, [&](Value step, ArrayRef<Value>) {
    Value stage = k.rem(step, s.stages);
    // The first time nobody has to empty it.
    k.waitForPhase(empty(stage), k.bitXor(parity(step), k.c(1)));
    k.arriveForBytes(full(stage), stageBytes(s));
    Value inW = k.mul(step, kWgmmaStep), inX = inW;
    if (form.grouped)
      inX = k.load(k.at(tiles, k.shl(step, 2)), k.i32(), 4);
    if (form.wide) {
      Value isHigh = k.less(step, planeSteps);
      Value within = k.select(isHigh, step, k.sub(step, planeSteps));
      inW = k.mul(within, kWgmmaStep);
      inX = k.add(inW, k.select(isHigh, k.c(0), xStride));
    }
    k.copyTile(tile(stage), mapX, inX, firstRow, full(stage));
    k.copyTile(k.at(tile(stage), k.c(s.blockM * kWgmmaStep)), mapW, inW,
               firstColumn, full(stage));
    return Values();
  });
}

/// Every byte is 1, so no order matters.
void WgmmaEmitter::writeOnes() {
  k.ifThen(k.less(thread, k.c(onesBytes(form) / 16)), [&] {
    k.storeMany(Values(4, k.c(0x01010101)), k.at(ones, k.shl(thread, 4)));
    k.fenceShared();
  });
}

Values WgmmaEmitter::multiplyStage(Value stage, Value adds,
                                   ArrayRef<Value> sums) {
  Value group = k.div(thread, 128);
  Value a = k.describe(k.at(tile(stage), k.mul(group, 64 * kWgmmaStep)));
  Value b = k.describe(k.at(tile(stage), k.c(s.blockM * kWgmmaStep)));
  Values now(sums.begin(), sums.end());
  for (int64_t part = 0; part != kWgmmaStep / 32; ++part) {
    // 32 bytes on, in pieces of 16; the swizzle is of the address.
    Value on = k.c64(part * 2), left = k.add(a, on);
    Value isMore = part ? k.c(1) : adds;
    now[0] = k.startProduct(left, k.add(b, on), now[0], s.blockN, isMore);
    if (form.hasZeros)
      now[1] =
          k.startProduct(left, k.describe(ones), now[1], kOnesColumns, isMore);
  }
  return now;
}

Values WgmmaEmitter::multiply(Value begin, Value end) {
  Value isFirstLane = k.equal(k.rem(thread, 32), k.c(0));
  Values none = {k.noSums(s.blockN)};
  if (form.hasZeros)
    none.push_back(k.noSums(kOnesColumns));
  Values sums = k.loop(
      begin, end, 1, none, [&](Value step, ArrayRef<Value> carried) -> Values {
        Value stage = k.rem(step, s.stages);
        k.waitForPhase(full(stage), parity(step));
        k.fenceProducts();
        Values now = multiplyStage(stage, k.sub(step, begin), carried);
        k.commitProducts();
        k.waitForProducts(1);
        // That of the step before is over; the first has none.
        Value before = k.sub(step, k.c(1));
        Value isNotFirst = k.less(k.c(0), step);
        k.arriveIf(k.bitAnd(isFirstLane, isNotFirst),
                   empty(k.rem(before, s.stages)));
        return now;
      });
  Values all = k.finishProducts(sums[0], s.blockN);
  if (form.hasZeros)
    all.append(k.finishProducts(sums[1], kOnesColumns));
  return all;
}

Values WgmmaEmitter::multiplyGroups(GemmEpilogue &epilogue, Value groups) {
  Values start(size_t(s.blockN / 2), k.f(0.0f));
  start.push_back(k.c(0));
  Values all = k.loop(
      k.c(0), groups, 1, start, [&](Value group, ArrayRef<Value> carried) {
        Value end = k.load(k.at(tileEnds, k.shl(group, 2)), k.i32(), 4);
        Values sums = multiply(carried.back(), end);
        Values now(carried.begin(), carried.end());
        epilogue.addGroup(group, column, /*tilesM=*/1, s.blockN / 32, sums,
                          now);
        now.back() = end;
        return now;
      });
  all.pop_back();
  return all;
}

void WgmmaEmitter::emit() {
  mapX = k.param();
  mapW = k.param();
  Value x = k.param();
  k.param();
  if (form.grouped) {
    // Those of mma.sync.
    k.param();
    k.param();
    tiles = k.param();
    tileEnds = k.param();
  }
  GemmEpilogue epilogue(k, form);
  Value m = k.param(), n = k.param(), depth = k.param();
  xStride = k.param();
  // Of zero points it is the columns, which the map of x knows.
  Value groups = epilogue.takeParams(m, n);
  if (form.tokens)
    epilogue.takeRanges(k.at(x, k.wide(depth)), xStride);

  shared = k.dynamicShared();
  ones = k.at(shared, k.c(s.stages * stageBytes(s)));
  Value tables = k.at(ones, k.c(onesBytes(form)));
  barriers = k.at(tables, k.c(kEpilogueSharedBytes));
  thread = k.thread();
  planeSteps = k.div(k.add(depth, kWgmmaStep - 1), kWgmmaStep);
  steps = form.wide ? k.shl(planeSteps, 1) : planeSteps;
  firstRow = k.mul(k.block(1), s.blockM);
  firstColumn = k.mul(k.block(0), s.blockN);
  epilogue.prepare(tables, thread, threadsOf(s));
  if (form.hasZeros)
    writeOnes();
  k.ifThen(k.equal(thread, k.c(0)), [&] {
    for (int64_t i = 0; i != s.stages; ++i) {
      k.makeBarrier(full(k.c(i)), 1);
      k.makeBarrier(empty(k.c(i)), consumersOf(s) / 32);
    }
    k.fenceBarriers();
  });
  k.barrier();
  k.ifThen(k.equal(thread, k.c(consumersOf(s))), [&] { fill(); });
  k.ifThen(k.less(thread, k.c(consumersOf(s))), [&] {
    Value lane = k.rem(thread, 32);
    row = k.add(k.add(firstRow, k.mul(k.div(thread, 32), 16)), k.div(lane, 4));
    column = k.add(firstColumn, k.mul(k.rem(lane, 4), 8));
    Values sums = form.grouped ? multiplyGroups(epilogue, groups)
                               : multiply(k.c(0), planeSteps);
    Values lows;
    if (form.wide)
      lows = multiply(planeSteps, steps);
    epilogue.finishTiles(row, column, /*tilesM=*/1, s.blockN / 32, sums, lows);
  });
}

LLVM::LLVMFuncOp buildWgmmaGemm(ModuleOp module, const WgmmaSchedule &schedule,
                                const GemmForm &form) {
  SmallVector<Param> params(2, Param::Map);
  params.append(form.grouped ? 6 : 2, Param::Input);
  GemmEpilogue::addParams(form, params);
  DeviceBuilder k(module, getWgmmaName(schedule, form), params,
                  threadsOf(schedule));
  WgmmaEmitter(k, schedule, form).emit();
  return k.finish();
}

} // namespace quern::nvptx
