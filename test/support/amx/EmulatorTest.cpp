//===- EmulatorTest.cpp - AMX instructions on CPUs without AMX ------------===//
//
// Encodings as an assembler makes them, products against plain loops, what the
// CPU refuses, and real instructions: on a CPU with AMX the same ones run
// natively, with the same bytes.
//
//===----------------------------------------------------------------------===//
#include "test/support/amx/Emulator.h"

#include "test/support/amx/Tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <random>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace quern::amx;

namespace {

struct Encoding {
  const char *text;
  std::vector<uint8_t> bytes;
  Instruction expected;
};

constexpr int8_t kNone = Address::kNone;

/// Registers: 0 rax, 2 rdx, 4 rsp, 5 rbp, 6 rsi, 8 r8, 9 r9, 12 r12, 13 r13.
const std::vector<Encoding> &encodings() {
  static const std::vector<Encoding> all = {
      {"ldtilecfg (%rsp)",
       {0xc4, 0xe2, 0x78, 0x49, 0x04, 0x24},
       {Op::LoadConfig, 6, 0, 0, 0, {4, kNone, 0, 0}}},
      {"ldtilecfg 16(%r12)",
       {0xc4, 0xc2, 0x78, 0x49, 0x44, 0x24, 0x10},
       {Op::LoadConfig, 7, 0, 0, 0, {12, kNone, 0, 16}}},
      {"ldtilecfg 0x1234(%rip)",
       {0xc4, 0xe2, 0x78, 0x49, 0x05, 0x34, 0x12, 0x00, 0x00},
       {Op::LoadConfig,
        9,
        0,
        0,
        0,
        {Address::kNextInstruction, kNone, 0, 0x1234}}},
      {"ldtilecfg 0x1234",
       {0xc4, 0xe2, 0x78, 0x49, 0x04, 0x25, 0x34, 0x12, 0x00, 0x00},
       {Op::LoadConfig, 10, 0, 0, 0, {kNone, kNone, 0, 0x1234}}},
      {"ldtilecfg 256(%r13,%r9,4)",
       {0xc4, 0x82, 0x78, 0x49, 0x84, 0x8d, 0x00, 0x01, 0x00, 0x00},
       {Op::LoadConfig, 10, 0, 0, 0, {13, 9, 2, 256}}},
      {"sttilecfg -64(%rbp)",
       {0xc4, 0xe2, 0x79, 0x49, 0x45, 0xc0},
       {Op::StoreConfig, 6, 0, 0, 0, {5, kNone, 0, -64}}},
      {"tilerelease",
       {0xc4, 0xe2, 0x78, 0x49, 0xc0},
       {Op::Release, 5, 0, 0, 0, {}}},
      {"tilezero %tmm5",
       {0xc4, 0xe2, 0x7b, 0x49, 0xe8},
       {Op::Zero, 5, 5, 0, 0, {}}},
      {"tileloadd (%rsi,%rdx), %tmm3",
       {0xc4, 0xe2, 0x7b, 0x4b, 0x1c, 0x16},
       {Op::Load, 6, 3, 0, 0, {6, 2, 0, 0}}},
      {"tileloadd 64(%r15,%r8,2), %tmm7",
       {0xc4, 0x82, 0x7b, 0x4b, 0x7c, 0x47, 0x40},
       {Op::Load, 7, 7, 0, 0, {15, 8, 1, 64}}},
      {"tileloaddt1 4096(%r13,%r12), %tmm1",
       {0xc4, 0x82, 0x79, 0x4b, 0x8c, 0x25, 0x00, 0x10, 0x00, 0x00},
       {Op::LoadStreamed, 10, 1, 0, 0, {13, 12, 0, 4096}}},
      {"tileloadd (%rsp), %tmm1",
       {0xc4, 0xe2, 0x7b, 0x4b, 0x0c, 0x24},
       {Op::Load, 6, 1, 0, 0, {4, kNone, 0, 0}}},
      {"tileloadd 256(,%rdx,8), %tmm1",
       {0xc4, 0xe2, 0x7b, 0x4b, 0x0c, 0xd5, 0x00, 0x01, 0x00, 0x00},
       {Op::Load, 10, 1, 0, 0, {kNone, 2, 3, 256}}},
      {"tilestored %tmm2, 1024(%rsp,%r11)",
       {0xc4, 0xa2, 0x7a, 0x4b, 0x94, 0x1c, 0x00, 0x04, 0x00, 0x00},
       {Op::Store, 10, 2, 0, 0, {4, 11, 0, 1024}}},
      {"tdpbusd %tmm3, %tmm2, %tmm1",
       {0xc4, 0xe2, 0x61, 0x5e, 0xca},
       {Op::DotUS, 5, 1, 2, 3, {}}},
      {"tdpbssd %tmm3, %tmm2, %tmm1",
       {0xc4, 0xe2, 0x63, 0x5e, 0xca},
       {Op::DotSS, 5, 1, 2, 3, {}}},
      {"tdpbsud %tmm3, %tmm2, %tmm1",
       {0xc4, 0xe2, 0x62, 0x5e, 0xca},
       {Op::DotSU, 5, 1, 2, 3, {}}},
      {"tdpbuud %tmm7, %tmm6, %tmm0",
       {0xc4, 0xe2, 0x40, 0x5e, 0xc6},
       {Op::DotUU, 5, 0, 6, 7, {}}},
  };
  return all;
}

/// A copy of the bytes at the end of a page behind which none may be read.
class LastBytes {
public:
  explicit LastBytes(const std::vector<uint8_t> &bytes) {
    size = size_t(getpagesize());
    page =
        static_cast<uint8_t *>(mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(page + size, size, PROT_NONE);
    start = page + size - bytes.size();
    std::copy(bytes.begin(), bytes.end(), start);
  }
  ~LastBytes() { munmap(page, 2 * size); }
  const uint8_t *get() const { return start; }

private:
  size_t size;
  uint8_t *page, *start;
};

TEST(AmxDecode, WhatAnAssemblerWrites) {
  for (const Encoding &each : encodings()) {
    SCOPED_TRACE(each.text);
    Instruction got;
    ASSERT_TRUE(decode(LastBytes(each.bytes).get(), got));
    EXPECT_EQ(std::string(each.text).find(nameOf(got.op)), 0u);
    EXPECT_EQ(got.op, each.expected.op);
    EXPECT_EQ(got.length, each.bytes.size());
    EXPECT_EQ(got.address.base, each.expected.address.base);
    EXPECT_EQ(got.address.index, each.expected.address.index);
    EXPECT_EQ(got.address.shift, each.expected.address.shift);
    EXPECT_EQ(got.address.offset, each.expected.address.offset);
    if (got.op == Op::LoadConfig || got.op == Op::StoreConfig ||
        got.op == Op::Release)
      continue;
    EXPECT_EQ(got.tile, each.expected.tile);
    if (got.op < Op::DotSS)
      continue;
    EXPECT_EQ(got.left, each.expected.left);
    EXPECT_EQ(got.right, each.expected.right);
  }
}

TEST(AmxDecode, NothingElse) {
  const std::vector<std::pair<const char *, std::vector<uint8_t>>> others = {
      {"ret", {0xc3}},
      {"ud2", {0x0f, 0x0b}},
      {"andn %rcx, %rbx, %rax", {0xc4, 0xe2, 0xe0, 0xf2, 0xc1}},
      {"vpdpbusd %ymm0, %ymm1, %ymm2", {0xc4, 0xe2, 0x75, 0x50, 0xd0}},
      {"tdpbf16ps %tmm3, %tmm2, %tmm1", {0xc4, 0xe2, 0x62, 0x5c, 0xca}},
      {"of 256 bits", {0xc4, 0xe2, 0x65, 0x5e, 0xca}},
      {"with 64-bit operands", {0xc4, 0xe2, 0xe1, 0x5e, 0xca}},
      {"of another map", {0xc4, 0xe3, 0x61, 0x5e, 0xca}},
      {"tile 9", {0xc4, 0x62, 0x61, 0x5e, 0xca}},
      {"right tile 11", {0xc4, 0xe2, 0x21, 0x5e, 0xca}},
      {"left tile 10", {0xc4, 0xc2, 0x61, 0x5e, 0xca}},
      {"dot with memory", {0xc4, 0xe2, 0x61, 0x5e, 0x0a}},
      {"load without SIB", {0xc4, 0xe2, 0x7b, 0x4b, 0x1e}},
      {"load of a register", {0xc4, 0xe2, 0x7b, 0x4b, 0xdc}},
      {"load without prefix", {0xc4, 0xe2, 0x78, 0x4b, 0x1c, 0x16}},
      {"load with a third operand", {0xc4, 0xe2, 0x73, 0x4b, 0x1c, 0x16}},
      {"ldtilecfg /1", {0xc4, 0xe2, 0x78, 0x49, 0x0c, 0x24}},
      {"tilerelease of 1", {0xc4, 0xe2, 0x78, 0x49, 0xc1}},
      {"tilezero with r/m", {0xc4, 0xe2, 0x7b, 0x49, 0xe9}},
  };
  Instruction ignored;
  for (auto &[text, bytes] : others)
    EXPECT_FALSE(decode(LastBytes(bytes).get(), ignored)) << text;
}

/// An instruction with at most one tile.
Instruction simple(Op op, uint8_t tile = 0) { return {op, 5, tile, 0, 0, {}}; }

Instruction dotOf(Op op, uint8_t sums, uint8_t left, uint8_t right) {
  return {op, 5, sums, left, right, {}};
}

/// Sums of tile 0 are left (tile 1) times right (tile 2).
Config configOf(uint8_t rows, uint16_t columns, uint8_t depth) {
  Config config = {};
  config.palette = 1;
  config.rows[0] = config.rows[1] = rows;
  config.rowBytes[0] = config.rowBytes[2] = uint16_t(4 * columns);
  config.rowBytes[1] = uint16_t(4 * depth);
  config.rows[2] = depth;
  return config;
}

template <typename Left, typename Right> void checkDot(Op op) {
  std::mt19937 random(3);
  for (auto [rows, columns, depth] :
       {std::tuple(16, 16, 16), {1, 16, 16}, {16, 3, 5}, {7, 1, 16}}) {
    SCOPED_TRACE(nameOf(op));
    alignas(64) uint8_t memory[3][1024];
    for (auto &tile : memory)
      for (uint8_t &byte : tile)
        byte = random() % 4 ? uint8_t(random())
                            : uint8_t(random() % 2 ? 0x80 : 0xff);
    // Sums that wrap around.
    std::memset(memory[0], 0x7f, 256);
    Config config = configOf(uint8_t(rows), uint16_t(columns), uint8_t(depth));
    Tiles tiles = {};
    auto *bytes = reinterpret_cast<uint8_t *>(&config);
    ASSERT_EQ(execute(tiles, simple(Op::LoadConfig), bytes, 0), nullptr);
    for (uint8_t i = 0; i < 3; ++i)
      ASSERT_EQ(execute(tiles, simple(Op::Load, i), memory[i], 64), nullptr);
    ASSERT_EQ(execute(tiles, dotOf(op, 0, 1, 2), nullptr, 0), nullptr);
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n) {
        uint32_t sum = 0, got;
        if (m < rows && n < columns) {
          std::memcpy(&sum, memory[0] + 64 * m + 4 * n, 4);
          for (int k = 0; k < depth; ++k)
            for (int i = 0; i < 4; ++i)
              sum += uint32_t(Left(memory[1][64 * m + 4 * k + i]) *
                              Right(memory[2][64 * k + 4 * n + i]));
        }
        std::memcpy(&got, tiles.data[0][m] + 4 * n, 4);
        ASSERT_EQ(got, sum) << m << ", " << n;
      }
  }
}

TEST(AmxTiles, DotsOfAllSigns) {
  checkDot<uint8_t, int8_t>(Op::DotUS);
  checkDot<int8_t, int8_t>(Op::DotSS);
  checkDot<int8_t, uint8_t>(Op::DotSU);
  checkDot<uint8_t, uint8_t>(Op::DotUU);
}

TEST(AmxTiles, RowsAndColumnsAreThoseOfTheConfiguration) {
  std::vector<uint8_t> from(64 * 16), to(64 * 16, 0xa5);
  for (size_t i = 0; i < from.size(); ++i)
    from[i] = uint8_t(i * 7 + 1);
  Config config = configOf(3, 5, 16);
  config.startRow = 1;
  Tiles tiles = {};
  auto *bytes = reinterpret_cast<uint8_t *>(&config);
  ASSERT_EQ(execute(tiles, simple(Op::LoadConfig), bytes, 0), nullptr);
  // From the row that an interrupted load would have left; the next is whole.
  ASSERT_EQ(execute(tiles, simple(Op::Load, 0), from.data(), 40), nullptr);
  EXPECT_EQ(tiles.data[0][0][0], 0);
  EXPECT_EQ(tiles.data[0][1][0], from[40]);
  ASSERT_EQ(execute(tiles, simple(Op::Load, 0), from.data(), 40), nullptr);
  ASSERT_EQ(execute(tiles, simple(Op::Store, 0), to.data(), 24), nullptr);
  for (size_t i = 0; i < to.size(); ++i) {
    bool written = i < 3 * 24 && i % 24 < 20;
    ASSERT_EQ(to[i], written ? from[i / 24 * 40 + i % 24] : 0xa5) << i;
  }
  uint8_t stored[64];
  ASSERT_EQ(execute(tiles, simple(Op::StoreConfig), stored, 0), nullptr);
  config.startRow = 0;
  EXPECT_EQ(std::memcmp(stored, &config, 64), 0);
  ASSERT_EQ(execute(tiles, simple(Op::Release), nullptr, 0), nullptr);
  ASSERT_EQ(execute(tiles, simple(Op::StoreConfig), stored, 0), nullptr);
  EXPECT_EQ(std::count(stored, stored + 64, 0), 64);
}

/// Why `instruction` is refused under this configuration.
std::string refusalOf(const Config &config, const Instruction &instruction) {
  Tiles tiles = {};
  uint8_t memory[64];
  std::memcpy(memory, &config, 64);
  const char *why = execute(tiles, simple(Op::LoadConfig), memory, 0);
  if (!why && instruction.op != Op::LoadConfig)
    why = execute(tiles, instruction, nullptr, 0);
  return why ? why : "";
}

TEST(AmxTiles, ConfigurationsThatFault) {
  auto refusal = [](auto change) {
    Config config = configOf(16, 16, 16);
    change(config);
    return refusalOf(config, simple(Op::LoadConfig));
  };
  EXPECT_EQ(refusal([](Config &) {}), "");
  EXPECT_EQ(refusal([](Config &c) { c.palette = 2; }),
            "#GP: there is no such palette");
  const char *reserved = "#GP: reserved bytes of the configuration are not "
                         "zero";
  EXPECT_EQ(refusal([](Config &c) { c.reserved[13] = 1; }), reserved);
  EXPECT_EQ(refusal([](Config &c) { c.reserved2[0] = 1; }), reserved);
  EXPECT_EQ(refusal([](Config &c) { c.reserved3[7] = 1; }), reserved);
  const char *large = "#GP: a tile has more than 16 rows of 64 bytes";
  EXPECT_EQ(refusal([](Config &c) { c.rows[7] = 17; }), large);
  EXPECT_EQ(refusal([](Config &c) { c.rowBytes[7] = 65; }), large);
  EXPECT_EQ(refusal([](Config &c) { c.rows[7] = 1; }),
            "#GP: a tile has rows without bytes or bytes without rows");
}

TEST(AmxTiles, InstructionsThatFault) {
  Config config = configOf(16, 16, 16), none = {}, other;
  config.rows[4] = 8;
  config.rowBytes[4] = 64;
  for (const Encoding &each : encodings())
    if (each.expected.op >= Op::Zero) {
      EXPECT_EQ(refusalOf(none, each.expected),
                "#UD: tiles are not configured");
    }
  const char *empty = "#UD: the tile has no rows";
  EXPECT_EQ(refusalOf(config, simple(Op::Zero, 3)), empty);
  EXPECT_EQ(refusalOf(config, simple(Op::Load, 3)), empty);
  EXPECT_EQ(refusalOf(config, simple(Op::Store, 3)), empty);
  other = config;
  other.startRow = 9;
  const char *beyond = "#UD: the row to start at is beyond the tile";
  EXPECT_EQ(refusalOf(other, simple(Op::Load, 4)), beyond);
  EXPECT_EQ(refusalOf(other, simple(Op::Store, 4)), beyond);
  EXPECT_EQ(refusalOf(other, dotOf(Op::DotUS, 0, 1, 2)),
            "#UD: the row to start at is not the first");
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 1, 2)), "");
  const char *same = "#UD: two of the three tiles are the same";
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 0, 2)), same);
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 1, 0)), same);
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 1, 1)), same);
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 1, 3)),
            "#UD: a tile has no rows");
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 4, 2)),
            "#UD: the sums have other rows than the left factor");
  other = config;
  other.rowBytes[0] = 60;
  EXPECT_EQ(refusalOf(other, dotOf(Op::DotUS, 0, 1, 2)),
            "#UD: the sums have other columns than the right factor");
  EXPECT_EQ(refusalOf(config, dotOf(Op::DotUS, 0, 1, 4)),
            "#UD: the left factor's columns are not the right one's rows");
  for (int i : {0, 1, 2}) {
    other = config;
    other.rowBytes[i] = 62;
    EXPECT_EQ(refusalOf(other, dotOf(Op::DotUS, 0, 1, 2)),
              "#UD: rows are no whole numbers of 32 bits");
  }
}

/// Runs real instructions: y = x times w, with operands at odd places and
/// strides, an index that is scaled, and a spill to the stack.
void multiply(const uint8_t *x, const uint8_t *w, uint8_t *y,
              const Config &config) {
  __asm__ volatile(
      "ldtilecfg (%[config])\n"
      "tilezero %%tmm0\n"
      "tileloadd -3(%[x],%[xStride],4), %%tmm1\n"
      "tileloaddt1 300(%[w],%[wStride]), %%tmm2\n"
      "tdpbusd %%tmm2, %%tmm1, %%tmm0\n"
      "leaq -1152(%%rsp), %%rsp\n"
      "tilestored %%tmm0, (%%rsp,%[wStride])\n"
      "tilezero %%tmm0\n"
      "tileloadd (%%rsp,%[wStride]), %%tmm0\n"
      "leaq 1152(%%rsp), %%rsp\n"
      "tilestored %%tmm0, (%[y],%[yStride],2)\n"
      "tilerelease\n"
      :
      : [config] "r"(&config), [x] "r"(x + 3), [xStride] "r"(25L),
        [w] "r"(w - 300), [wStride] "r"(64L), [y] "r"(y), [yStride] "r"(40L)
      : "memory");
}

/// Whether the instructions gave the right bytes in this thread.
bool isProductRight(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> x(15 * 100 + 64), w(1024), y(16 * 80, 0xa5);
  for (auto *bytes : {&x, &w})
    for (uint8_t &byte : *bytes)
      byte = uint8_t(random());
  multiply(x.data(), w.data(), y.data(), configOf(16, 16, 16));
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 16; ++n) {
      int32_t sum = 0, got;
      for (int k = 0; k < 64; ++k)
        sum += x[size_t(100 * m + k)] *
               int8_t(w[size_t(k / 4 * 64 + 4 * n + k % 4)]);
      std::memcpy(&got, &y[size_t(80 * m + 4 * n)], 4);
      if (got != sum)
        return false;
    }
    for (int i = 64; i < 80; ++i)
      if (y[size_t(80 * m + i)] != 0xa5)
        return false;
  }
  return true;
}

class AmxEmulator : public testing::Test {
protected:
  void SetUp() override {
    std::fprintf(stderr, "AMX instructions: %s\n",
                 isNative() ? "native" : "EMULATED, this CPU has none");
    if (!isNative())
      install();
  }
};

TEST_F(AmxEmulator, RunsInstructions) {
  resetCounts();
  EXPECT_TRUE(isProductRight(1));
  if (isNative())
    return;
  Counts all = counts();
  EXPECT_EQ(all[Op::LoadConfig], 1u);
  EXPECT_EQ(all[Op::Release], 1u);
  EXPECT_EQ(all[Op::Zero], 2u);
  EXPECT_EQ(all[Op::Load], 2u);
  EXPECT_EQ(all[Op::LoadStreamed], 1u);
  EXPECT_EQ(all.loads(), 3u);
  EXPECT_EQ(all[Op::DotUS], 1u);
  EXPECT_EQ(all.dots(), 1u);
  EXPECT_EQ(all[Op::Store], 2u);
  EXPECT_EQ(all.spills, 2u);
}

TEST_F(AmxEmulator, ThreadsHaveTilesOfTheirOwn) {
  std::vector<std::thread> threads;
  std::vector<char> right(4, false);
  for (size_t i = 0; i < right.size(); ++i)
    threads.emplace_back([&right, i] {
      right[i] = true;
      for (unsigned turn = 0; turn < 50; ++turn)
        right[i] &= isProductRight(unsigned(i) * 50 + turn);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (char each : right)
    EXPECT_TRUE(each);
}

TEST_F(AmxEmulator, EndsWhereTheCpuWouldRefuse) {
  if (isNative())
    GTEST_SKIP() << "the CPU itself raises SIGILL, without a reason";
  auto dotUnconfigured = [] {
    __asm__ volatile("tilerelease\n tdpbusd %tmm2, %tmm1, %tmm0");
  };
  EXPECT_EXIT(dotUnconfigured(), testing::KilledBySignal(SIGABRT),
              "tdpbusd with tiles 0, 1, 2, .* at 0x[0-9a-f]+: #UD: tiles are "
              "not configured");
  // Configured as another kernel left it.
  Config config = configOf(16, 16, 16);
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  releaseTiles();
  EXPECT_EXIT(__asm__ volatile("tilezero %tmm1"),
              testing::KilledBySignal(SIGABRT), "tiles are not configured");
}

TEST_F(AmxEmulator, LeavesOtherInstructionsToOthers) {
  if (isNative())
    GTEST_SKIP() << "nothing is installed";
  EXPECT_EXIT(__builtin_trap(), testing::KilledBySignal(SIGILL), "");
}

/// Death tests come first: here nothing is installed yet.
TEST(AmxHandlerDeathTest, ChainsToTheOneBefore) {
  if (isNative())
    GTEST_SKIP() << "nothing is installed";
  static volatile sig_atomic_t code;
  auto trap = [] {
    code = 1;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t *info, void *) {
      _exit(info->si_addr ? code : 2);
    };
    sigaction(SIGILL, &action, nullptr);
    install();
    code = isProductRight(5) ? 7 : 3;
    __asm__ volatile("ud2");
    _exit(4);
  };
  EXPECT_EXIT(trap(), testing::ExitedWithCode(7), "");
}

} // namespace
