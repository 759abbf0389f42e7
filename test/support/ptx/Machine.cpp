//===- Machine.cpp - Blocks of threads that run PTX -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Machine.h"

#include <algorithm>

namespace quern::ptx {

//===----------------------------------------------------------------------===//
// Warps
//===----------------------------------------------------------------------===//

Warp::Warp(Block &block, int index)
    : block(block), index(index), registers(block.kernel->registers.size()),
      writtenAt(registers.size(), -1), owner(registers.size()) {
  int threads = std::min(32, block.kernel->threads - index * 32);
  alive = threads == 32 ? ~0u : (1u << threads) - 1;
  mayTouchMemory = !block.launch.early;
}

uint64_t Warp::special(Special which, int lane) const {
  switch (which) {
  case Special::ThreadX:
    return uint64_t(thread(lane));
  case Special::ThreadsX:
    return uint64_t(block.kernel->threads);
  case Special::BlockX:
    return uint64_t(block.x);
  case Special::BlockY:
    return uint64_t(block.y);
  case Special::BlocksX:
    return uint64_t(block.launch.gridX);
  case Special::BlocksY:
    return uint64_t(block.launch.gridY);
  case Special::Lane:
    return uint64_t(lane);
  case Special::ThreadY:
  case Special::ThreadZ:
  case Special::BlockZ:
    return 0;
  }
  return 0;
}

const Lanes &Warp::read(const Operand &operand, Lanes &room) {
  switch (operand.kind) {
  case Operand::Register:
    if (anyOwned)
      checkFree(operand.number);
    return registers[size_t(operand.number)];
  case Operand::Special:
    for (int lane = 0; lane != 32; ++lane)
      room[lane] = special(ptx::Special(operand.number), lane);
    return room;
  case Operand::Address:
    if (operand.number >= 0) {
      const Lanes &base = registers[size_t(operand.number)];
      for (int lane = 0; lane != 32; ++lane)
        room[lane] = base[lane] + operand.value;
      return room;
    }
    room.fill(block.symbols.at(operand.symbol) + operand.value);
    return room;
  case Operand::Symbol:
    room.fill(block.symbols.at(operand.symbol));
    return room;
  case Operand::Immediate:
  case Operand::Label:
    room.fill(operand.value);
    return room;
  case Operand::Vector:
  case Operand::Sink:
    break;
  }
  room.fill(0);
  return room;
}

Lanes &Warp::target(const Operand &operand) {
  if (operand.kind != Operand::Register)
    return sink;
  if (anyOwned)
    checkFree(operand.number);
  writtenAt[size_t(operand.number)] = instructions;
  return registers[size_t(operand.number)];
}

void Warp::setPredicate(int number, uint32_t mask) {
  Lanes &lanes = registers[size_t(number)];
  for (int lane = 0; lane != 32; ++lane)
    if (active >> lane & 1)
      lanes[lane] = mask >> lane & 1;
}

uint64_t Warp::globalThread(int lane) const {
  int64_t here = block.y * block.launch.gridX + block.x;
  return uint64_t(here * block.kernel->threads + thread(lane) + 1);
}

void Warp::fail(const Instruction &i, int lane, const std::string &what) {
  if (block.fault)
    return;
  block.fault = "line " + std::to_string(i.line) + " (" + i.name +
                "): block (" + std::to_string(block.x) + ", " +
                std::to_string(block.y) + "), thread " +
                std::to_string(thread(lane)) + ": " + what;
}

bool Warp::needAll(const Instruction &i) {
  if (active == ~0u)
    return true;
  int absent = 0;
  while (active >> absent & 1)
    ++absent;
  fail(i, absent, "the whole warp must take part, but this thread does not");
  return false;
}

bool Warp::needMemory(const Instruction &i) {
  if (!mayTouchMemory)
    fail(i, 0, "touches memory of the device before griddepcontrol.wait");
  return mayTouchMemory;
}

void Warp::branch(uint64_t to) { jump = to; }

void Warp::exit() { alive &= ~active; }

void Warp::stall(const Instruction &i) {
  stalledAt = block.async.events;
  barrierLine = i.line;
}

//===----------------------------------------------------------------------===//
// Sums of products under way
//===----------------------------------------------------------------------===//

void Warp::checkFree(int number) {
  if (const Instruction *product = owner[size_t(number)])
    fail(*current, 0,
         "touches a sum of the product of line " +
             std::to_string(product->line) + ", which is under way");
}

Problem Warp::claimSums(const Instruction &i) {
  for (const Operand &sum : i.operands[0].parts) {
    if (sum.kind != Operand::Register)
      return "sums must be registers";
    const Instruction *before = owner[size_t(sum.number)];
    if (before && before->name != i.name)
      return "the product of line " + std::to_string(before->line) +
             ", which is under way, has these sums in another shape";
    if (fencedAt < 0 || writtenAt[size_t(sum.number)] > fencedAt)
      return "no wgmma.fence lies between a write to its sums and the product";
  }
  for (const Operand &sum : i.operands[0].parts)
    owner[size_t(sum.number)] = &i;
  anyOwned = true;
  return "";
}

void Warp::releaseSums() {
  owner.assign(owner.size(), nullptr);
  anyOwned = !products.empty();
  for (const Product &product : products)
    for (const Operand &sum : product.instruction->operands[0].parts)
      owner[size_t(sum.number)] = product.instruction;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

void Warp::run() {
  const std::vector<Instruction> &code = block.kernel->code;
  stalledAt.reset();
  while (alive && !waiting && !stalledAt && !block.fault) {
    uint32_t here = alive;
    if (!together) {
      place = code.size();
      for (int lane = 0; lane != 32; ++lane)
        if (alive >> lane & 1)
          place = std::min(place, places[lane]);
      here = 0;
      for (int lane = 0; lane != 32; ++lane)
        if (alive >> lane & 1 && places[lane] == place)
          here |= 1u << lane;
      together = here == alive;
    }
    if (place >= code.size()) {
      block.fault = "kernel " + block.kernel->name + " runs past its end";
      return;
    }
    const Instruction &instruction = code[place];
    active = here;
    if (instruction.guard >= 0) {
      const Lanes &guard = registers[size_t(instruction.guard)];
      for (int lane = 0; lane != 32; ++lane)
        if ((guard[lane] & 1) == uint64_t(instruction.guardNegated))
          active &= ~(1u << lane);
    }
    step(instruction);
    // Those that jumped, and those that did not.
    if (jump && active == here) {
      place = size_t(*jump);
    } else if (jump && active) {
      if (together)
        places.fill(place);
      together = false;
    } else {
      ++place;
    }
    if (!together)
      for (int lane = 0; lane != 32; ++lane)
        if (here >> lane & 1)
          places[lane] = jump && active >> lane & 1 ? size_t(*jump)
                         : jump && active != here   ? places[lane] + 1
                                                    : place;
    jump.reset();
  }
}

void Warp::step(const Instruction &instruction) {
  ++instructions;
  current = &instruction;
  if (active)
    instruction.handler(*this, instruction);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

static uint64_t alignUp(uint64_t at, int64_t alignment) {
  uint64_t a = uint64_t(alignment);
  return (at + a - 1) / a * a;
}

/// Where tensor maps are thought to lie: beyond all memory.
static constexpr uint64_t kMaps = uint64_t(1) << 60;

uint64_t Machine::addMap(const TensorMap &map) {
  maps.push_back(map);
  return kMaps + 64 * (maps.size() - 1);
}

const TensorMap *Machine::mapAt(uint64_t address) const {
  if (address < kMaps || address % 64 != 0 ||
      (address - kMaps) / 64 >= maps.size())
    return nullptr;
  return &maps[(address - kMaps) / 64];
}

Error Machine::run(const Program &program, const std::string &name,
                   const Launch &launch,
                   const std::vector<uint64_t> &arguments) {
  auto found = program.kernels.find(name);
  if (found == program.kernels.end())
    return Error::make("there is no kernel '", name, "'");
  const Kernel &kernel = found->second;
  if (arguments.size() != kernel.params.size())
    return Error::make("kernel ", name, " has ", kernel.params.size(),
                       " parameters, got ", arguments.size());
  std::map<std::string, uint64_t> symbols;
  for (size_t i = 0; i != arguments.size(); ++i) {
    symbols[kernel.params[i].name] = arguments[i];
    if (kernel.params[i].bytes > 8 && !mapAt(arguments[i]))
      return Error::make("kernel ", name, ": parameter ", i, " has ",
                         kernel.params[i].bytes,
                         " bytes, expected a tensor map for it");
  }
  // The dynamic array begins behind all others.
  uint64_t shared = SharedMemory::kBase, alignment = 1;
  for (const auto *variables : {&program.variables, &kernel.variables})
    for (const Variable &variable : *variables) {
      if (variable.isShared && !variable.isExternal) {
        shared = alignUp(shared, variable.alignment);
        symbols[variable.name] = shared;
        shared += uint64_t(variable.bytes);
      } else if (variable.isShared) {
        alignment = std::max(alignment, uint64_t(variable.alignment));
      } else if (variable.isExternal) {
        return Error::make("variable ", variable.name, " is nowhere defined");
      } else {
        auto [place, isNew] = globals.try_emplace(variable.name, 0);
        if (isNew) {
          placed.push_back(variable.init);
          placed.back().resize(size_t(variable.bytes));
          place->second = memory.add(variable.name, placed.back().data(),
                                     placed.back().size(), /*writable=*/false);
        }
        symbols[variable.name] = place->second;
      }
    }
  shared = alignUp(shared, int64_t(alignment));
  for (const Variable &variable : program.variables)
    if (variable.isShared && variable.isExternal)
      symbols[variable.name] = shared;
  size_t sharedSize =
      size_t(shared - SharedMemory::kBase) + size_t(launch.sharedBytes);

  memory.startLaunch();
  for (int64_t y = 0; y != launch.gridY; ++y)
    for (int64_t x = 0; x != launch.gridX; ++x) {
      Block block(*this, kernel, launch, x, y, symbols, sharedSize);
      count += block.run();
      if (block.fault)
        return Error(*block.fault);
    }
  return Error::success();
}

} // namespace quern::ptx
