//===- Bulk.cpp - mbarriers and copies of tiles ---------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

namespace quern::ptx {

static Clock &clockOf(Warp &w) { return w.block.clocks[size_t(w.index)]; }

static void makeBarrier(Warp &w, const Instruction &i) {
  Lanes ra, rc;
  const Lanes &address = w.read(i.operands[0], ra);
  const Lanes &count = w.read(i.operands[1], rc);
  forEachActive(w, [&](int l) {
    Problem problem =
        w.block.async.init(address[l], uint32_t(count[l]), w.index, clockOf(w));
    if (!problem.empty())
      w.fail(i, l, problem);
  });
}

/// arrive [address], or arrive.expect_tx [address], bytes; in front of them a
/// result that nobody may read.
static void arrive(Warp &w, const Instruction &i) {
  Lanes ra, rb;
  Lanes address = w.read(i.operands[1], ra);
  bool expects = i.operands.size() == 3;
  Lanes bytes{};
  if (expects)
    bytes = w.read(i.operands[2], rb);
  forEachActive(w, [&](int l) {
    Problem problem;
    if (expects)
      problem = w.block.async.expectBytes(
          address[l], int64_t(uint32_t(bytes[l])), w.index, clockOf(w));
    if (problem.empty())
      problem = w.block.async.arrive(address[l], w.index, clockOf(w));
    if (!problem.empty())
      w.fail(i, l, problem);
  });
}

/// predicate, [address], parity, and how long to wait, which is not asked.
static void tryWait(Warp &w, const Instruction &i) {
  Lanes ra, rp;
  const Lanes &address = w.read(i.operands[1], ra);
  const Lanes &parity = w.read(i.operands[2], rp);
  uint32_t all = 0;
  forEachActive(w, [&](int l) {
    bool done = false;
    Problem problem =
        parity[l] > 1 ? "parity " + std::to_string(parity[l])
                      : w.block.async.tryWait(address[l], uint32_t(parity[l]),
                                              w.index, clockOf(w), done);
    if (!problem.empty())
      return w.fail(i, l, problem);
    all |= uint32_t(done) << l;
  });
  w.setPredicate(i.operands[0].number, all);
  if (all != w.active)
    w.stall(i);
}

static Handler barrierObjects(Instruction &i, const Parts &) {
  size_t operands = i.operands.size();
  auto addressAt = [&](size_t k) {
    return i.operands[k].kind == Operand::Address;
  };
  if (i.name == "mbarrier.init.shared.b64" && operands == 2 && addressAt(0))
    return makeBarrier;
  if (((i.name == "mbarrier.arrive.shared.b64" ||
        i.name == "mbarrier.arrive.shared::cta.b64") &&
       operands == 2 && addressAt(1)) ||
      (i.name == "mbarrier.arrive.expect_tx.shared.b64" && operands == 3 &&
       addressAt(1)))
    return arrive;
  if (i.name == "mbarrier.try_wait.parity.shared.b64" &&
      (operands == 3 || operands == 4) && addressAt(1) &&
      i.operands[0].kind == Operand::Register)
    return tryWait;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// [to], [map, {coordinates}], [mbarrier]
static void copyTile(Warp &w, const Instruction &i) {
  if (!w.needMemory(i))
    return;
  Lanes rt, rm, rb;
  const Lanes &to = w.read(i.operands[0], rt);
  const Lanes &map = w.read(i.operands[1], rm);
  const Lanes &barrier = w.read(i.operands[2], rb);
  std::vector<Lanes> places;
  for (const Operand &each : i.operands[1].parts) {
    Lanes room;
    places.push_back(w.read(each, room));
  }
  forEachActive(w, [&](int l) {
    const TensorMap *tensor = w.block.machine->mapAt(map[l]);
    if (!tensor)
      return w.fail(i, l, "there is no tensor map at this address");
    std::vector<int64_t> at;
    for (const Lanes &place : places)
      at.push_back(int32_t(uint32_t(place[l])));
    Problem problem = w.block.async.copyTile(*tensor, at, to[l], barrier[l],
                                             w.access(l), clockOf(w));
    if (!problem.empty())
      w.fail(i, l, problem);
  });
}

Handler tileCopies(Instruction &i) {
  for (size_t rank : {1, 2, 3, 4, 5})
    if (i.name == "cp.async.bulk.tensor." + std::to_string(rank) +
                      "d.shared::cluster.global.tile.mbarrier::complete_tx::"
                      "bytes" &&
        i.operands.size() == 3 && i.operands[0].kind == Operand::Address &&
        i.operands[1].parts.size() == rank &&
        i.operands[2].kind == Operand::Address)
      return copyTile;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Fences
//===----------------------------------------------------------------------===//

/// Writes of the lanes before it are seen by copies and products.
static void fenceAsync(Warp &w, const Instruction &) {
  w.block.async.fenceInit(w.index);
  forEachActive(w, [&](int l) { w.block.shared.fenceAsync(w.thread(l)); });
}

static Handler fences(Instruction &i, const Parts &) {
  if (!i.operands.empty())
    return nullptr;
  if (i.name == "fence.mbarrier_init.release.cluster")
    return
        [](Warp &w, const Instruction &) { w.block.async.fenceInit(w.index); };
  return i.name == "fence.proxy.async" ||
                 i.name == "fence.proxy.async.shared::cta"
             ? fenceAsync
             : nullptr;
}

/// The kernel before has ended, as far as the emulator goes; whether this one
/// has asked is what matters.
static Handler launches(Instruction &i, const Parts &) {
  if (i.name == "griddepcontrol.launch_dependents" && i.operands.empty())
    return [](Warp &, const Instruction &) {};
  if (i.name == "griddepcontrol.wait" && i.operands.empty())
    return [](Warp &w, const Instruction &i) {
      if (w.needAll(i))
        w.mayTouchMemory = true;
    };
  return nullptr;
}

const Binders &bulkBinders() {
  static const Binders binders = {{"mbarrier", barrierObjects},
                                  {"fence", fences},
                                  {"griddepcontrol", launches}};
  return binders;
}

} // namespace quern::ptx
