//===- Emulator.cpp - AMX instructions on CPUs without AMX ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "test/support/amx/Emulator.h"

#include "test/support/amx/Tiles.h"

#include <atomic>
#include <cpuid.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace quern::amx {

/// Without an initializer: zeros, and no code that makes them at first use.
static __attribute__((tls_model("initial-exec"))) thread_local Tiles tiles;

static std::atomic<uint64_t> executed[kOpCount], spilled;
static struct sigaction previous;

static constexpr int8_t kStackPointer = 4;

static uint64_t readRegister(const ucontext_t &user, int8_t number) {
  static constexpr int places[16] = {
      REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return uint64_t(user.uc_mcontext.gregs[places[number]]);
}

[[noreturn]] static void refuse(const Instruction &instruction,
                                const ucontext_t &user, uint64_t memory,
                                int64_t stride, const char *why) {
  char text[400];
  int length = std::snprintf(
      text, sizeof(text),
      "AMX emulator: %s with tiles %d, %d, %d, address 0x%llx, stride %lld, at "
      "0x%llx: %s\n",
      nameOf(instruction.op), instruction.tile, instruction.left,
      instruction.right, (unsigned long long)memory, (long long)stride,
      (unsigned long long)user.uc_mcontext.gregs[REG_RIP], why);
  if (write(STDERR_FILENO, text, size_t(length)) != length)
    std::abort();
  std::abort();
}

static void run(const Instruction &instruction, ucontext_t &user) {
  const Address &address = instruction.address;
  auto &rip = user.uc_mcontext.gregs[REG_RIP];
  uint64_t memory = uint64_t(int64_t(address.offset)), index = 0;
  if (address.base == Address::kNextInstruction)
    memory += uint64_t(rip) + instruction.length;
  else if (address.base != Address::kNone)
    memory += readRegister(user, address.base);
  if (address.index != Address::kNone)
    index = readRegister(user, address.index) << address.shift;
  bool isConfig =
      instruction.op == Op::LoadConfig || instruction.op == Op::StoreConfig;
  if (isConfig)
    memory += index;
  if (const char *why =
          execute(tiles, instruction, reinterpret_cast<uint8_t *>(memory),
                  int64_t(index)))
    refuse(instruction, user, memory, int64_t(index), why);
  executed[size_t(instruction.op)].fetch_add(1, std::memory_order_relaxed);
  bool isMove = instruction.op == Op::Load ||
                instruction.op == Op::LoadStreamed ||
                instruction.op == Op::Store;
  if (isMove && address.base == kStackPointer)
    spilled.fetch_add(1, std::memory_order_relaxed);
  rip += instruction.length;
}

static void chain(int signal, siginfo_t *info, void *context) {
  if (previous.sa_flags & SA_SIGINFO)
    return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    return previous.sa_handler(signal);
  // The instruction is executed once more and ends the process.
  std::signal(signal, SIG_DFL);
}

static void handle(int signal, siginfo_t *info, void *context) {
  ucontext_t &user = *static_cast<ucontext_t *>(context);
  bool isOurs = false;
  Instruction instruction;
  // Those that follow at once, too: a signal costs more than they do.
  while (
      decode(reinterpret_cast<const uint8_t *>(user.uc_mcontext.gregs[REG_RIP]),
             instruction)) {
    run(instruction, user);
    isOurs = true;
  }
  if (!isOurs)
    chain(signal, info, context);
}

bool isNative() {
  static const bool native = [] {
    constexpr long requestPermission = 0x1023, tileData = 18;
    uint32_t a, b, c, d;
    constexpr uint32_t tilesAndBytes = 3u << 24;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (d & tilesAndBytes) == tilesAndBytes &&
           syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  }();
  return native;
}

void install() {
  static const bool done = [] {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGILL, &action, &previous) == 0;
  }();
  if (!done) {
    std::fprintf(stderr, "AMX emulator: the handler cannot be installed\n");
    std::abort();
  }
}

Counts counts() {
  Counts result;
  for (size_t i = 0; i < kOpCount; ++i)
    result.of[i] = executed[i].load();
  result.spills = spilled.load();
  return result;
}

void resetCounts() {
  for (std::atomic<uint64_t> &count : executed)
    count.store(0);
  spilled.store(0);
}

void releaseTiles() { tiles = Tiles(); }

} // namespace quern::amx
