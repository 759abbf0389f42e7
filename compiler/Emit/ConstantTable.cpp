//===- ConstantTable.cpp - The constants of a module in small form --------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/ConstantTable.h"

#include "compiler/Emit/HuffmanCode.h"
#include "runtime/include/quern/expand.h"
#include "runtime/include/quern/huffman.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using quern::manifest::Element;
using quern::manifest::Making;

namespace quern {

/// Below this many bytes, what describes a small form outweighs it.
static constexpr uint64_t kLeast = 512;

/// Weights of more bits are stored as they are: they are mapped and shared
/// between processes, and opening would take as long again for each.
static constexpr int64_t kMostBitsCoded = 4;

/// Elements of `value` as bytes: resources and plain dense constants are read
/// in place.
static FailureOr<std::string_view> rawBytes(ElementsAttr value) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return failure();
    ArrayRef<char> data = blob->getData();
    return std::string_view(data.data(), data.size());
  }
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (dense.isSplat() && dense.getNumElements() != 1)
      return failure();
    ArrayRef<char> data = dense.getRawData();
    return std::string_view(data.data(), data.size());
  }
  return failure();
}

/// The types that tk.data may have.
static Element elementOf(Type type) {
  if (type.isF32())
    return Element::F32;
  switch (type.getIntOrFloatBitWidth()) {
  case 8:
    return Element::I8;
  case 16:
    return Element::I16;
  default:
    return Element::I32;
  }
}

/// The elements of an entry, wherever its bytes lie.
template <typename T> static std::vector<T> valuesOf(std::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

template <typename T>
static bool areBytes(const std::vector<T> &made, std::string_view bytes) {
  return made.size() * sizeof(T) == bytes.size() &&
         std::memcmp(made.data(), bytes.data(), bytes.size()) == 0;
}

static void makeOf(ConstantEntry &entry, Making making,
                   std::vector<uint32_t> from) {
  entry.making = making;
  entry.from = std::move(from);
  entry.stored = {};
}

template <typename T>
uint32_t ConstantTable::part(const std::string &name, Element element,
                             const std::vector<T> &values) {
  return part(name, element,
              {reinterpret_cast<const char *>(values.data()),
               values.size() * sizeof(T)});
}

uint32_t ConstantTable::part(const std::string &name, Element element,
                             std::string_view bytes) {
  auto found = parts.find({element, bytes});
  if (found != parts.end())
    return found->second;
  owned->emplace_back(bytes);
  ConstantEntry entry;
  entry.name = name;
  entry.element = element;
  entry.bytes = bytes.size();
  entry.stored = owned->back();
  uint32_t index = table.size();
  parts[{element, entry.stored}] = index;
  table.push_back(std::move(entry));
  return index;
}

std::optional<uint32_t> ConstantTable::find(StringRef symbol) const {
  auto found = places.find(symbol);
  if (found == places.end())
    return std::nullopt;
  return found->second;
}

LogicalResult ConstantTable::add(tk::DataOp op) {
  FailureOr<std::string_view> bytes = rawBytes(op.getValue());
  if (failed(bytes))
    return op.emitOpError("has no elements that can be written");
  auto intAttr = [&](StringRef name) {
    auto attr = op->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  ConstantEntry entry;
  entry.name = op.getSymName().str();
  entry.element = elementOf(op.getValue().getElementType());
  entry.bytes = bytes->size();
  entry.stored = *bytes;
  entry.bits = intAttr("bits");
  entry.parameters = intAttr("parameters");
  if (auto scheme = op->getAttrOfType<StringAttr>("scheme"))
    entry.scheme = scheme.str();
  if (entry.bytes >= kLeast && entry.bits == 0)
    (void)(makeSums(op, entry) || makeOuter(op, entry) ||
           makeMarked(op, entry) || makePicked(entry) || makeWidened(entry));
  if (entry.bytes >= kLeast && entry.bits > 0 && entry.bits <= kMostBitsCoded)
    (void)makeCoded(entry);
  places[op.getSymName()] = table.size();
  table.push_back(std::move(entry));
  return success();
}

bool ConstantTable::makeSums(tk::DataOp op, ConstantEntry &entry) {
  auto said = op->getAttrOfType<DictionaryAttr>("sums");
  auto of = said ? said.getAs<FlatSymbolRefAttr>("of") : nullptr;
  auto factors = said ? said.getAs<DenseI32ArrayAttr>("factors") : nullptr;
  auto steps = said ? said.getAs<DenseI64ArrayAttr>("steps") : nullptr;
  std::optional<uint32_t> at = of ? find(of.getValue()) : std::nullopt;
  if (!at || !factors || !steps || factors.size() != steps.size() ||
      factors.empty() || entry.element != Element::I32)
    return false;
  const ConstantEntry &weights = table[*at];
  int64_t bits = weights.bits;
  if (weights.element != Element::I8 || weights.stored.empty() ||
      (bits != 2 && bits != 4 && bits != 8))
    return false;
  std::vector<uint32_t> blocks;
  uint64_t panel = 0;
  for (int64_t count : steps.asArrayRef()) {
    if (count <= 0 || count * bits % 8 != 0)
      return false;
    blocks.push_back(count * bits / 8);
    panel += blocks.back() * 64;
  }
  uint64_t panels = entry.bytes / (4 * QUERN_PANEL * blocks.size());
  // Panels are filled up with zeros, which the last group may have.
  if (panels == 0 || weights.bytes % (panels * 64) != 0 ||
      weights.bytes / panels < panel)
    return false;
  blocks.back() += (weights.bytes / panels - panel) / 64;
  std::vector<int32_t> made(panels * QUERN_PANEL * blocks.size());
  quern_expand_sums(reinterpret_cast<const uint8_t *>(weights.stored.data()),
                    panels, bits, blocks.data(), factors.asArrayRef().data(),
                    blocks.size(), made.data());
  if (!areBytes(made, entry.stored))
    return false;
  entry.blocks = std::move(blocks);
  makeOf(entry, Making::Sums,
         {*at, part(entry.name + ".factors", Element::I32,
                    factors.asArrayRef().vec())});
  return true;
}

/// The factor that gives each of `products` with the factor of its row; it is
/// that of some quotient or a neighbour. Not a number where there is none.
static float commonFactor(ArrayRef<float> rows, ArrayRef<float> products) {
  auto isFactor = [&](float factor) {
    for (auto [row, product] : llvm::zip(rows, products)) {
      float made = row * factor;
      if (std::memcmp(&made, &product, sizeof(made)) != 0)
        return false;
    }
    return true;
  };
  float below = products[0] / rows[0], above = below;
  for (int distance = 0; distance < 4; ++distance) {
    if (isFactor(below))
      return below;
    if (isFactor(above))
      return above;
    below = std::nextafter(below, -INFINITY);
    above = std::nextafter(above, INFINITY);
  }
  return NAN;
}

bool ConstantTable::makeOuter(tk::DataOp op, ConstantEntry &entry) {
  auto said = op->getAttrOfType<DenseF32ArrayAttr>("factors");
  // One row is no smaller as factors.
  if (!said || said.size() < 2 || entry.element != Element::F32)
    return false;
  ArrayRef<float> rows = said.asArrayRef();
  std::vector<float> values = valuesOf<float>(entry.stored);
  size_t n = values.size() / rows.size();
  if (n * rows.size() != values.size())
    return false;
  std::vector<float> columns(n), products(rows.size());
  for (size_t j = 0; j < n; ++j) {
    for (size_t g = 0; g < rows.size(); ++g)
      products[g] = values[g * n + j];
    columns[j] = commonFactor(rows, products);
    if (std::isnan(columns[j]))
      return false;
  }
  std::vector<float> made(values.size());
  quern_expand_outer(rows.data(), rows.size(), columns.data(), n, made.data());
  if (!areBytes(made, entry.stored))
    return false;
  makeOf(entry, Making::Outer,
         {part(entry.name + ".rows", Element::F32, rows.vec()),
          part(entry.name + ".columns", Element::F32, columns)});
  return true;
}

bool ConstantTable::makeMarked(tk::DataOp op, ConstantEntry &entry) {
  auto said = op->getAttrOfType<IntegerAttr>("columns");
  if (!said || said.getInt() <= 0 || entry.element != Element::I8)
    return false;
  size_t n = said.getInt(), rows = entry.bytes / n;
  if (n * rows != entry.bytes || rows > UINT8_MAX)
    return false;
  std::vector<uint8_t> index(n, UINT8_MAX);
  for (size_t g = 0; g < rows; ++g)
    for (size_t j = 0; j < n; ++j)
      if (entry.stored[g * n + j] != 0)
        index[j] = static_cast<uint8_t>(g);
  std::vector<int8_t> made(entry.bytes);
  quern_expand_marked(index.data(), n, rows, made.data());
  if (!areBytes(made, entry.stored))
    return false;
  makeOf(entry, Making::Marked,
         {part(entry.name + ".index", Element::U8, index)});
  return true;
}

bool ConstantTable::makeWidened(ConstantEntry &entry) {
  if (entry.element != Element::I32)
    return false;
  std::vector<int32_t> values = valuesOf<int32_t>(entry.stored);
  std::vector<int16_t> narrow(values.begin(), values.end());
  std::vector<int32_t> made(values.size());
  quern_expand_widened(narrow.data(), narrow.size(), made.data());
  if (!areBytes(made, entry.stored))
    return false;
  makeOf(entry, Making::Widened,
         {part(entry.name + ".narrow", Element::I16, narrow)});
  return true;
}

/// The values that `index` picks to make `elements`; none if an index would
/// have two.
static std::optional<std::vector<uint32_t>>
valuesPicked(ArrayRef<uint8_t> index, ArrayRef<uint32_t> elements) {
  std::vector<uint32_t> values;
  std::vector<bool> known;
  for (auto [i, element] : llvm::zip(index, elements)) {
    if (i >= values.size()) {
      values.resize(i + 1);
      known.resize(i + 1);
    }
    if (known[i] && values[i] != element)
      return std::nullopt;
    values[i] = element;
    known[i] = true;
  }
  return values;
}

bool ConstantTable::makePicked(ConstantEntry &entry) {
  if (entry.element != Element::F32 && entry.element != Element::I32)
    return false;
  std::vector<uint32_t> elements = valuesOf<uint32_t>(entry.stored);
  auto take = [&](uint32_t index, const std::vector<uint32_t> &values) {
    makeOf(entry, Making::Picked,
           {index, part(entry.name + ".values", entry.element, values)});
    return true;
  };
  // Vectors of one site have one index of groups, often the last.
  for (auto at = table.rbegin(); at != table.rend(); ++at)
    if (at->element == Element::U8 && at->bytes == elements.size()) {
      auto index = valuesOf<uint8_t>(at->stored);
      if (auto values = valuesPicked(index, elements))
        return take(uint32_t(table.rend() - at) - 1, *values);
      break;
    }
  std::map<uint32_t, uint8_t> known;
  std::vector<uint8_t> index;
  std::vector<uint32_t> values;
  for (uint32_t element : elements) {
    auto [found, added] = known.try_emplace(element, uint8_t(values.size()));
    if (added)
      values.push_back(element);
    if (values.size() > 256)
      return false;
    index.push_back(found->second);
  }
  // Half of it, or narrow integers are as small and simpler.
  if (index.size() + 4 * values.size() > entry.bytes / 2)
    return false;
  return take(part(entry.name + ".index", Element::U8, index), values);
}

bool ConstantTable::makeCoded(ConstantEntry &entry) {
  if (entry.element != Element::I8)
    return false;
  std::string coded = encodeHuffman(entry.stored);
  // Less is not worth the time to open it.
  if (coded.size() > entry.bytes - entry.bytes / 16)
    return false;
  std::string made(entry.bytes, '\0');
  if (!quern_expand_coded(
          reinterpret_cast<const uint8_t *>(coded.data()), coded.size(),
          reinterpret_cast<uint8_t *>(made.data()), made.size()) ||
      made != entry.stored)
    return false;
  uint32_t at = part(entry.name + ".coded", Element::U8, coded);
  table[at].bits = entry.bits;
  std::string_view bytes = entry.stored;
  makeOf(entry, Making::Coded, {at});
  // Sums are found by the bytes.
  entry.stored = bytes;
  return true;
}

} // namespace quern
