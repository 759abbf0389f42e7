//===- EmbedPoolTest.cpp - Embedded and pooled codes ----------------------===//
//
// Part of Quern. tq.qembed and tq.qpool: exact against loops that follow the
// descriptions.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <algorithm>

using namespace quern;

namespace {

TEST_F(InterpretTest, E16QEmbedFollowsItsFormula) {
  parse("(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, "
        "%w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, "
        "%sw: tensor<10xf32>, %st: tensor<1xf32>, %sp: tensor<1xf32>, "
        "%g: tensor<4xf32>, %b: tensor<4xf32>) -> "
        "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>",
        "%0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %st, %sp, %g, %b "
        "{e1_multiplier = 10.0 : f32, e1_zero = 100 : i64, e1_scale = 0.1 : "
        "f32, e2_multiplier = 5.0 : f32, e2_zero = 120 : i64, e2_scale = 0.2 "
        ": f32, eps = 1.0e-12 : f64, sites = [\"E.t\", \"E.e\", \"E.z\"]} : "
        "(tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<10x4xi8>, "
        "tensor<2x4xi8>, tensor<16x4xi8>, tensor<10xf32>, tensor<1xf32>, "
        "tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> "
        "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n"
        "return %0 : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n");
  Tensor word = codes(10, 4, -128, 127), type = codes(2, 4, -128, 127);
  Tensor place = codes(16, 4, -128, 127);
  Tensor sw = Tensor::of(std::vector<float>(10, 0.01f), {10});
  Tensor st = Tensor::of(std::vector<float>{0.02f}, {1});
  Tensor g = floatVector(4, 20),
         b = Tensor::of(std::vector<float>(4, 128), {4});
  std::vector<std::vector<int32_t>> seen;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    seen.push_back(site.value.toVector<int32_t>());
  };
  auto inputs = [&](int id) {
    return std::vector<Tensor>{ints({9, id}),
                               ints({0, 1}),
                               ints({0, 15}),
                               word,
                               type,
                               place,
                               sw,
                               st,
                               st,
                               g,
                               b};
  };
  run(inputs(3), hooks);
  ASSERT_EQ(seen.size(), 3u) << message;
  for (int j = 0; j < 4; ++j) {
    float t = float(word.get<int32_t>()[3 * 4 + j]) * 0.01f;
    t = t + float(type.get<int32_t>()[4 + j]) * 0.02f;
    int32_t e1 = qm_round_code(t * 10.0f + 100.0f, 0, 255);
    EXPECT_EQ(seen[0][4 + j], e1);
    float sum = (float(e1) - 100.0f) * 0.1f;
    sum = sum + float(place.get<int32_t>()[15 * 4 + j]) * 0.02f;
    EXPECT_EQ(seen[1][4 + j], qm_round_code(sum * 5.0f + 120.0f, 0, 255));
  }
  run(inputs(10));
  EXPECT_EQ(message, "'tq.qembed' op expects ids in [0, 10), got 10");
}

/// Row E39: of channels with factors the second sum is raised to the finest of
/// their scales, in f32 and in fixed-point numbers, which are rounded once for
/// each term.
TEST_F(InterpretTest, E39QEmbedRaisesItsSecondSum) {
  Tensor word = codes(10, 4, -128, 127), type = codes(2, 4, -128, 127);
  Tensor place = codes(16, 4, -128, 127);
  Tensor one = Tensor::of(std::vector<float>{0.03125f}, {1});
  Tensor g = floatVector(4, 20),
         b = Tensor::of(std::vector<float>(4, 128), {4});
  const int32_t powers[] = {4, 1, 8, 2};
  for (const char *fixed : {"", "fixed, "}) {
    SCOPED_TRACE(fixed);
    parse(
        "(%i: tensor<?xi32>, %t: tensor<?xi32>, %p: tensor<?xi32>, "
        "%w: tensor<10x4xi8>, %ty: tensor<2x4xi8>, %po: tensor<16x4xi8>, "
        "%sw: tensor<1xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) -> "
        "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>",
        std::string("%0 = tq.qembed %i, %t, %p, %w, %ty, %po, %sw, %sw, %sw, "
                    "%g, %b {") +
            fixed +
            "e1_multiplier = 8.0 : f32, e1_zero = 100 : i64, e1_scale = "
            "0.125 : f32, e2_multiplier = 2.0 : f32, e2_zero = 120 : i64, "
            "e2_scale = 0.5 : f32, e2_type = !tq.group<u8, axis = 1, map = "
            "[0, 1, 2, 3], params = [0.125:120, 0.5:120, 0.0625:120, "
            "0.25:120]>, eps = 1.0e-12 : f64, sites = [\"E.t\", \"E.e\", "
            "\"E.z\"]} : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, "
            "tensor<10x4xi8>, tensor<2x4xi8>, tensor<16x4xi8>, tensor<1xf32>, "
            "tensor<1xf32>, tensor<1xf32>, tensor<4xf32>, tensor<4xf32>) -> "
            "tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n"
            "return %0 : tensor<?x4x!quant.uniform<u8:f32, 0.05:128>>\n");
    std::vector<std::vector<int32_t>> seen;
    SiteHooks hooks;
    hooks.observe = [&](const SiteValue &site) {
      seen.push_back(site.value.toVector<int32_t>());
    };
    run({ints({9, 3}), ints({0, 1}), ints({0, 15}), word, type, place, one, g,
         b},
        hooks);
    ASSERT_EQ(seen.size(), 3u) << message;
    for (int t = 0; t < 2; ++t)
      for (int j = 0; j < 4; ++j) {
        // All factors are powers of two: f32 rounds nothing before the code.
        float first = 0.125f * float(seen[0][t * 4 + j] - 100);
        float second =
            0.03125f * float(place.get<int32_t>()[(t ? 15 : 0) * 4 + j]);
        float per = float(2 * powers[j]);
        int32_t code =
            *fixed
                ? std::clamp(qm_rne(first * per) + qm_rne(second * per) + 120,
                             0, 255)
                : qm_round_code((first + second) * per + 120.0f, 0, 255);
        EXPECT_EQ(seen[1][t * 4 + j], code) << t << ", " << j;
      }
  }
}

TEST_F(InterpretTest, QPoolTakesTheFirstRowOrTheMean) {
  std::string in = "tensor<?x2x!quant.uniform<u8:f32, 0.5:10>>";
  for (bool mean : {false, true}) {
    std::string out = mean ? "tensor<?x2xf32>" : in;
    parse("(%x: " + in + ", %o: tensor<?xi32>) -> " + out,
          "%0 = tq.qpool %x, %o {kind = #tq.pool_kind<" +
              std::string(mean ? "mean" : "cls") + ">} : (" + in +
              ", tensor<?xi32>) -> " + out + "\nreturn %0 : " + out + "\n");
    Tensor x = Tensor::of(std::vector<int32_t>{10, 20, 11, 40, 0, 255}, {3, 2});
    Tensor y = run({x, ints({0, 2, 2, 3})});
    ASSERT_EQ(y.size(), 6) << message;
    if (!mean)
      EXPECT_EQ(y.toVector<int32_t>(),
                (std::vector<int32_t>{10, 20, 10, 10, 0, 255}));
    else
      EXPECT_EQ(y.toVector<float>(),
                (std::vector<float>{0.25, 10, 0, 0, -5, 122.5}));
  }
}

/// Row E18: a real offset is added to the mean, but to that of no tokens.
TEST_F(InterpretTest, QPoolAddsTheOffsetOfCodes) {
  std::string in = "tensor<?x2x!tq.offset<u8, scale = 0.5, offset = -1.25>>";
  parse("(%x: " + in + ", %o: tensor<?xi32>) -> tensor<?x2xf32>",
        "%0 = tq.qpool %x, %o {kind = #tq.pool_kind<mean>} : (" + in +
            ", tensor<?xi32>) -> tensor<?x2xf32>\n"
            "return %0 : tensor<?x2xf32>\n");
  Tensor x = Tensor::of(std::vector<int32_t>{10, 20, 11, 40, 0, 255}, {3, 2});
  Tensor y = run({x, ints({0, 2, 2, 3})});
  ASSERT_EQ(y.size(), 6) << message;
  EXPECT_EQ(y.toVector<float>(),
            (std::vector<float>{4, 13.75, 0, 0, -1.25, 126.25}));
}

} // namespace
