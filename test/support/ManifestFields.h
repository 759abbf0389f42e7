//===- ManifestFields.h - every number of a manifest ----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Finds the numbers in the bytes of a manifest, so that tests can forge one
// after the other. The schema says what there is: a new field is found, too.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_TEST_SUPPORT_MANIFESTFIELDS_H
#define QUERN_TEST_SUPPORT_MANIFESTFIELDS_H

#include "runtime/src/manifest_generated.h"

#include "flatbuffers/minireflect.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace quern::test {

/// A number, or the length of a vector or a text.
struct ManifestField {
  /// "steps[2].kernel", "steps.size".
  std::string name;
  /// From the start of the manifest.
  size_t offset;
  size_t bytes;

  /// The same without the indices: equal for all rows of a table.
  std::string kind() const {
    std::string text;
    for (char c : name)
      if (c != '[' && c != ']' && !(c >= '0' && c <= '9'))
        text += c;
    return text;
  }
};

namespace detail {

class FieldFinder : public flatbuffers::IterationVisitor {
public:
  explicit FieldFinder(const uint8_t *start) : start(start) {}

  void StartSequence() override { path.push_back(""); }
  void EndSequence() override { path.pop_back(); }
  void Field(size_t, size_t, flatbuffers::ElementaryType type, bool isVector,
             const flatbuffers::TypeTable *, const char *name,
             const uint8_t *at) override {
    path.back() = name;
    if (!at)
      return;
    if (isVector || type == flatbuffers::ET_STRING)
      add(at + flatbuffers::ReadScalar<flatbuffers::uoffset_t>(at), 4, ".size");
    else
      addScalar(type, at);
  }
  void Element(size_t i, flatbuffers::ElementaryType type,
               const flatbuffers::TypeTable *, const uint8_t *at) override {
    std::string &name = path.back();
    name = name.substr(0, name.find('[')) + "[" + std::to_string(i) + "]";
    addScalar(type, at);
  }

  std::vector<ManifestField> fields;

private:
  void addScalar(flatbuffers::ElementaryType type, const uint8_t *at) {
    if (type != flatbuffers::ET_SEQUENCE && type != flatbuffers::ET_STRING)
      add(at, flatbuffers::InlineSize(type, nullptr), "");
  }
  void add(const uint8_t *at, size_t bytes, const char *suffix) {
    // Equal texts are one.
    if (!seen.insert(at).second)
      return;
    std::string name;
    for (const std::string &part : path)
      name += (name.empty() ? "" : ".") + part;
    fields.push_back({name + suffix, size_t(at - start), bytes});
  }

  const uint8_t *start;
  std::vector<std::string> path;
  std::set<const uint8_t *> seen;
};

} // namespace detail

/// The numbers of a sound manifest that are stored: defaults are where the
/// builder was told so.
inline std::vector<ManifestField> fieldsOf(const std::string &manifest) {
  auto *start = reinterpret_cast<const uint8_t *>(manifest.data());
  detail::FieldFinder finder(start);
  flatbuffers::IterateFlatBuffer(start, manifest::ManifestTypeTable(), &finder);
  return std::move(finder.fields);
}

/// What a forger may put in a field's place: none, all bits, one more or less,
/// twice and half as much, the sign bit alone, and numbers of other widths.
inline std::vector<uint64_t> forgeriesOf(const ManifestField &field,
                                         const std::string &manifest) {
  uint64_t found = 0;
  std::memcpy(&found, manifest.data() + field.offset, field.bytes);
  uint64_t mask = UINT64_MAX >> (64 - 8 * field.bytes);
  std::set<uint64_t> values;
  for (uint64_t value :
       {uint64_t(0), uint64_t(1), UINT64_MAX, found + 1, found - 1, 2 * found,
        found / 2, uint64_t(1) << (8 * field.bytes - 1), uint64_t(64),
        uint64_t(1) << 20, (uint64_t(1) << 32) - 64})
    values.insert(value & mask);
  values.erase(found);
  return {values.begin(), values.end()};
}

/// The manifest with another value in a field's place.
inline std::string forge(std::string manifest, const ManifestField &field,
                         uint64_t value) {
  std::memcpy(manifest.data() + field.offset, &value, field.bytes);
  return manifest;
}

} // namespace quern::test

#endif // QUERN_TEST_SUPPORT_MANIFESTFIELDS_H
