//===- Async.cpp - Copies and products that go on by themselves -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Async.h"

#include <algorithm>
#include <cstring>

namespace quern::ptx {

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

uint64_t TensorMap::boxBytes() const {
  uint64_t bytes = 1;
  for (uint32_t i = 0; i != rank; ++i)
    bytes *= box[i];
  return bytes;
}

std::string TensorMap::check() const {
  if (rank < 1 || rank > kMostDimensions)
    return "a tensor map of " + std::to_string(rank) + " dimensions";
  if (address % 16 != 0)
    return "a tensor map of an address that is no multiple of 16";
  for (uint32_t i = 0; i != rank; ++i) {
    if (extents[i] < 1 || extents[i] > uint64_t(1) << 32)
      return "a tensor map with an extent of " + std::to_string(extents[i]);
    if (box[i] < 1 || box[i] > 256)
      return "a tensor map with a box of " + std::to_string(box[i]);
    if (i + 1 == rank)
      continue;
    if (strides[i] % 16 != 0 || strides[i] >= uint64_t(1) << 40)
      return "a tensor map with a stride of " + std::to_string(strides[i]);
    if (i > 0 && strides[i] % strides[i - 1] != 0)
      return "a tensor map with a stride that is no multiple of the one before";
  }
  if (box[0] % 16 != 0)
    return "a tensor map with rows of " + std::to_string(box[0]) + " bytes";
  if (swizzle != 0 && swizzle != 3)
    return "a tensor map with a swizzle that is not emulated";
  if (swizzle == 3 && box[0] > 128)
    return "a tensor map with rows of " + std::to_string(box[0]) +
           " bytes, but 128 are swizzled";
  return "";
}

//===----------------------------------------------------------------------===//
// mbarriers
//===----------------------------------------------------------------------===//

Problem BlockAsync::init(uint64_t address, uint32_t count, int warp,
                         const Clock &clock) {
  if (address % 8 != 0)
    return "misaligned mbarrier";
  if (count < 1 || count >= 1u << 20)
    return "an mbarrier of " + std::to_string(count) + " arrivals";
  if (barriers.count(address))
    return "an mbarrier is made where there is one";
  // It takes 8 bytes, which must be there.
  uint64_t zero = 0;
  Access by{warp * 32, 0, 0};
  Problem problem =
      shared.write(address, 8, by, reinterpret_cast<const uint8_t *>(&zero));
  if (!problem.empty())
    return problem;
  Barrier &barrier = barriers[address];
  barrier.expected = barrier.pending = count;
  barrier.maker = warp;
  barrier.madeAt = clock.seen[size_t(warp)];
  return "";
}

void BlockAsync::fenceInit(int warp) {
  for (auto &[address, barrier] : barriers)
    barrier.fenced |= barrier.maker == warp;
}

BlockAsync::Barrier *BlockAsync::find(uint64_t address, int warp,
                                      const Clock &clock, Problem &problem) {
  auto found = barriers.find(address);
  if (found == barriers.end()) {
    problem = "there is no mbarrier at this address";
    return nullptr;
  }
  Barrier &barrier = found->second;
  if (barrier.maker != warp &&
      clock.seen[size_t(barrier.maker)] < barrier.madeAt) {
    problem = "race: the mbarrier was made by warp " +
              std::to_string(barrier.maker) + ", and no barrier lies between";
    return nullptr;
  }
  return &barrier;
}

/// Ends the phase if all have arrived and all bytes are there.
void BlockAsync::settle(Barrier &barrier) {
  ++events;
  if (barrier.pending != 0 || barrier.bytes != 0)
    return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  barrier.passed.merge(barrier.arrived);
  barrier.arrived = Clock();
}

Problem BlockAsync::expectBytes(uint64_t address, int64_t bytes, int warp,
                                const Clock &clock) {
  Problem problem;
  if (Barrier *barrier = find(address, warp, clock, problem))
    barrier->bytes += bytes;
  return problem;
}

Problem BlockAsync::arrive(uint64_t address, int warp, Clock &clock) {
  Problem problem;
  Barrier *barrier = find(address, warp, clock, problem);
  if (!barrier)
    return problem;
  if (barrier->pending == 0)
    return "the mbarrier waits for bytes, and all " +
           std::to_string(barrier->expected) + " arrivals have been";
  --barrier->pending;
  barrier->arrived.merge(clock);
  ++clock.seen[size_t(warp)];
  settle(*barrier);
  return "";
}

Problem BlockAsync::tryWait(uint64_t address, uint32_t parity, int warp,
                            Clock &clock, bool &done) {
  Problem problem;
  Barrier *barrier = find(address, warp, clock, problem);
  if (!barrier)
    return problem;
  done = (barrier->phase & 1) != parity;
  if (done && barrier->phase) {
    clock.merge(barrier->passed);
    barrier->observed[size_t(warp)] = barrier->phase;
  }
  return "";
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

static bool overlap(uint64_t a, uint64_t aEnd, uint64_t b, uint64_t bEnd) {
  return a < bEnd && b < aEnd;
}

Problem BlockAsync::copyTile(const TensorMap &map,
                             const std::vector<int64_t> &at, uint64_t to,
                             uint64_t barrier, const Access &by,
                             const Clock &clock) {
  int warp = by.thread / 32;
  if (at.size() != map.rank)
    return std::to_string(at.size()) + " coordinates for a tensor map of " +
           std::to_string(map.rank) + " dimensions";
  // Swizzled rows repeat after 1024 bytes.
  uint64_t alignment = map.swizzle ? 1024 : 128;
  if (to % alignment != 0)
    return "misaligned tile: it begins at byte " +
           std::to_string(to - SharedMemory::kBase) +
           " of shared memory, expected a multiple of " +
           std::to_string(alignment);
  Problem problem;
  Barrier *signal = find(barrier, warp, clock, problem);
  if (!signal)
    return problem;
  if (!signal->fenced)
    return "no fence lies between the making of the mbarrier and this copy";
  uint64_t end = to + map.boxBytes();
  for (const Read &read : reads) {
    if (!overlap(to, end, read.begin, read.end))
      continue;
    if (!read.over)
      return "race: a product of warp " + std::to_string(read.warp) +
             " that is under way reads what this copy writes";
    if (clock.seen[size_t(read.warp)] < read.clock)
      return "race: a product of warp " + std::to_string(read.warp) +
             " has read what this copy writes, and it was not waited for";
  }
  reads.erase(std::remove_if(reads.begin(), reads.end(),
                             [&](const Read &read) {
                               return read.begin >= to && read.end <= end;
                             }),
              reads.end());
  for (uint64_t piece = to; piece != end; piece += 16) {
    problem = shared.expect(piece, 16, by);
    if (!problem.empty())
      return problem;
  }
  written.erase(std::remove_if(written.begin(), written.end(),
                               [&](const Written &old) {
                                 return overlap(to, end, old.begin, old.end);
                               }),
                written.end());
  written.push_back({to, end, barrier, signal->phase});
  copies.push_back({map, at, to, barrier, by});
  return "";
}

bool BlockAsync::landOne(Problem &problem) {
  if (copies.empty())
    return false;
  Copy copy = std::move(copies.back());
  copies.pop_back();
  const TensorMap &map = copy.map;
  uint64_t rows = map.boxBytes() / map.box[0];
  std::vector<uint8_t> line(map.box[0]);
  for (uint64_t row = 0; row != rows; ++row) {
    // The place of this row of the box, from the second dimension on.
    uint64_t left = row, from = map.address;
    bool within = true;
    for (uint32_t d = 1; d < map.rank; ++d) {
      int64_t place = copy.at[d] + int64_t(left % map.box[d]);
      left /= map.box[d];
      within &= place >= 0 && uint64_t(place) < map.extents[d];
      from += uint64_t(place) * map.strides[d - 1];
    }
    // What lies outside is zeros.
    for (uint32_t i = 0; i != map.box[0]; ++i) {
      int64_t place = copy.at[0] + int64_t(i);
      line[i] = 0;
      if (!within || place < 0 || uint64_t(place) >= map.extents[0])
        continue;
      const uint8_t *byte =
          memory.read(from + uint64_t(place), 1, /*readOnly=*/true, problem);
      if (!byte)
        return true;
      line[i] = *byte;
    }
    for (uint32_t i = 0; i != map.box[0]; i += 16) {
      uint64_t to = copy.to + row * map.box[0] + i;
      shared.land(map.swizzle ? swizzled128(to) : to, 16, copy.by, &line[i],
                  /*byThread=*/false);
    }
  }
  Barrier &barrier = barriers.at(copy.barrier);
  barrier.bytes -= int64_t(map.boxBytes());
  settle(barrier);
  return true;
}

//===----------------------------------------------------------------------===//
// Reads by products
//===----------------------------------------------------------------------===//

Problem BlockAsync::startRead(uint64_t begin, uint64_t end, int warp,
                              const Clock &clock) {
  for (const Written &copy : written)
    if (overlap(begin, end, copy.begin, copy.end) &&
        barriers.at(copy.barrier).observed[size_t(warp)] <= copy.phase)
      return "the product reads a tile for whose mbarrier this warp has not "
             "waited";
  reads.push_back({begin, end, warp, false, clock.seen[size_t(warp)]});
  return "";
}

void BlockAsync::endReads(int warp, size_t count, const Clock &clock) {
  for (Read &read : reads)
    if (count && read.warp == warp && !read.over) {
      read.over = true;
      read.clock = clock.seen[size_t(warp)];
      --count;
    }
}

} // namespace quern::ptx
