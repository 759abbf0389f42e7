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

#include "test/support/ptx/Async.h"
#include "test/support/ptx/Memory.h"
#include "test/support/ptx/Program.h"

#include <array>
#include <deque>
#include <memory>
#include <optional>

namespace quern::ptx {

/// One value for each lane of a warp; bits beyond its width are zeros.
using Lanes = std::array<uint64_t, 32>;

struct Launch {
  int64_t gridX = 1, gridY = 1, sharedBytes = 0;
  /// The kernel before may still run: memory of the device may be touched only
  /// behind the wait for it.
  bool early = false;
};

class Machine {
public:
  GlobalMemory memory;

  /// The argument that stands for a tensor map, which is kept.
  uint64_t addMap(const TensorMap &map);
  /// Forgets all.
  void forgetMaps() { maps.clear(); }
  /// That of an argument, or null.
  const TensorMap *mapAt(uint64_t address) const;

  /// Runs all blocks. Arguments are addresses, integers, the bits of an f32, or
  /// what addMap gave.
  Error run(const Program &program, const std::string &kernel,
            const Launch &launch, const std::vector<uint64_t> &arguments);

  /// Instructions that warps have run, in all launches.
  int64_t instructions() const { return count; }

private:
  int64_t count = 0;
  /// Variables of programs that have been placed; they outlive a launch.
  std::deque<std::vector<uint8_t>> placed;
  std::map<std::string, uint64_t> globals;
  std::deque<TensorMap> maps;
};

class Warp;

/// What the warps of a block share.
struct Block {
  Block(Machine &machine, const Kernel &kernel, const Launch &launch, int64_t x,
        int64_t y, std::map<std::string, uint64_t> symbols, size_t sharedSize);
  ~Block();
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;

  /// Runs its warps in turns, each as far as it can go. Returns how many
  /// instructions they took; see `fault`.
  int64_t run();

  Machine *machine;
  const Kernel *kernel;
  GlobalMemory *memory;
  Launch launch;
  int64_t x, y;
  std::map<std::string, uint64_t> symbols;
  SharedMemory shared;
  BlockAsync async;
  uint32_t epoch = 0;
  std::optional<std::string> fault;
  /// By warp.
  std::array<Clock, 32> clocks;

  /// A product that the warps of a warpgroup do together.
  struct Product {
    int line;
    uint64_t a, b;
    bool operator!=(const Product &other) const {
      return line != other.line || a != other.a || b != other.b;
    }
  };
  /// Of each warpgroup, all so far.
  std::array<std::vector<Product>, 8> products;

private:
  std::string name() const;
  /// Lets them pass a barrier, if all wait at it.
  void passBarrier();
  /// One more step for those that wait for an mbarrier; false if there is none.
  bool landCopy();
  void checkEnd(const Warp &warp);

  std::vector<std::unique_ptr<Warp>> warps;
};

class Warp {
public:
  Warp(Block &block, int index);

  /// Runs to a barrier or to the end.
  void run();
  bool finished() const { return alive == 0; }
  bool waiting = false;
  /// Whether it waits for an mbarrier to which nothing has happened since.
  bool stalled() const { return stalledAt && *stalledAt == block.async.events; }
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
  /// Has waited for the kernel before.
  bool mayTouchMemory = true;
  /// False, with a fault, if memory of the device may not be touched yet.
  bool needMemory(const Instruction &i);
  /// Ends the turn; the next one begins when something happens to an mbarrier.
  void stall(const Instruction &i);

  struct Copy {
    uint64_t to;
    std::array<uint8_t, 16> bytes;
    int64_t group;
  };
  /// Copies under way of each lane, and the groups that it has committed.
  std::array<std::deque<Copy>, 32> copies;
  std::array<int64_t, 32> groups{};

  // Products of warpgroups.
  struct Product {
    const Instruction *instruction;
    uint64_t a, b;
    bool adds;
    int64_t group;
  };
  /// Those under way, and groups committed.
  std::deque<Product> products;
  int64_t productGroup = 0;
  size_t productCount = 0;
  /// Gives the sums to a product. Wrong, if the warp wrote them behind its last
  /// fence, or if a product of another shape has them.
  Problem claimSums(const Instruction &i);
  Lanes &sumsOf(const Operand &operand) {
    return registers[size_t(operand.number)];
  }
  /// Takes those back that no product under way has.
  void releaseSums();
  void fenceSums() { fencedAt = instructions; }

private:
  void step(const Instruction &instruction);
  /// A fault if a product under way has the register.
  void checkFree(int number);
  uint64_t special(Special which, int lane) const;

  std::vector<Lanes> registers;
  Lanes sink;
  /// For each register the instruction that wrote it last, and the product that
  /// has it.
  std::vector<int64_t> writtenAt;
  std::vector<const Instruction *> owner;
  bool anyOwned = false;
  int64_t fencedAt = -1;
  std::optional<uint64_t> stalledAt;
  const Instruction *current = nullptr;
  /// Next instruction of each lane; of all, where the lanes agree.
  std::array<size_t, 32> places{};
  size_t place = 0;
  bool together = true;
  std::optional<uint64_t> jump;
};

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_MACHINE_H
