//===- Block.cpp - The warps of a block, in turns -------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Machine.h"

namespace quern::ptx {

Block::Block(Machine &machine, const Kernel &kernel, const Launch &launch,
             int64_t x, int64_t y, std::map<std::string, uint64_t> symbols,
             size_t sharedSize)
    : machine(&machine), kernel(&kernel), memory(&machine.memory),
      launch(launch), x(x), y(y), symbols(std::move(symbols)),
      shared(sharedSize), async(*memory, shared) {}

Block::~Block() = default;

std::string Block::name() const {
  return "block (" + std::to_string(x) + ", " + std::to_string(y) + "): ";
}

void Block::passBarrier() {
  const Warp *first = nullptr;
  for (auto &warp : warps) {
    if (!first && warp->waiting)
      first = warp.get();
    if (warp->finished() && !fault)
      fault = name() + "warp " + std::to_string(warp->index) +
              " has ended, but others wait at a barrier";
  }
  Clock all;
  for (auto &warp : warps) {
    if (!fault && warp->barrierLine != first->barrierLine)
      fault = name() + "warps wait at barriers of lines " +
              std::to_string(first->barrierLine) + " and " +
              std::to_string(warp->barrierLine);
    warp->waiting = false;
    all.merge(clocks[size_t(warp->index)]);
  }
  for (auto &warp : warps) {
    Clock &clock = clocks[size_t(warp->index)];
    clock = all;
    ++clock.seen[size_t(warp->index)];
  }
  ++epoch;
}

bool Block::landCopy() {
  Problem problem;
  bool landed = async.landOne(problem);
  if (!problem.empty())
    fault = name() + "copy of a tile: " + problem;
  return landed;
}

void Block::checkEnd(const Warp &warp) {
  for (int lane = 0; lane != 32 && !fault; ++lane)
    if (!warp.copies[size_t(lane)].empty())
      fault = "thread " + std::to_string(warp.thread(lane)) +
              " ends with a cp.async under way";
  if (!fault && !warp.products.empty())
    fault = name() + "warp " + std::to_string(warp.index) +
            " ends with a product under way";
  if (!fault && warp.productCount != products[size_t(warp.index / 4)].size())
    fault = name() + "warp " + std::to_string(warp.index) +
            " does fewer products than others of its warpgroup";
}

int64_t Block::run() {
  for (int i = 0; i * 32 < kernel->threads; ++i) {
    warps.push_back(std::make_unique<Warp>(*this, i));
    ++clocks[size_t(i)].seen[size_t(i)];
  }
  while (!fault) {
    bool left = false, went = false, allWait = true;
    const Warp *stalled = nullptr;
    for (auto &warp : warps) {
      if (!warp->finished() && !warp->waiting && !warp->stalled()) {
        warp->run();
        went = true;
      }
      left |= !warp->finished();
      allWait &= warp->finished() || warp->waiting;
      if (!warp->finished() && !warp->waiting)
        stalled = warp.get();
    }
    if (!left || fault)
      break;
    if (allWait)
      passBarrier();
    else if (!went && !landCopy())
      fault = name() + "warp " + std::to_string(stalled->index) +
              " waits in line " + std::to_string(stalled->barrierLine) +
              " for an mbarrier whose phase nobody ends";
  }
  int64_t count = 0;
  for (auto &warp : warps) {
    count += warp->instructions;
    checkEnd(*warp);
  }
  if (!fault && async.copiesLeft())
    fault = name() + "ends with the copy of a tile under way";
  return count;
}

} // namespace quern::ptx
