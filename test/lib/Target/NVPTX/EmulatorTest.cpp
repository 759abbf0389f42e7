//===- EmulatorTest.cpp - What the PTX emulator must notice ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Small kernels in PTX: right ones with known results, and one wrong one for
// each thing that the emulator reports.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Machine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <array>
#include <cmath>
#include <cstring>
#include <tuple>

using namespace quern;
using namespace quern::ptx;
using testing::HasSubstr;

namespace {

/// A kernel of one warp, unless said otherwise, with pointers to an input and
/// to an output in %rd0 and %rd1, and %tid.x in %r0.
std::string kernel(const std::string &body, int threads = 32) {
  return ".version 7.0\n.target sm_80\n.address_size 64\n"
         ".extern .shared .align 16 .b8 shared[];\n"
         ".visible .entry k(.param .u64 .ptr .global .align 16 in,\n"
         ".param .u64 .ptr .global .align 16 out)\n.reqntid " +
         std::to_string(threads) +
         ", 1, 1\n{\n.reg .pred %p<8>;\n.reg .b32 %r<40>;\n"
         ".reg .b64 %rd<16>;\nld.param.b64 %rd0, [in];\n"
         "ld.param.b64 %rd1, [out];\nmov.u32 %r0, %tid.x;\n"
         "shl.b32 %r1, %r0, 2;\ncvt.u64.u32 %rd2, %r1;\n"
         "add.s64 %rd3, %rd0, %rd2;\nadd.s64 %rd4, %rd1, %rd2;\n" +
         body + "\nret;\n}\n";
}

struct Trial {
  std::vector<uint32_t> in = std::vector<uint32_t>(64),
                        out = std::vector<uint32_t>(64);
  std::string message;

  void operator()(const std::string &body, int threads = 32,
                  int64_t blocks = 1) {
    auto program = parseProgram(kernel(body, threads));
    if (!program) {
      message = program.message();
      return;
    }
    Machine machine;
    uint64_t x = machine.memory.add("in", in.data(), in.size() * 4, false);
    uint64_t y = machine.memory.add("out", out.data(), out.size() * 4, true);
    Error error = machine.run(*program, "k", {blocks, 1, 1024}, {x, y});
    message = error ? error.message() : "";
  }
};

/// What a body is refused for.
std::string refusal(const std::string &body, int threads = 32,
                    int64_t blocks = 1) {
  Trial run;
  run(body, threads, blocks);
  return run.message;
}

float real(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

uint32_t bits(float value) {
  uint32_t result;
  std::memcpy(&result, &value, 4);
  return result;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

TEST(Emulator, IntegersAndBits) {
  Trial run;
  for (uint32_t i = 0; i < 32; ++i)
    run.in[i] = 0x80000000u + 977 * i;
  run("ld.global.b32 %r2, [%rd3];\nmad.lo.s32 %r3, %r2, 3, 7;\n"
      "shr.s32 %r4, %r2, 4;\nxor.b32 %r5, %r3, %r4;\n"
      "mul.hi.u32 %r6, %r2, 5;\nadd.s32 %r7, %r5, %r6;\n"
      "prmt.b32 %r8, %r7, %r2, 0x5410U;\nst.global.b32 [%rd4], %r8;");
  ASSERT_EQ(run.message, "");
  for (uint32_t i = 0; i < 32; ++i) {
    uint32_t v = run.in[i], sum = v * 3 + 7;
    sum ^= uint32_t(int32_t(v) >> 4);
    sum += uint32_t(uint64_t(v) * 5 >> 32);
    EXPECT_EQ(run.out[i], (v << 16) | (sum & 0xffff)) << i;
  }
}

TEST(Emulator, ConversionsRoundAndSaturate) {
  Trial run;
  const float values[] = {
      0.5f,  1.5f,   2.5f,   -0.5f,  -1.5f, 3e9f,  -3e9f,      NAN,
      1e30f, 254.5f, 255.5f, -7.75f, 0.0f,  -0.0f, 8388609.0f, 2147483520.0f};
  for (size_t i = 0; i < 16; ++i)
    run.in[i] = bits(values[i]);
  run("ld.global.b32 %r2, [%rd3];\ncvt.rni.s32.f32 %r3, %r2;\n"
      "st.global.b32 [%rd4], %r3;");
  ASSERT_EQ(run.message, "");
  const int32_t want[] = {
      0,          2,   2,   0,  -2, 0x7fffffff, -2147483647 - 1, 0,
      0x7fffffff, 254, 256, -8, 0,  0,          8388609,         2147483520};
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(int32_t(run.out[i]), want[i]) << values[i];
}

TEST(Emulator, RealsAreRoundedOneByOne) {
  Trial run;
  for (uint32_t i = 0; i < 32; ++i)
    run.in[i] = bits(1.0f + float(i) * 0x1p-23f);
  run("ld.global.b32 %r2, [%rd3];\nmul.rn.f32 %r3, %r2, %r2;\n"
      "add.rn.f32 %r4, %r3, 0fBF800000;\nst.global.b32 [%rd4], %r4;");
  ASSERT_EQ(run.message, "");
  for (uint32_t i = 0; i < 32; ++i) {
    float v = real(run.in[i]), product = v * v;
    EXPECT_EQ(run.out[i], bits(product - 1.0f)) << i;
  }
}

/// The manual: of two zeros 0 is the greater, and of a number and what is none
/// the number counts.
TEST(Emulator, ExtremesOfZerosAndOfNoNumbers) {
  Trial run;
  const float values[] = {0.0f, -0.0f, NAN, -1.0f};
  for (size_t i = 0; i < 4; ++i)
    run.in[i] = bits(values[i]);
  for (auto [instruction, constant, want] :
       {std::tuple("max", "0f00000000", std::array{0.0f, 0.0f, 0.0f, 0.0f}),
        std::tuple("max", "0f80000000", std::array{0.0f, -0.0f, -0.0f, -0.0f}),
        std::tuple("min", "0f00000000", std::array{0.0f, -0.0f, 0.0f, -1.0f}),
        std::tuple("min", "0f80000000",
                   std::array{-0.0f, -0.0f, -0.0f, -1.0f})}) {
    run(std::string("ld.global.b32 %r2, [%rd3];\n") + instruction +
        ".f32 %r3, %r2, " + constant + ";\nst.global.b32 [%rd4], %r3;");
    ASSERT_EQ(run.message, "");
    for (size_t i = 0; i < 4; ++i)
      EXPECT_EQ(run.out[i], bits(want[i]))
          << instruction << " " << constant << " " << values[i];
  }
}

TEST(Emulator, WideNumbers) {
  // Bits 28 to 43 of lane * 2^28 - 1, and the rest of that by 1000.
  Trial run;
  run("cvt.u64.u32 %rd5, %r0;\nshl.b64 %rd6, %rd5, 28;\n"
      "add.s64 %rd7, %rd6, -1;\nbfe.u64 %rd8, %rd7, 28, 16;\n"
      "rem.u64 %rd9, %rd7, 1000;\nshl.b64 %rd10, %rd9, 16;\n"
      "or.b64 %rd11, %rd10, %rd8;\ncvt.u32.u64 %r2, %rd11;\n"
      "st.global.b32 [%rd4], %r2;");
  ASSERT_EQ(run.message, "");
  for (uint64_t i = 0; i < 32; ++i) {
    uint64_t v = (i << 28) - 1;
    EXPECT_EQ(run.out[i], uint32_t(v % 1000 << 16 | (v >> 28 & 0xffff))) << i;
  }
}

TEST(Emulator, WideReals) {
  // The larger of 1 / 3 and a lane less 4, or 0 below -2.
  Trial run;
  run("cvt.rn.f64.u32 %rd5, %r0;\nadd.rn.f64 %rd6, %rd5, 0dC010000000000000;\n"
      "setp.lt.f64 %p0, %rd6, 0dC000000000000000;\n"
      "max.f64 %rd7, %rd6, 0d3FD5555555555555;\n"
      "selp.f64 %rd8, 0d0000000000000000, %rd7, %p0;\n"
      "cvt.rn.f32.f64 %r2, %rd8;\nst.global.b32 [%rd4], %r2;");
  ASSERT_EQ(run.message, "");
  for (int i = 0; i < 32; ++i) {
    double v = i - 4;
    EXPECT_EQ(run.out[size_t(i)],
              bits(float(v < -2 ? 0 : std::max(v, 1.0 / 3))))
        << i;
  }
}

TEST(Emulator, LanesPartAndMeet) {
  // Every lane counts down from its number; then all shuffle.
  Trial run;
  run("mov.u32 %r2, %r0;\nmov.b32 %r3, 0;\n"
      "setp.eq.s32 %p0, %r2, 0;\n@%p0 bra $done;\n"
      "$loop:\nadd.s32 %r3, %r3, %r2;\nadd.s32 %r2, %r2, -1;\n"
      "setp.ne.s32 %p1, %r2, 0;\n@%p1 bra $loop;\n$done:\n"
      "shfl.sync.bfly.b32 %r4, %r3, 1, 31, -1;\nst.global.b32 [%rd4], %r4;");
  // -1 is an immediate of 64 bits; its low half names the lanes.
  ASSERT_EQ(run.message, "");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(run.out[i], (i ^ 1) * ((i ^ 1) + 1) / 2) << i;
}

TEST(Emulator, MatrixProduct) {
  // A[i][k] = in bytes, B[k][n] = 1 if k == n, so C is the left part of A.
  std::string body;
  for (int piece = 0; piece < 4; ++piece)
    body += "ld.global.b32 %r" + std::to_string(2 + piece) + ", [%rd0+" +
            std::to_string(4 * piece) + "];\n";
  body += "shr.u32 %r10, %r0, 2;\nand.b32 %r11, %r0, 3;\n"
          "shl.b32 %r12, %r11, 2;\nsub.s32 %r13, %r10, %r12;\n"
          "shl.b32 %r14, %r13, 3;\nmov.b32 %r15, 1;\n"
          "setp.lo.u32 %p0, %r13, 4;\nshl.b32 %r16, %r15, %r14;\n"
          "selp.b32 %r17, %r16, 0, %p0;\nmov.b32 %r18, 0;\n"
          "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
          "{%r20, %r21, %r22, %r23}, {%r2, %r3, %r4, %r5}, {%r17, %r18}, "
          "{%r18, %r18, %r18, %r18};\n"
          "shl.b32 %r24, %r21, 16;\nor.b32 %r25, %r24, %r20;\n"
          "st.global.b32 [%rd4], %r25;";
  Trial run;
  run.in = std::vector<uint32_t>(64, 0x04fe0201);
  run(body);
  ASSERT_EQ(run.message, "");
  for (uint32_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(run.out[lane], lane % 2 ? 0x000400feu : 0x00020001u) << lane;
}

TEST(Emulator, CopiesArriveAfterTheWait) {
  Trial run;
  for (uint32_t i = 0; i < 64; ++i)
    run.in[i] = 3 * i;
  // Threads 0 to 7 copy 16 bytes each, of the last only 4.
  run("shl.b32 %r2, %r0, 4;\ncvt.u64.u32 %rd5, %r2;\n"
      "add.s64 %rd6, %rd0, %rd5;\nmov.b32 %r3, shared;\n"
      "add.s32 %r4, %r3, %r2;\nadd.s32 %r5, %r3, %r1;\n"
      "setp.gt.s32 %p0, %r0, 7;\nsetp.eq.s32 %p1, %r0, 7;\n"
      "selp.b32 %r6, 4, 16, %p1;\n@%p0 bra $wait;\n"
      "cp.async.cg.shared.global [%r4], [%rd6], 16, %r6;\n$wait:\n"
      "cp.async.commit_group;\ncp.async.wait_group 0;\nbar.sync 0;\n"
      "ld.shared.b32 %r7, [%r5];\nst.global.b32 [%rd4], %r7;");
  ASSERT_EQ(run.message, "");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(run.out[i], i > 28 ? 0 : 3 * i) << i;
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

TEST(Emulator, UnknownInstructions) {
  EXPECT_THAT(refusal("brev.b32 %r2, %r0;"),
              HasSubstr("line 19: unknown instruction 'brev.b32'"));
  EXPECT_THAT(refusal("ex2.approx.f32 %r2, %r0;"),
              HasSubstr("unknown instruction 'ex2.approx.f32'"));
  EXPECT_THAT(refusal("add.s32 %r2, %r0;"),
              HasSubstr("'add.s32' has 2 operands, expected 3"));
  EXPECT_THAT(refusal("add.s32 %r2, %r0, %r99;"),
              HasSubstr("register '%r99' is not declared"));
  EXPECT_THAT(refusal("add.s32 %r2, %r0, 0x1g;"),
              HasSubstr("found '0x1g', expected a number"));
  EXPECT_THAT(refusal("bra $nowhere;"),
              HasSubstr("there is no label $nowhere"));
}

TEST(Emulator, SumsThatMayBeContracted) {
  EXPECT_THAT(refusal("add.f32 %r2, %r0, %r0;"),
              HasSubstr("unknown instruction 'add.f32'"));
  EXPECT_THAT(refusal("fma.rn.f32 %r2, %r0, %r0, %r0;"),
              HasSubstr("unknown instruction 'fma.rn.f32'"));
}

TEST(Emulator, AccessesOutOfBounds) {
  EXPECT_THAT(refusal("ld.global.b32 %r2, [%rd3+256];"),
              HasSubstr("thread 0: out of bounds: read of 4 bytes at byte 256 "
                        "of 'in', which has 256"));
  EXPECT_THAT(refusal("st.global.b32 [%rd1+-4], %r0;"),
              HasSubstr("write of 4 bytes at byte -4 of 'out'"));
  EXPECT_THAT(refusal("mov.b32 %r2, shared;\nst.shared.b32 [%r2+1024], %r0;"),
              HasSubstr("byte 1024 of shared memory, which has 1024"));
  EXPECT_THAT(refusal("mov.b64 %rd5, 64;\nld.global.b32 %r2, [%rd5];"),
              HasSubstr("at 0x40, where nothing is"));
}

TEST(Emulator, MisalignedAccesses) {
  EXPECT_THAT(refusal("ld.global.b32 %r2, [%rd0+2];"),
              HasSubstr("misaligned read of 4 bytes"));
  EXPECT_THAT(refusal("ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0+8];"),
              HasSubstr("misaligned read of 16 bytes"));
  EXPECT_THAT(refusal("mov.b32 %r2, shared;\n"
                      "cp.async.cg.shared.global [%r2+8], [%rd0], 16;"),
              HasSubstr("misaligned copy of 16 bytes"));
  EXPECT_THAT(refusal("mov.b32 %r2, shared;\n"
                      "cp.async.cg.shared.global [%r2], [%rd0+4], 16;"),
              HasSubstr("misaligned source"));
}

TEST(Emulator, WritesToInputsAndByTwoThreads) {
  EXPECT_THAT(refusal("st.global.b32 [%rd3], %r0;"),
              HasSubstr("write to 'in', which is an input"));
  EXPECT_THAT(refusal("st.global.b32 [%rd1], %r0;"),
              HasSubstr("byte 0 of 'out' is written by two threads"));
  EXPECT_THAT(refusal("st.global.b32 [%rd4], %r0;", 32, 2),
              HasSubstr("is written by two threads"));
  EXPECT_THAT(refusal("ld.global.nc.b32 %r2, [%rd4];"),
              HasSubstr("reads 'out', which the kernel writes"));
}

TEST(Emulator, DivergentBarriers) {
  const char *half = "setp.lt.s32 %p0, %r0, 16;\n@%p0 bra $over;\n"
                     "bar.sync 0;\n$over:\nmov.b32 %r2, 0;";
  EXPECT_THAT(refusal(half), HasSubstr("thread 0: divergent barrier"));
  const char *warp = "setp.lt.s32 %p0, %r0, 32;\n@%p0 bra $over;\n"
                     "bar.sync 0;\n$over:\nmov.b32 %r2, 0;";
  EXPECT_THAT(refusal(warp, 64),
              HasSubstr("warp 0 has ended, but others wait at a barrier"));
  const char *two = "setp.lt.s32 %p0, %r0, 32;\n@%p0 bra $other;\n"
                    "bar.sync 0;\nbra $over;\n$other:\nbar.sync 0;\n"
                    "$over:\nmov.b32 %r2, 0;";
  EXPECT_THAT(refusal(two, 64), HasSubstr("warps wait at barriers of lines"));
}

TEST(Emulator, CollectivesOfHalfAWarp) {
  EXPECT_THAT(refusal("setp.lt.s32 %p0, %r0, 16;\n@%p0 bra $over;\n"
                      "mov.b32 %r2, shared;\n"
                      "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r2];\n"
                      "$over:\nmov.b32 %r2, 0;"),
              HasSubstr("the whole warp must take part"));
  EXPECT_THAT(refusal("setp.lt.s32 %p0, %r0, 16;\n@%p0 bra $over;\n"
                      "shfl.sync.bfly.b32 %r2, %r0, 1, 31, -1;\n"
                      "$over:\nmov.b32 %r2, 0;"),
              HasSubstr("the lanes that take part are not those named"));
}

TEST(Emulator, CopiesReadTooEarly) {
  const std::string copy = "shl.b32 %r2, %r0, 4;\ncvt.u64.u32 %rd5, %r2;\n"
                           "mov.b32 %r3, shared;\nadd.s32 %r4, %r3, %r2;\n"
                           "setp.ne.s32 %p0, %r0, 0;\n@%p0 bra $read;\n"
                           "cp.async.cg.shared.global [%r4], [%rd0], 16;\n"
                           "$read:\ncp.async.commit_group;\n";
  EXPECT_THAT(refusal(copy + "bar.sync 0;\nld.shared.b32 %r5, [%r3];"),
              HasSubstr("is read before the wait for its cp.async"));
  // One group may still be under way.
  EXPECT_THAT(refusal(copy + "cp.async.wait_group 1;\nbar.sync 0;\n"
                             "ld.shared.b32 %r5, [%r3];"),
              HasSubstr("is read before the wait for its cp.async"));
  // The wait is the copying thread's; others need a barrier.
  EXPECT_THAT(refusal(copy + "cp.async.wait_group 0;\n"
                             "ld.shared.b32 %r5, [%r3];"),
              HasSubstr("thread 1: race"));
  EXPECT_THAT(refusal(copy), HasSubstr("ends with a cp.async under way"));
}

TEST(Emulator, RacesOnSharedMemory) {
  const std::string start = "mov.b32 %r2, shared;\nadd.s32 %r3, %r2, %r1;\n"
                            "xor.b32 %r4, %r1, 128;\nadd.s32 %r5, %r2, %r4;\n"
                            "st.shared.b32 [%r3], %r0;\n";
  EXPECT_THAT(refusal(start + "ld.shared.b32 %r6, [%r5];", 64),
              HasSubstr("is read, but never written"));
  EXPECT_THAT(refusal(start + "bar.sync 0;\nld.shared.b32 %r6, [%r5];\n"
                              "st.shared.b32 [%r3], %r0;",
                      64),
              HasSubstr("race: shared byte 0"));
  EXPECT_EQ(refusal(start + "bar.sync 0;\nld.shared.b32 %r6, [%r5];\n"
                            "bar.sync 0;\nst.shared.b32 [%r3], %r0;",
                    64),
            "");
  EXPECT_THAT(refusal("mov.b32 %r2, shared;\nst.shared.b32 [%r2], %r0;"),
              HasSubstr("was written by thread 0, and no barrier"));
  // Within a warp, its own barrier is enough.
  const std::string turn = "xor.b32 %r4, %r1, 4;\nmov.b32 %r2, shared;\n"
                           "add.s32 %r3, %r2, %r1;\nadd.s32 %r5, %r2, %r4;\n"
                           "st.shared.b32 [%r3], %r0;\n";
  EXPECT_THAT(refusal(turn + "ld.shared.b32 %r6, [%r5];"), HasSubstr("race"));
  EXPECT_EQ(refusal(turn + "bar.warp.sync -1;\nld.shared.b32 %r6, [%r5];"), "");
}

} // namespace
