//===- ConstantTableTest.cpp - Constants in small form --------------------===//
//
// Which constants take which form, that parts are shared, and that a constant
// that does not follow from its parts is stored whole.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/ConstantTable.h"

#include "lib/Tile/ProgramBuilder.h"
#include "runtime/include/quern/expand.h"
#include "runtime/include/quern/huffman.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace quern;
using quern::manifest::Element;
using quern::manifest::Making;

namespace {

class ConstantTableTest : public testing::Test {
protected:
  ConstantTableTest() {
    context.loadDialect<tk::TKDialect, func::FuncDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
    program = std::make_unique<ProgramBuilder>(*module);
  }

  /// Adds all constants to a table.
  void collect() {
    for (auto op : module->getOps<tk::DataOp>())
      ASSERT_TRUE(succeeded(table.add(op)));
  }

  const ConstantEntry &entry(llvm::StringRef symbol) {
    return table.entries()[table.find(symbol).value()];
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<ProgramBuilder> program;
  ConstantTable table;
};

TEST_F(ConstantTableTest, NarrowIntegers) {
  std::vector<int32_t> narrow(300), wide(300);
  std::iota(narrow.begin(), narrow.end(), -150);
  narrow[7] = 32767;
  narrow[8] = -32768;
  wide = narrow;
  wide[9] = 32768;
  program->data("narrow", narrow);
  program->data("wide", wide);
  program->data("few", std::vector<int32_t>{1, 2, 3});
  collect();
  EXPECT_EQ(entry("narrow").making, Making::Widened);
  EXPECT_EQ(entry("narrow").bytes, 1200u);
  const ConstantEntry &part = table.entries()[entry("narrow").from[0]];
  EXPECT_EQ(part.element, Element::I16);
  EXPECT_EQ(part.stored.size(), 600u);
  EXPECT_EQ(entry("wide").making, Making::Stored);
  EXPECT_EQ(entry("few").making, Making::Stored);
  EXPECT_FALSE(table.find("none").has_value());
}

TEST_F(ConstantTableTest, FewValuesAndOneIndex) {
  std::vector<float> scales, zeros, many, other;
  for (int j = 0; j < 384; ++j) {
    scales.push_back(float(j % 5) * 0.3f);
    zeros.push_back(j % 5 == 4 ? -0.0f : 0.0f);
    many.push_back(float(j));
    other.push_back(float(j % 7));
  }
  program->vector("scales", scales, 384);
  program->vector("zeros", zeros, 384);
  program->vector("many", many, 384);
  program->vector("other", other, 384);
  collect();
  EXPECT_EQ(entry("scales").making, Making::Picked);
  EXPECT_EQ(entry("zeros").making, Making::Picked);
  EXPECT_EQ(entry("scales").from[0], entry("zeros").from[0]);
  EXPECT_NE(entry("other").from[0], entry("zeros").from[0]);
  EXPECT_EQ(table.entries()[entry("zeros").from[1]].bytes, 20u);
  EXPECT_EQ(entry("many").making, Making::Stored);
}

TEST_F(ConstantTableTest, ProductsOfFactors) {
  const float rows[] = {0.013f, 1.7e-3f, 0.25f};
  std::vector<float> products, others;
  for (float row : rows)
    for (int j = 0; j < 512; ++j)
      products.push_back(row * (std::sin(float(j)) * 0.01f));
  // A padded column.
  for (size_t g = 0; g < 3; ++g)
    products[g * 512 + 511] = 0;
  others = products;
  others[700] = std::nextafter(others[700], 1.0f);
  program->data("products", products);
  program->mayBeProducts("products", rows);
  program->data("others", others);
  program->mayBeProducts("others", rows);
  collect();
  ASSERT_EQ(entry("products").making, Making::Outer);
  EXPECT_EQ(table.entries()[entry("products").from[1]].bytes, 2048u);
  EXPECT_EQ(entry("others").making, Making::Stored);
}

TEST_F(ConstantTableTest, SumsOfWeights) {
  std::vector<int8_t> packed(2 * 24 * 32);
  for (size_t i = 0; i < packed.size(); ++i)
    packed[i] = int8_t(i * 37 + i / 11);
  const uint32_t blocks[] = {4, 8};
  const int32_t factors[] = {-7, -131};
  std::vector<int32_t> sums(2 * 32);
  quern_expand_sums(reinterpret_cast<const uint8_t *>(packed.data()), 2, 4,
                    blocks, factors, 2, sums.data());
  // Too small to be worth it otherwise.
  std::vector<int8_t> many;
  std::vector<int32_t> all;
  for (int g = 0; g < 2; ++g)
    for (int copy = 0; copy < 8; ++copy)
      all.insert(all.end(), sums.begin() + g * 32, sums.begin() + g * 32 + 32);
  for (int copy = 0; copy < 8; ++copy)
    many.insert(many.end(), packed.begin(), packed.end());
  std::vector<int32_t> off = all;
  ++off[3];
  program->data("w", many, 4, 1, "s4");
  for (auto [name, values] :
       {std::pair("sums", all), std::pair("off", off), std::pair("odd", all)})
    program->data(name, values);
  program->mayBeSums("sums", "w", factors, {8, 16});
  program->mayBeSums("off", "w", factors, {8, 16});
  program->mayBeSums("odd", "w", factors, {7, 17});
  collect();
  ASSERT_EQ(entry("sums").making, Making::Sums);
  EXPECT_EQ(entry("sums").from[0], *table.find("w"));
  EXPECT_EQ(entry("sums").blocks, (std::vector<uint32_t>{4, 8}));
  EXPECT_EQ(entry("w").making, Making::Stored);
  // Another constant takes no sums that differ in one element, nor steps that
  // are no whole bytes.
  EXPECT_NE(entry("off").making, Making::Sums);
  EXPECT_NE(entry("odd").making, Making::Sums);
}

/// The last group has the zeros that fill a panel up.
TEST_F(ConstantTableTest, SumsOfFilledPanels) {
  std::vector<int8_t> packed(16 * 8 * 64);
  for (size_t i = 0; i < packed.size(); ++i)
    if (i % 512 < 6 * 64)
      packed[i] = int8_t(i * 29 + i / 7);
  const uint32_t blocks[] = {1, 5};
  const uint32_t filled[] = {1, 7};
  const int32_t factors[] = {-7, -131};
  std::vector<int32_t> sums(2 * 16 * 16);
  quern_expand_sums(reinterpret_cast<const uint8_t *>(packed.data()), 16, 8,
                    filled, factors, 2, sums.data());
  program->data("w", packed, 8, 1, "s8");
  program->data("sums", sums);
  program->mayBeSums("sums", "w", factors, {blocks[0], blocks[1]});
  collect();
  ASSERT_EQ(entry("sums").making, Making::Sums);
  EXPECT_EQ(entry("sums").blocks, (std::vector<uint32_t>{1, 7}));
}

/// Weights of four bits whose codes are not equally frequent are coded, and
/// their sums are still found.
TEST_F(ConstantTableTest, CodedWeights) {
  std::vector<int8_t> uneven(4096), even(4096), bytes(4096);
  for (size_t i = 0; i < uneven.size(); ++i) {
    even[i] = int8_t(i * 37 + i / 256);
    bytes[i] = uneven[i] = int8_t(i % 3 ? 0x1f : even[i]);
  }
  const uint32_t blocks[] = {4};
  const int32_t factors[] = {-5};
  std::vector<int32_t> sums(16 * 16);
  quern_expand_sums(reinterpret_cast<const uint8_t *>(uneven.data()), 16, 4,
                    blocks, factors, 1, sums.data());
  program->data("uneven", uneven, 4, 1, "s4");
  program->data("even", even, 4, 1, "s4");
  program->data("bytes", bytes, 8, 1, "s8");
  program->data("sums", sums);
  program->mayBeSums("sums", "uneven", factors, {8});
  collect();
  EXPECT_EQ(entry("sums").making, Making::Sums);
  EXPECT_EQ(entry("sums").from[0], *table.find("uneven"));
  EXPECT_EQ(entry("even").making, Making::Stored);
  EXPECT_EQ(entry("bytes").making, Making::Stored);
  ASSERT_EQ(entry("uneven").making, Making::Coded);
  const ConstantEntry &code = table.entries()[entry("uneven").from[0]];
  EXPECT_EQ(code.element, Element::U8);
  EXPECT_EQ(code.bits, 4);
  EXPECT_LT(code.bytes, 2600u);
  std::vector<int8_t> made(uneven.size());
  ASSERT_TRUE(quern_expand_coded(
      reinterpret_cast<const uint8_t *>(code.stored.data()), code.stored.size(),
      reinterpret_cast<uint8_t *>(made.data()), made.size()));
  EXPECT_EQ(made, uneven);
}

TEST_F(ConstantTableTest, Marks) {
  std::vector<int8_t> marks(3 * 256), twice;
  for (int j = 0; j < 250; ++j)
    marks[j % 3 * 256 + j] = 1;
  twice = marks;
  twice[0] = twice[256] = 1;
  program->data("marks", marks);
  program->mayBeMarks("marks", 256);
  program->data("twice", twice);
  program->mayBeMarks("twice", 256);
  collect();
  EXPECT_EQ(entry("marks").making, Making::Marked);
  EXPECT_EQ(entry("twice").making, Making::Stored);
}

TEST_F(ConstantTableTest, ConstantsThatCannotBeWritten) {
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message = diagnostic.str();
    return success();
  });
  auto type = RankedTensorType::get({4}, Float32Type::get(&context));
  program->data("splat", DenseElementsAttr::get(type, 1.0f), 0, 0);
  EXPECT_TRUE(failed(table.add(*module->getOps<tk::DataOp>().begin())));
  EXPECT_EQ(message, "'tk.data' op has no elements that can be written");
}

} // namespace
