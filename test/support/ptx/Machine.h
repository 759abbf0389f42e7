//===- Machine.h - Blocks of threads that run PTX ---------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//   Machine machine;
//   uint64_t x = machine.memory.add("x", data, size, /*writable=*/false);
//   Error error = machine.run(program, "kernel", {gridX, gridY, sharedBytes},
//                             {x, 3});
//
// A warp is run in lockstep as far as its lanes agree; where they part, those
// that are further back go first. Faults stop the launch: the error names the
// line, the block and the thread.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_MACHINE_H
#define QUERN_TEST_SUPPORT_PTX_MACHINE_H

#include "test/support/ptx/Memory.h"
#include "test/support/ptx/Program.h"

#include <array>
#include <deque>
#include <optional>

namespace quern::ptx {

/// One value for each lane of a warp; bits beyond its width are zeros.
using Lanes = std::array<uint64_t, 32>;

struct Launch {
  int64_t gridX = 1, gridY = 1, sharedBytes = 0;
};

class Machine {
public:
  GlobalMemory memory;

  /// Runs all blocks. Arguments are addresses, integers, or the bits of an f32.
  Error run(const Program &program, const std::string &kernel,
            const Launch &launch, const std::vector<uint64_t> &arguments);

  /// Instructions that warps have run, in all launches.
  int64_t instructions() const { return count; }

private:
  int64_t count = 0;
  /// Variables of programs that have been placed; they outlive a launch.
  std::deque<std::vector<uint8_t>> placed;
  std::map<std::string, uint64_t> globals;
};

/// What the warps of a block share.
struct Block {
  const Kernel *kernel;
  GlobalMemory *memory;
  Launch launch;
  int64_t x, y;
  std::map<std::string, uint64_t> symbols;
  SharedMemory shared;
  uint32_t epoch = 0;
  std::optional<std::string> fault;
};

class Warp {
public:
  Warp(Block &block, int index);

  /// Runs to a barrier or to the end.
  void run();
  bool finished() const { return alive == 0; }
  bool waiting = false;
  int64_t instructions = 0;
  /// Line of the barrier at which the warp waits.
  int barrierLine = 0;

  // For the handlers of instructions.
  Block &block;
  int index;
  uint32_t active = 0, alive = 0;
  uint32_t epoch = 0;

  /// The values of an operand; `room` is used where they are not a register's.
  const Lanes &read(const Operand &operand, Lanes &room);
  /// Where results go.
  Lanes &target(const Operand &operand);
  void setPredicate(int number, uint32_t mask);
  int thread(int lane) const { return index * 32 + lane; }
  Access access(int lane) const { return {thread(lane), block.epoch, epoch}; }
  /// A number other than 0 for every thread of the launch.
  uint64_t globalThread(int lane) const;

  void fail(const Instruction &i, int lane, const std::string &what);
  /// False, with a fault, unless all lanes take part.
  bool needAll(const Instruction &i);
  void branch(uint64_t to);
  void exit();

  struct Copy {
    uint64_t to;
    std::array<uint8_t, 16> bytes;
    int64_t group;
  };
  /// Copies under way of each lane, and the groups that it has committed.
  std::array<std::deque<Copy>, 32> copies;
  std::array<int64_t, 32> groups{};

private:
  void step(const Instruction &instruction);
  uint64_t special(Special which, int lane) const;

  std::vector<Lanes> registers;
  Lanes sink;
  /// Next instruction of each lane; of all, where the lanes agree.
  std::array<size_t, 32> places{};
  size_t place = 0;
  bool together = true;
  std::optional<uint64_t> jump;
};

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_MACHINE_H
