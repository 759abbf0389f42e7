//===- Async.h - Copies and products that go on by themselves ---*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What a block of sm_90 has under way: mbarriers, copies of tiles (TMA), and
// the shared memory that warpgroup products read. Copies land as late as they
// may, so that whoever does not wait for one is found out. Who has seen what of
// others is kept in a clock for each warp (vector clocks): an arrival hands the
// arriver's to the mbarrier, a wait takes it from there.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_ASYNC_H
#define QUERN_TEST_SUPPORT_PTX_ASYNC_H

#include "test/support/ptx/Memory.h"
#include "test/support/ptx/TensorMap.h"

#include <array>
#include <deque>
#include <map>

namespace quern::ptx {

/// For each warp of a block, how much of it has been seen; it counts its own
/// arrivals and barriers.
struct Clock {
  std::array<uint32_t, 32> seen{};

  void merge(const Clock &other) {
    for (size_t i = 0; i != seen.size(); ++i)
      seen[i] = seen[i] < other.seen[i] ? other.seen[i] : seen[i];
  }
};

class BlockAsync {
public:
  BlockAsync(GlobalMemory &memory, SharedMemory &shared)
      : memory(memory), shared(shared) {}

  // mbarriers.
  Problem init(uint64_t address, uint32_t count, int warp, const Clock &clock);
  /// Mbarriers that the warp has made may take part in copies from now on.
  void fenceInit(int warp);
  Problem expectBytes(uint64_t address, int64_t bytes, int warp,
                      const Clock &clock);
  /// One arrival; the arriver's clock goes on.
  Problem arrive(uint64_t address, int warp, Clock &clock);
  /// Whether the phase of this parity is over; if so, what went before its
  /// arrivals has been seen.
  Problem tryWait(uint64_t address, uint32_t parity, int warp, Clock &clock,
                  bool &done);

  /// Starts the copy of a tile.
  Problem copyTile(const TensorMap &map, const std::vector<int64_t> &at,
                   uint64_t to, uint64_t barrier, const Access &by,
                   const Clock &clock);
  /// Lands one copy, the last one first: they may overtake each other. False
  /// if none is under way.
  bool landOne(Problem &problem);
  bool copiesLeft() const { return !copies.empty(); }

  // Reads by the products of a warp.
  /// Announces one of a range; ends with endReads.
  Problem startRead(uint64_t begin, uint64_t end, int warp, const Clock &clock);
  /// The oldest `count` reads of the warp are over.
  void endReads(int warp, size_t count, const Clock &clock);

  /// Counts what may let a waiting warp go on.
  uint64_t events = 0;

private:
  struct Barrier {
    uint32_t expected = 0, pending = 0;
    int64_t bytes = 0;
    uint64_t phase = 0;
    int maker = 0;
    uint32_t madeAt = 0;
    bool fenced = false;
    Clock arrived, passed;
    /// Phases that each warp knows to be over.
    std::array<uint64_t, 32> observed{};
  };
  struct Copy {
    TensorMap map;
    std::vector<int64_t> at;
    uint64_t to, barrier;
    Access by;
  };
  /// What a copy has written, or will.
  struct Written {
    uint64_t begin, end, barrier, phase;
  };
  struct Read {
    uint64_t begin, end;
    int warp;
    bool over;
    uint32_t clock;
  };
  Barrier *find(uint64_t address, int warp, const Clock &clock,
                Problem &problem);
  void settle(Barrier &barrier);

  GlobalMemory &memory;
  SharedMemory &shared;
  std::map<uint64_t, Barrier> barriers;
  std::deque<Copy> copies;
  std::vector<Written> written;
  std::vector<Read> reads;
};

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_ASYNC_H
