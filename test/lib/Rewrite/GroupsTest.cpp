//===- GroupsTest.cpp - Groups of channels at L2 --------------------------===//
//
// Small random BERTs whose channels differ: the graph in the order of the
// groups against the one in the model's order, bit for bit, and a grouped
// product against one product for each group (rows E07, E08, E49).
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/Import/Import.h"
#include "dialects/TQ/Constants.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Interpret/Interpreter.h"
#include "lib/Quantize/Passes.h"
#include "lib/Rewrite/Passes.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"
#include <map>
#include <random>

using namespace mlir;
using namespace quern;
using quern::test::TinyModelOptions;

namespace {

class GroupsTest : public testing::Test {
protected:
  GroupsTest() {
    context.loadDialect<tq::TQDialect, arith::ArithDialect, func::FuncDialect,
                        quant::QuantDialect>();
  }

  /// L0 with the scheme of a recipe and made-up ranges.
  OwningOpRef<ModuleOp> import(const TinyModelOptions &options,
                               const std::string &sites) {
    if (test::writeTinyModel(folder.path(), options))
      return nullptr;
    Expected<ImportedModel> model = importModel(context, folder.path());
    // Scales of weights that do not depend on the order of channels.
    Expected<Recipe> recipe = Recipe::parse(
        R"({"weight": {"estimator": "minmax"}, "sites": )" + sites + "}",
        "recipe");
    if (!model || !recipe)
      return nullptr;
    // Two tokens of every site, whose channels differ in width.
    std::vector<ObservedSite> observed =
        observedSites(collectSites(*model->module), *recipe);
    Calibrator calibrator(observed);
    std::mt19937 random(11);
    for (const ObservedSite &site : observed) {
      std::vector<float> values(2 * options.hidden);
      for (int64_t k = 0; k < options.hidden; ++k) {
        float width = 0.5f + static_cast<float>(random() % 64) / 8;
        values[k] = -width;
        values[options.hidden + k] = width / 2;
      }
      calibrator.observe(site.name, values.data(), 2, options.hidden);
    }
    Expected<RangeTable> ranges = calibrator.finish();
    if (!ranges) {
      ADD_FAILURE() << ranges.message();
      return nullptr;
    }
    for (auto &[name, range] : ranges->sites)
      range.range =
          name.back() == 'p' ? quern::Range{0, 1} : quern::Range{-4, 4};
    if (Error error = attachScheme(*model->module, *recipe, *ranges)) {
      ADD_FAILURE() << error.message();
      return nullptr;
    }
    return std::move(model->module);
  }

  /// L2, with channels in the order of groups or not.
  OwningOpRef<ModuleOp> lower(ModuleOp l0, bool ordered) {
    OwningOpRef<ModuleOp> module = l0.clone();
    PassManager passes(&context);
    if (ordered)
      passes.addPass(createOrderChannels());
    passes.addPass(createQuantize());
    buildRewritePipeline(passes);
    CheckStageOptions stage;
    stage.stage = "integer";
    passes.addPass(createCheckStage(stage));
    if (failed(passes.run(*module)))
      return nullptr;
    return module;
  }

  std::vector<Tensor> inputs(int vocab) {
    std::mt19937 random(4);
    std::vector<int32_t> ids, types, positions;
    for (int i = 0; i < 23; ++i) {
      ids.push_back(random() % vocab);
      types.push_back(i % 2);
      positions.push_back(i % 9);
    }
    auto tensor = [](std::vector<int32_t> v) {
      Tensor::Shape shape = {int64_t(v.size())};
      return Tensor::of(std::move(v), shape);
    };
    return {tensor(ids), tensor(types), tensor(positions),
            tensor({0, 9, 18, 23})};
  }

  MLIRContext context;
  test::TempFolder folder;
};

std::string everywhere(const std::string &scheme) {
  return "{\"x\": " + scheme + ", \"h\": " + scheme + ", \"y\": " + scheme +
         "}";
}

TEST_F(GroupsTest, E08OrderedEqualsUnordered) {
  for (const char *permute : {"\"shared-h\"", "true", "false"})
    for (const char *groups : {"2", "3", "6"}) {
      TinyModelOptions options;
      options.layers = 3;
      OwningOpRef<ModuleOp> l0 = import(
          options, everywhere(std::string(R"({"granularity": "groups", )") +
                              "\"groups\": " + groups +
                              ", \"permute\": " + permute + "}"));
      ASSERT_TRUE(l0);
      OwningOpRef<ModuleOp> plain = lower(*l0, false);
      OwningOpRef<ModuleOp> ordered = lower(*l0, true);
      ASSERT_TRUE(plain && ordered);
      unsigned products = 0, orders = 0;
      ordered->walk([&](tq::QGroupLinearOp) { ++products; });
      ordered->walk([&](tq::QAddNormOp op) { orders += bool(op.getOrder()); });
      EXPECT_EQ(products, 3u);
      if (permute[0] == 'f')
        EXPECT_EQ(orders, 0u);
      else
        EXPECT_EQ(orders, 3u);
      std::vector<Tensor> in = inputs(options.vocab);
      std::map<std::string, Tensor> sites;
      SiteHooks record;
      record.observe = [&](const SiteValue &site) {
        sites.emplace(site.name.str(), site.value);
      };
      auto a = Interpreter(*plain).run(in, record, Arithmetic::Machine);
      SiteHooks compare;
      size_t same = 0;
      compare.observe = [&](const SiteValue &site) {
        StringRef key = site.name.rsplit('.').second;
        auto mine = site.value.toVector<int32_t>();
        auto theirs = sites.find(site.name.str())->second.toVector<int32_t>();
        // Columns of the residual stream moved; the last LayerNorm's did not.
        if (StringRef("guxhyz").contains(key) && site.name != "L2.z") {
          int64_t width = site.value.width();
          for (size_t row = 0; row < mine.size(); row += width) {
            std::sort(mine.begin() + row, mine.begin() + row + width);
            std::sort(theirs.begin() + row, theirs.begin() + row + width);
          }
        } else if (site.name.starts_with("E.")) {
          return;
        }
        EXPECT_EQ(mine, theirs) << site.name.str();
        ++same;
      };
      auto b = Interpreter(*ordered).run(in, compare, Arithmetic::Machine);
      ASSERT_TRUE(succeeded(a) && succeeded(b));
      EXPECT_EQ(a->toVector<float>(), b->toVector<float>());
      EXPECT_GT(same, 30u);
    }
}

TEST_F(GroupsTest, E49OneProductForEachGroup) {
  TinyModelOptions options;
  OwningOpRef<ModuleOp> l0 = import(
      options,
      everywhere(
          R"({"granularity": "groups", "groups": 3, "permute": "shared-h"})"));
  ASSERT_TRUE(l0);
  OwningOpRef<ModuleOp> grouped = lower(*l0, true);
  OwningOpRef<ModuleOp> split = grouped->clone();
  // y = sum of products of per-tensor codes, weights of other groups zero.
  SmallVector<tq::QGroupLinearOp> products;
  split->walk([&](tq::QGroupLinearOp op) { products.push_back(op); });
  ASSERT_FALSE(products.empty());
  std::map<std::string, std::vector<float>> expected;
  SiteHooks hooks;
  std::map<std::string, Tensor> sites;
  hooks.observe = [&](const SiteValue &site) {
    sites.emplace(site.name.str(), site.value);
  };
  auto whole = Interpreter(*grouped).run(inputs(options.vocab), hooks,
                                         Arithmetic::Machine);
  ASSERT_TRUE(succeeded(whole));
  for (tq::QGroupLinearOp op : products) {
    auto type = cast<tq::GroupType>(op.getX().getType().getElementType());
    auto w = *tq::getConstantData<int8_t>(op.getW());
    auto correction = *tq::getConstantData<int32_t>(op.getCorrection());
    auto multiplier = *tq::getConstantData<float>(op.getMultiplier());
    auto offset = *tq::getConstantData<float>(op.getOffset());
    std::string site = cast<StringAttr>(op.getSites()[0]).str();
    Tensor x = sites.find(site.substr(0, 3) + "x")->second;
    int64_t n = offset.size(), k = x.width();
    std::vector<float> sums;
    for (size_t g = 0; g < type.getParams().size(); ++g) {
      // The same product as a tq.qlinear of one scale, with an f32 result.
      OpBuilder b(&context);
      OwningOpRef<ModuleOp> part = ModuleOp::create(op.getLoc());
      b.setInsertionPointToEnd(part->getBody());
      auto codes = RankedTensorType::get(
          {ShapedType::kDynamic, k},
          tq::getUniformType(&context, 8, false, type.getParams()[g].scale,
                             type.getParams()[g].zero));
      auto real =
          RankedTensorType::get({ShapedType::kDynamic, n}, b.getF32Type());
      auto f = func::FuncOp::create(b, op.getLoc(), "forward",
                                    b.getFunctionType({codes}, {real}));
      b.setInsertionPointToEnd(f.addEntryBlock());
      std::vector<int8_t> own(w.array().begin(), w.array().end());
      for (int64_t i = 0; i < n * k; ++i)
        if (type.getMap()[i % k] != int64_t(g))
          own[i] = 0;
      std::vector<int32_t> first(correction.data() + g * n,
                                 correction.data() + (g + 1) * n);
      std::vector<float> scale(multiplier.data() + g * n,
                               multiplier.data() + (g + 1) * n);
      Location loc = op.getLoc();
      Value operands[] = {
          f.getArgument(0),
          tq::createConstant<int8_t>(
              b, loc, RankedTensorType::get({n, k}, b.getI8Type()), "w",
              std::move(own)),
          tq::createVector<int32_t>(b, loc, "c", std::move(first)),
          tq::createVector<float>(b, loc, "m", std::move(scale)),
          tq::createVector<float>(b, loc, "o", std::vector<float>(n))};
      Value y = tq::QLinearOp::create(b, loc, TypeRange(Type(real)),
                                      ValueRange(operands),
                                      ArrayRef<NamedAttribute>());
      func::ReturnOp::create(b, loc, y);
      auto value = Interpreter(*part).run({x}, {}, Arithmetic::Machine);
      ASSERT_TRUE(succeeded(value));
      std::vector<float> values = value->toVector<float>();
      if (g == 0)
        sums = values;
      else
        for (size_t i = 0; i < sums.size(); ++i)
          sums[i] = sums[i] + values[i];
    }
    // The grouped product itself, made to give its f32 sums.
    OpBuilder b(&context);
    OwningOpRef<ModuleOp> alone = ModuleOp::create(op.getLoc());
    b.setInsertionPointToEnd(alone->getBody());
    auto real =
        RankedTensorType::get({ShapedType::kDynamic, n}, b.getF32Type());
    auto f =
        func::FuncOp::create(b, op.getLoc(), "forward",
                             b.getFunctionType({op.getX().getType()}, {real}));
    b.setInsertionPointToEnd(f.addEntryBlock());
    SmallVector<Value> operands = {f.getArgument(0)};
    for (Value constant : op->getOperands().drop_front())
      operands.push_back(b.clone(*constant.getDefiningOp())->getResult(0));
    Value y = tq::QGroupLinearOp::create(b, op.getLoc(), TypeRange(Type(real)),
                                         operands, ArrayRef<NamedAttribute>());
    func::ReturnOp::create(b, op.getLoc(), y);
    auto value = Interpreter(*alone).run({x}, {}, Arithmetic::Machine);
    ASSERT_TRUE(succeeded(value));
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = sums[i] + offset[i % n];
    EXPECT_EQ(sums, value->toVector<float>());
  }
}

} // namespace
