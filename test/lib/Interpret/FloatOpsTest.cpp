//===- FloatOpsTest.cpp - L0 ops against straightforward loops ------------===//
//
// Part of Quern. In double within rounding; in f32 bit for bit, by loops that
// spell out the contract.
//
//===----------------------------------------------------------------------===//

#include "quern/quant_math.h"
#include "test/lib/Interpret/InterpretTest.h"

#include <cmath>

using namespace quern;

namespace {

using FloatOpsTest = InterpretTest;

TEST_F(FloatOpsTest, LinearInBothArithmetics) {
  parse("(%x: tensor<?x37xf32>, %w: tensor<5x37xf32>, %b: tensor<5xf32>)"
        " -> tensor<?x5xf32>",
        "%0 = tq.linear %x, %w, %b : (tensor<?x37xf32>, tensor<5x37xf32>, "
        "tensor<5xf32>) -> tensor<?x5xf32>\nreturn %0 : tensor<?x5xf32>\n");
  Tensor x = floats(11, 37), w = floats(5, 37), b = floatVector(5);
  auto real = run({x, w, b}).toVector<double>();
  auto machine = run({x, w, b}, {}, Arithmetic::Machine).toVector<float>();
  ASSERT_EQ(real.size(), 55u) << message;
  for (int t = 0; t < 11; ++t)
    for (int n = 0; n < 5; ++n) {
      double exact = 0;
      float acc = 0;
      for (int k = 0; k < 37; ++k) {
        float a = x.get<float>()[t * 37 + k], c = w.get<float>()[n * 37 + k];
        exact += double(a) * c;
        float product = a * c;
        acc = acc + product;
      }
      EXPECT_NEAR(real[t * 5 + n], exact + b.get<float>()[n], 1e-12);
      EXPECT_EQ(machine[t * 5 + n], acc + b.get<float>()[n]);
    }
}

TEST_F(FloatOpsTest, LayerNormKeepsTheLaneOrder) {
  parse("(%x: tensor<?x50xf32>, %g: tensor<50xf32>, %b: tensor<50xf32>)"
        " -> tensor<?x50xf32>",
        "%0 = tq.layer_norm %x, %g, %b {eps = 1.0e-5 : f64} : "
        "(tensor<?x50xf32>, tensor<50xf32>, tensor<50xf32>) -> "
        "tensor<?x50xf32>\nreturn %0 : tensor<?x50xf32>\n");
  Tensor x = floats(3, 50), g = floatVector(50), b = floatVector(50);
  auto real = run({x, g, b}).toVector<double>();
  auto machine = run({x, g, b}, {}, Arithmetic::Machine).toVector<float>();
  ASSERT_EQ(machine.size(), 150u) << message;
  for (int t = 0; t < 3; ++t) {
    const float *row = x.get<float>().data() + t * 50;
    float mean = qm_sum16(row, 50) / 50.0f;
    float var = qm_sum_squares16(row, mean, 50) / 50.0f;
    float rs = 1.0f / std::sqrt(var + 1e-5f);
    for (int j = 0; j < 50; ++j) {
      float y = ((row[j] - mean) * rs) * g.get<float>()[j];
      EXPECT_EQ(machine[t * 50 + j], y + b.get<float>()[j]);
      EXPECT_NEAR(real[t * 50 + j], y + b.get<float>()[j], 1e-5);
    }
  }
}

TEST_F(FloatOpsTest, ElementwiseFunctions) {
  parse("(%x: tensor<?x4xf32>) -> tensor<?x4xf32>",
        "%0 = tq.gelu %x : tensor<?x4xf32>\n"
        "%1 = tq.tanh %0 : tensor<?x4xf32>\n"
        "%2 = tq.add %0, %1 : tensor<?x4xf32>\n"
        "%3 = tq.relu %2 : tensor<?x4xf32>\nreturn %3 : tensor<?x4xf32>\n");
  Tensor x = Tensor::of(std::vector<float>{-3, -0.0f, 0.5, 100}, {1, 4});
  auto y = run({x}).toVector<double>();
  ASSERT_EQ(y.size(), 4u) << message;
  double g = 0.5 * 0.5 * std::erfc(-0.5 / std::sqrt(2.0));
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_DOUBLE_EQ(y[2], g + std::tanh(g));
  EXPECT_DOUBLE_EQ(y[3], 101);
  auto m = run({x}, {}, Arithmetic::Machine).toVector<float>();
  EXPECT_EQ(m[2], qm_gelu(0.5f) + qm_tanh(qm_gelu(0.5f)));
}

TEST_F(FloatOpsTest, ScaleShiftRoundsProductAndSumApart) {
  parse("(%x: tensor<?x3xf32>, %s: tensor<3xf32>, %t: tensor<3xf32>) -> "
        "tensor<?x3xf32>",
        "%0 = tq.scale_shift %x, %s, %t : (tensor<?x3xf32>, tensor<3xf32>, "
        "tensor<3xf32>) -> tensor<?x3xf32>\nreturn %0 : tensor<?x3xf32>\n");
  Tensor x = floats(4, 3), s = floatVector(3), t = floatVector(3);
  auto real = run({x, s, t}).toVector<double>();
  auto machine = run({x, s, t}, {}, Arithmetic::Machine).toVector<float>();
  ASSERT_EQ(real.size(), 12u) << message;
  for (int i = 0; i < 12; ++i) {
    float a = x.get<float>()[i], b = s.get<float>()[i % 3];
    float product = a * b;
    EXPECT_EQ(machine[i], product + t.get<float>()[i % 3]);
    EXPECT_DOUBLE_EQ(real[i], double(a) * b + t.get<float>()[i % 3]);
  }
}

class AttentionTest : public InterpretTest {
protected:
  void SetUp() override {
    parse("(%q: tensor<?x6xf32>, %k: tensor<?x6xf32>, %v: tensor<?x6xf32>, "
          "%o: tensor<?xi32>) -> tensor<?x6xf32>",
          "%s = tq.scores %q, %k, %o {heads = 2 : i64} : (tensor<?x6xf32>, "
          "tensor<?x6xf32>, tensor<?xi32>) -> tensor<2x?xf32>\n"
          "%t = tq.observe %s {key = \"s\", layer = 0 : i64, site = \"L0.s\"}"
          " : tensor<2x?xf32>\n"
          "%p = tq.softmax %t, %o {scale = 0.5 : f32} : (tensor<2x?xf32>, "
          "tensor<?xi32>) -> tensor<2x?xf32>\n"
          "%c = tq.context %p, %v, %o {heads = 2 : i64} : (tensor<2x?xf32>, "
          "tensor<?x6xf32>, tensor<?xi32>) -> tensor<?x6xf32>\n"
          "return %c : tensor<?x6xf32>\n");
  }
};

TEST_F(AttentionTest, EqualsTheFormula) {
  Tensor q = floats(4, 6), k = floats(4, 6), v = floats(4, 6);
  auto y = run({q, k, v, ints({0, 4})}).toVector<double>();
  ASSERT_EQ(y.size(), 24u) << message;
  for (int h = 0; h < 2; ++h)
    for (int i = 0; i < 4; ++i) {
      double e[4], total = 0;
      for (int j = 0; j < 4; ++j) {
        double s = 0;
        for (int d = 0; d < 3; ++d)
          s += double(q.get<float>()[i * 6 + h * 3 + d]) *
               k.get<float>()[j * 6 + h * 3 + d];
        total += e[j] = std::exp(0.5 * s);
      }
      for (int d = 0; d < 3; ++d) {
        double c = 0;
        for (int j = 0; j < 4; ++j)
          c += e[j] / total * v.get<float>()[j * 6 + h * 3 + d];
        EXPECT_NEAR(y[i * 6 + h * 3 + d], c, 1e-12);
      }
    }
}

TEST_F(AttentionTest, PackedEqualsAloneAndEmptySequencesCostNothing) {
  Tensor q = floats(5, 6), k = floats(5, 6), v = floats(5, 6);
  for (Arithmetic mode : {Arithmetic::Real, Arithmetic::Machine}) {
    auto packed =
        run({q, k, v, ints({0, 0, 2, 2, 5})}, {}, mode).toVector<double>();
    ASSERT_EQ(packed.size(), 30u) << message;
    auto part = [&](const Tensor &x, int begin, int end) {
      auto all = x.toVector<float>();
      return Tensor::of(
          std::vector<float>(all.begin() + begin * 6, all.begin() + end * 6),
          {end - begin, 6});
    };
    for (auto [begin, end] : {std::pair{0, 2}, std::pair{2, 5}}) {
      auto alone = run({part(q, begin, end), part(k, begin, end),
                        part(v, begin, end), ints({0, end - begin})},
                       {}, mode)
                       .toVector<double>();
      for (int i = 0; i < (end - begin) * 6; ++i)
        EXPECT_EQ(packed[begin * 6 + i], alone[i]);
    }
    Tensor none = Tensor::of(std::vector<float>(), {0, 6});
    EXPECT_EQ(run({none, none, none, ints({0})}, {}, mode).size(), 0);
    EXPECT_EQ(message, "");
  }
}

TEST_F(AttentionTest, BadOffsetsAreErrors) {
  Tensor x = floats(3, 6);
  run({x, x, x, ints({0, 2})});
  EXPECT_EQ(message, "'tq.scores' op expects the last offset to be the number "
                     "of tokens 3, got 2");
  run({x, x, x, ints({0, 2, 1, 3})});
  EXPECT_EQ(message,
            "'tq.scores' op expects ascending offsets, got 2 before 1");
  run({x, x, x, ints({1, 3})});
  EXPECT_EQ(message, "'tq.scores' op expects offsets to start with 0");
}

TEST_F(AttentionTest, SitesAreSeenAndForced) {
  Tensor x = floats(2, 6);
  int seen = 0;
  SiteHooks hooks;
  hooks.observe = [&](const SiteValue &site) {
    ++seen;
    EXPECT_EQ(site.name, "L0.s");
    EXPECT_EQ(site.value.getShape(), (Tensor::Shape{2, 4}));
  };
  // Equal scores make the mean of the values.
  hooks.force = [](const SiteValue &site) -> std::optional<Tensor> {
    return Tensor::of(std::vector<double>(8, 1.0), {2, 4});
  };
  auto y = run({x, x, x, ints({0, 2})}, hooks).toVector<double>();
  ASSERT_EQ(y.size(), 12u) << message;
  EXPECT_EQ(seen, 1);
  EXPECT_NEAR(y[0], (x.get<float>()[0] + x.get<float>()[6]) / 2., 1e-7);

  hooks.force = [](const SiteValue &) -> std::optional<Tensor> {
    return Tensor::of(std::vector<double>(4, 1.0), {2, 2});
  };
  run({x, x, x, ints({0, 2})}, hooks);
  EXPECT_NE(message.find("another shape or kind for site 'L0.s'"),
            std::string::npos);
}

TEST_F(FloatOpsTest, PoolAndNormalize) {
  parse("(%x: tensor<?x2xf32>, %o: tensor<?xi32>) -> tensor<?x2xf32>",
        "%0 = tq.pool %x, %o {kind = #tq.pool_kind<mean>} : (tensor<?x2xf32>, "
        "tensor<?xi32>) -> tensor<?x2xf32>\n"
        "%1 = tq.normalize %0 : tensor<?x2xf32>\n"
        "return %1 : tensor<?x2xf32>\n");
  Tensor x = Tensor::of(std::vector<float>{2, 5, 4, 3, 0, -7}, {3, 2});
  // Mean (3, 4) has length 5; a sequence of no tokens stays 0.
  EXPECT_EQ(run({x, ints({0, 2, 2, 3})}).toVector<double>(),
            (std::vector<double>{3 / 5., 4 / 5., 0, 0, 0, -1}))
      << message;
}

TEST_F(FloatOpsTest, EmbeddingRefusesUnknownIds) {
  parse("(%t: tensor<3x2xf32>, %i: tensor<?xi32>) -> tensor<?x2xf32>",
        "%0 = tq.embedding %t, %i : (tensor<3x2xf32>, tensor<?xi32>) -> "
        "tensor<?x2xf32>\nreturn %0 : tensor<?x2xf32>\n");
  Tensor table = Tensor::of(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  EXPECT_EQ(run({table, ints({2, 0})}).toVector<double>(),
            (std::vector<double>{5, 6, 1, 2}));
  run({table, ints({3})});
  EXPECT_EQ(message, "'tq.embedding' op expects the index in [0, 3), got 3");
  run({table, ints({-1})});
  EXPECT_EQ(message, "'tq.embedding' op expects the index in [0, 3), got -1");
}

} // namespace
