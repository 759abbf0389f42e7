//===- WgmmaGemm.cpp - Matrix products of warpgroups ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Shared memory holds stages of blockM rows of x and blockN rows of W, 128
// bytes each, as copies of tiles lay them out; then the tables of the epilogue;
// then two mbarriers for each stage: it is full, it is empty.
//
// The last warp fills stages: one of its threads waits until a stage is empty,
// says how many bytes will come, and starts both copies. The others multiply:
// one step is under way while the next one begins, so a stage is empty when the
// step after it has begun. Each of their warps says so for itself: a warp's
// wait is for its own products. What lies outside of x or W comes as zeros.
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

/// Threads that multiply.
static int64_t consumersOf(const WgmmaSchedule &s) { return s.blockM * 2; }
static int64_t threadsOf(const WgmmaSchedule &s) { return consumersOf(s) + 32; }
static int64_t stageBytes(const WgmmaSchedule &s) {
  return (s.blockM + s.blockN) * kWgmmaStep;
}
static int64_t sharedBytes(const WgmmaSchedule &s) {
  return s.stages * (stageBytes(s) + 2 * kBarrierBytes) + kEpilogueSharedBytes;
}

Error checkWgmmaSchedule(const WgmmaSchedule &s) {
  if (s.blockM != 64 && s.blockM != 128)
    return Error::make("schedule: a block makes ", s.blockM,
                       " rows, expected 64 or 128");
  if (s.blockN < 32 || s.blockN > 256 || s.blockN % 32)
    return Error::make("schedule: a block makes ", s.blockN,
                       " columns, expected a multiple of 32, at most 256");
  if (s.stages < 2)
    return Error::make("schedule: ", s.stages, " stages, expected 2 or more");
  if (sharedBytes(s) > kMostShared)
    return Error::make("schedule: ", sharedBytes(s),
                       " bytes of shared memory, expected at most ",
                       kMostShared);
  return Error::success();
}

Error checkWgmmaForm(const WgmmaSchedule &s, const GemmForm &form) {
  if (Error error = checkWgmmaSchedule(s))
    return error;
  if (form.grouped || form.wide || form.hasZeros)
    return Error("products of warpgroups: found groups of columns, 16-bit "
                 "codes or weights with zero points, expected none");
  if (form.fixed && s.blockN > kMostFixedColumns)
    return Error::make("schedule: a block makes ", s.blockN,
                       " columns, but only ", kMostFixedColumns,
                       " of products without floats fit the registers");
  return checkForm(GemmSchedule(), form);
}

std::string getWgmmaName(const WgmmaSchedule &s, const GemmForm &form) {
  return "wgmma_u8_" + shapeToString(std::array{s.blockM, s.blockN}) + "_s" +
         std::to_string(s.stages) + getFormName(form);
}

GemmLaunch getWgmmaLaunch(const WgmmaSchedule &s, int64_t m, int64_t n) {
  return {(n + s.blockN - 1) / s.blockN, (m + s.blockM - 1) / s.blockM,
          threadsOf(s), sharedBytes(s)};
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
  /// Multiplies all stages; the sums of a thread.
  Values multiply();
  /// One step, from the tiles of a stage.
  Value multiplyStage(Value stage, Value step, Value sums);

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
  Value mapX, mapW, shared, barriers, thread, steps, firstRow, firstColumn;
};
} // namespace

void WgmmaEmitter::fill() {
  k.loop(k.c(0), steps, 1, {}, [&](Value step, ArrayRef<Value>) {
    Value stage = k.rem(step, s.stages);
    // The first time nobody has to empty it.
    k.waitForPhase(empty(stage), k.bitXor(parity(step), k.c(1)));
    k.arriveForBytes(full(stage), stageBytes(s));
    Value column = k.mul(step, kWgmmaStep);
    k.copyTile(tile(stage), mapX, column, firstRow, full(stage));
    k.copyTile(k.at(tile(stage), k.c(s.blockM * kWgmmaStep)), mapW, column,
               firstColumn, full(stage));
    return Values();
  });
}

Value WgmmaEmitter::multiplyStage(Value stage, Value step, Value sums) {
  Value group = k.div(thread, 128);
  Value a = k.describe(k.at(tile(stage), k.mul(group, 64 * kWgmmaStep)));
  Value b = k.describe(k.at(tile(stage), k.c(s.blockM * kWgmmaStep)));
  for (int64_t part = 0; part != kWgmmaStep / 32; ++part) {
    // 32 bytes on, in pieces of 16; the swizzle is of the address.
    Value on = k.c64(part * 2);
    sums = k.startProduct(k.add(a, on), k.add(b, on), sums, s.blockN,
                          part ? k.c(1) : step);
  }
  return sums;
}

Values WgmmaEmitter::multiply() {
  Value isFirstLane = k.equal(k.rem(thread, 32), k.c(0));
  Values sums = k.loop(k.c(0), steps, 1, {k.noSums(s.blockN)},
                       [&](Value step, ArrayRef<Value> carried) -> Values {
                         Value stage = k.rem(step, s.stages);
                         k.waitForPhase(full(stage), parity(step));
                         k.fenceProducts();
                         Value now = multiplyStage(stage, step, carried[0]);
                         k.commitProducts();
                         k.waitForProducts(1);
                         // That of the step before is over; the first has none.
                         Value before = k.sub(step, k.c(1));
                         Value isNotFirst = k.less(k.c(0), step);
                         k.arriveIf(k.bitAnd(isFirstLane, isNotFirst),
                                    empty(k.rem(before, s.stages)));
                         return {now};
                       });
  return k.finishProducts(sums[0], s.blockN);
}

void WgmmaEmitter::emit() {
  mapX = k.param();
  mapW = k.param();
  Value x = k.param();
  k.param();
  GemmEpilogue epilogue(k, form);
  Value m = k.param(), n = k.param(), depth = k.param();
  Value xStride = k.param();
  epilogue.takeParams(m, n);
  if (form.tokens)
    epilogue.takeRanges(k.at(x, k.wide(depth)), xStride);

  shared = k.dynamicShared();
  Value tables = k.at(shared, k.c(s.stages * stageBytes(s)));
  barriers = k.at(tables, k.c(kEpilogueSharedBytes));
  thread = k.thread();
  steps = k.div(k.add(depth, kWgmmaStep - 1), kWgmmaStep);
  firstRow = k.mul(k.block(1), s.blockM);
  firstColumn = k.mul(k.block(0), s.blockN);
  epilogue.prepare(tables, thread, threadsOf(s));
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
    Values sums = multiply();
    Value lane = k.rem(thread, 32);
    Value row =
        k.add(k.add(firstRow, k.mul(k.div(thread, 32), 16)), k.div(lane, 4));
    Value column = k.add(firstColumn, k.mul(k.rem(lane, 4), 8));
    epilogue.finishTiles(row, column, /*tilesM=*/1, s.blockN / 32, sums, {});
  });
}

LLVM::LLVMFuncOp buildWgmmaGemm(ModuleOp module, const WgmmaSchedule &schedule,
                                const GemmForm &form) {
  SmallVector<Param> params(2, Param::Map);
  params.append(2, Param::Input);
  GemmEpilogue::addParams(form, params);
  DeviceBuilder k(module, getWgmmaName(schedule, form), params,
                  threadsOf(schedule));
  WgmmaEmitter(k, schedule, form).emit();
  return k.finish();
}

} // namespace quern::nvptx
