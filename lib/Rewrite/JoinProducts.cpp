//===- JoinProducts.cpp - One product for q, k and v ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Constants first, then the type and the limits of the codes, then the op.
//
//===----------------------------------------------------------------------===//
#include "lib/Rewrite/JoinProducts.h"

#include <algorithm>

using namespace mlir;
using namespace quern;

namespace {

/// The constants of all products, one after the other.
struct JoinedConstants {
  std::vector<int8_t> weights;
  std::vector<int32_t> corrections, zeros;
  std::vector<float> multipliers, offsets;
};

/// What the outputs are.
struct JoinedCodes {
  tq::GroupType type;
  /// Of each parameter of the type.
  SmallVector<tq::CodeLimits> limits;
  SmallVector<Attribute> sites;
  /// Of the widest codes, and of the widest weights.
  int64_t bits = 0, weightBits = 2;

  int64_t top() const { return topCode(unsigned(bits)); }
  /// Whether one product cannot bound all of them, as it does it alike.
  bool isMixed() const {
    return !llvm::all_of(limits, [&](tq::CodeLimits part) {
      return part == tq::CodeLimits{0, top()};
    });
  }
};

} // namespace

/// The elements of one constant operand of all products, one after the other;
/// empty when one is no constant.
template <typename T>
static std::vector<T> concatenate(ArrayRef<Product> products,
                                  Value (Product::*operand)() const) {
  std::vector<T> all;
  for (const Product &product : products) {
    auto data = tq::getConstantData<T>((product.*operand)());
    if (!data)
      return {};
    all.insert(all.end(), data->array().begin(), data->array().end());
  }
  return all;
}

/// Constants of `parts` values for each output, product after product, with all
/// first values first: high and low corrections, or those of blocks.
template <typename T>
static std::vector<T> gatherParts(ArrayRef<T> values,
                                  ArrayRef<Product> products, size_t parts) {
  std::vector<T> all;
  for (size_t part = 0; part < parts; ++part) {
    ArrayRef<T> rest = values;
    for (const Product &product : products) {
      size_t rows = product.rows();
      llvm::append_range(all, rest.slice(part * rows, rows));
      rest = rest.drop_front(parts * rows);
    }
  }
  return all;
}

/// Nothing when a constant has no data.
static std::optional<JoinedConstants>
joinConstants(ArrayRef<Product> products) {
  JoinedConstants all;
  all.weights = concatenate<int8_t>(products, &Product::w);
  all.corrections = concatenate<int32_t>(products, &Product::correction);
  all.multipliers = concatenate<float>(products, &Product::multiplier);
  all.offsets = concatenate<float>(products, &Product::offset);
  const Product &first = products.front();
  size_t inputs = cast<RankedTensorType>(first.w().getType()).getDimSize(1);
  size_t outputs = all.offsets.size();
  size_t blocks = first.groups();
  if (!outputs || all.corrections.empty() ||
      all.weights.size() != outputs * inputs ||
      all.multipliers.size() != blocks * outputs)
    return std::nullopt;
  // Of wide codes, two for each output.
  if (size_t parts = all.corrections.size() / outputs; parts > 1)
    all.corrections = gatherParts<int32_t>(all.corrections, products, parts);
  if (blocks > 1)
    all.multipliers = gatherParts<float>(all.multipliers, products, blocks);
  if (llvm::all_of(products, [](const Product &p) { return p.zeros(); }))
    all.zeros = concatenate<int32_t>(products, &Product::zeros);
  return all;
}

/// The sites of a product, which a limit of its codes behind it has.
static ArrayAttr siteOf(const Product &product, Operation *codes) {
  auto limit = dyn_cast<tq::QLimitOp>(codes);
  return limit ? limit.getSites() : product.sites();
}

/// The codes of each part, or of each head of each, keep their own scale and
/// zero point.
static JoinedCodes joinCodes(MLIRContext *context, ArrayRef<Product> products,
                             ArrayRef<HeadCodes> codes) {
  JoinedCodes all;
  bool isByHead = llvm::any_of(
      codes, [](const HeadCodes &part) { return part.isByHead(); });
  SmallVector<int64_t> map;
  SmallVector<tq::UniformParams> params;
  for (size_t i = 0; i < products.size(); ++i) {
    size_t parts = isByHead ? codes[i].scales.size() : 1;
    all.bits = std::max<int64_t>(all.bits, codes[i].bits);
    for (size_t part = 0; part < parts; ++part) {
      all.limits.push_back(codes[i].limitsOf(part));
      map.append(products[i].rows() / parts, int64_t(params.size()));
      params.push_back({codes[i].scales[part], codes[i].zero});
    }
    llvm::append_range(all.sites,
                       siteOf(products[i], codes[i].value.getDefiningOp()));
    all.weightBits =
        std::max<int64_t>(all.weightBits, products[i].weightBits());
  }
  all.type = tq::GroupType::get(context, all.bits, /*isSigned=*/false,
                                /*axis=*/1, map, params,
                                isByHead ? ArrayRef<tq::CodeLimits>(all.limits)
                                         : ArrayRef<tq::CodeLimits>());
  return all;
}

/// `made`, with each part in its limits where they differ.
static Value limitCodes(OpBuilder &builder, Location loc, Value made,
                        const JoinedCodes &codes) {
  if (!codes.isMixed())
    return made;
  SmallVector<int64_t> lo, hi;
  for (tq::CodeLimits part : codes.limits) {
    lo.push_back(part.lo);
    hi.push_back(part.hi);
  }
  bool isFromZero = llvm::all_equal(lo) && lo[0] == 0;
  return tq::QLimitOp::create(
      builder, loc, made.getType(), made, builder.getDenseI64ArrayAttr(hi),
      isFromZero ? DenseI64ArrayAttr() : builder.getDenseI64ArrayAttr(lo),
      builder.getArrayAttr(codes.sites));
}

Value quern::joinProducts(OpBuilder &builder, ArrayRef<Product> products,
                          ArrayRef<HeadCodes> codes, StringRef suffix) {
  std::optional<JoinedConstants> constants = joinConstants(products);
  if (!constants)
    return nullptr;
  JoinedCodes joined = joinCodes(builder.getContext(), products, codes);
  const Product &first = products.front();
  Location loc = first.op()->getLoc();
  auto weightType = cast<RankedTensorType>(first.w().getType());
  int64_t outputs = int64_t(constants->offsets.size());
  std::string base = tq::getConstantName(first.w()).str();
  base = (base.empty() ? "weight" : base) + suffix.str();
  Value weight = tq::createConstant<int8_t>(
      builder, loc,
      weightType.clone(ArrayRef<int64_t>{outputs, weightType.getDimSize(1)}),
      base, std::move(constants->weights));
  Value correction = tq::createVector<int32_t>(
      builder, loc, base + ".correction", std::move(constants->corrections));
  Value multiplier = tq::createVector<float>(builder, loc, base + ".multiplier",
                                             std::move(constants->multipliers));
  Value offset = tq::createVector<float>(builder, loc, base + ".offset",
                                         std::move(constants->offsets));
  Type type = RankedTensorType::get(
      {cast<RankedTensorType>(first.result().getType()).getDimSize(0), outputs},
      joined.type);
  // A limit behind the product has the sites.
  ArrayAttr names = joined.isMixed() ? builder.getArrayAttr({})
                                     : builder.getArrayAttr(joined.sites);
  APFloat one(1.0f), none(0.0f);
  if (first.isGrouped())
    return limitCodes(builder, loc,
                      tq::QGroupLinearOp::create(
                          builder, loc, type, first.x(), weight, correction,
                          multiplier, offset, tq::Activation::None, one, none,
                          /*lo=*/0, joined.top(), names, joined.weightBits,
                          first.ends()),
                      joined);
  Value zeros;
  if (!constants->zeros.empty())
    zeros = tq::createVector<int32_t>(builder, loc, base + ".zeros",
                                      std::move(constants->zeros));
  return limitCodes(builder, loc,
                    tq::QLinearOp::create(
                        builder, loc, type, first.x(), weight, correction,
                        multiplier, offset, zeros, tq::Activation::None, one,
                        none, /*lo=*/0, joined.top(), names, joined.weightBits),
                    joined);
}
