//===- ConstantTable.h - Constants of a module in small form ----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A module stores its weights, and of the vectors beside them no more than the
// runtime needs to make them again (quern/expand.h): narrow integers, indices
// into few values, factors of products, and of column sums of weights nothing.
// Weights of four bits and fewer have values of unequal frequency; they are
// stored in a Huffman code (quern/huffman.h).
// A small form is taken only where it gives the same bytes, so that kernels and
// interpreters know nothing of it.
//
// Some forms are found by looking at a constant, others by what tk.data says:
//   sums     {of = @WEIGHTS, factors = array<i32>, steps = array<i64>}: perhaps
//            column sums of packed weights, for each group of steps of 4 k
//            with a factor
//   factors  array<f32>: perhaps the product of each of these and a vector
//   columns  rows of so many bytes, perhaps with at most one 1 in a column
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_CONSTANTTABLE_H
#define QUERN_COMPILER_EMIT_CONSTANTTABLE_H

#include "dialects/TK/TKDialect.h"
#include "runtime/src/manifest_generated.h"

#include "llvm/ADT/StringMap.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// An entry of the manifest's data table.
struct ConstantEntry {
  std::string name;
  manifest::Element element = manifest::Element::I8;
  uint64_t bytes = 0;      ///< Of the constant as kernels see it.
  std::string_view stored; ///< Those bytes; only of stored and coded ones.
  int64_t bits = 0, parameters = 0;
  std::string scheme;
  manifest::Making making = manifest::Making::Stored;
  std::vector<uint32_t> from, blocks;
};

/// Collects constants; pieces of them point into the module's attributes or
/// into the table.
class ConstantTable {
public:
  /// Adds a constant and what it is made of. Fails, with a message on the op,
  /// where it has no elements that can be written.
  mlir::LogicalResult add(tk::DataOp op);

  const std::vector<ConstantEntry> &entries() const { return table; }
  /// The place of a constant in the table; none for an unknown symbol.
  std::optional<uint32_t> find(llvm::StringRef symbol) const;
  /// The bytes of parts, which entries point into.
  std::shared_ptr<const std::deque<std::string>> ownedBytes() const {
    return owned;
  }

private:
  bool makeSums(tk::DataOp op, ConstantEntry &entry);
  bool makeOuter(tk::DataOp op, ConstantEntry &entry);
  bool makeMarked(tk::DataOp op, ConstantEntry &entry);
  bool makeWidened(ConstantEntry &entry);
  bool makePicked(ConstantEntry &entry);
  bool makeCoded(ConstantEntry &entry);
  /// A stored constant of these bytes: one that is there, or a new one.
  template <typename T>
  uint32_t part(const std::string &name, manifest::Element element,
                const std::vector<T> &values);
  uint32_t part(const std::string &name, manifest::Element element,
                std::string_view bytes);

  std::vector<ConstantEntry> table;
  std::shared_ptr<std::deque<std::string>> owned =
      std::make_shared<std::deque<std::string>>();
  llvm::StringMap<uint32_t> places;
  std::map<std::pair<manifest::Element, std::string_view>, uint32_t> parts;
};

} // namespace quern

#endif // QUERN_COMPILER_EMIT_CONSTANTTABLE_H
