//===- ConstantCheck.cpp - are a manifest's constants sound? --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/ConstantCheck.h"

#include "runtime/src/CheckReport.h"

#include "quern/expand.h"
#include "quern/huffman.h"

using namespace quern;
using namespace quern::manifest;

namespace {

/// Far above any real constant, so that products fit in 64 bits.
constexpr uint64_t maxMade = uint64_t(1) << 32;

class Checker : CheckReport {
public:
  Checker(const char *path, const Manifest &manifest, uint64_t weightsBytes,
          quern_error *error)
      : CheckReport(path, manifest, error), weightsBytes(weightsBytes) {}

  quern_status check() {
    for (const Data *data : *manifest.data()) {
      const char *name = data->name()->c_str();
      if (!elementBytes(data->element()))
        return bad(name, "element", uint64_t(data->element()), "at most ",
                   uint64_t(Element::MAX));
      if (data->making() != Making::Stored) {
        if (quern_status status = checkMade(*data, name))
          return status;
        continue;
      }
      if (data->offset() % QUERN_DATA_ALIGN != 0)
        return bad(name, "offset", data->offset(), "a multiple of ",
                   QUERN_DATA_ALIGN);
      if (data->offset() > weightsBytes)
        return bad(name, "offset", data->offset(), "at most ", weightsBytes);
      if (data->bytes() > weightsBytes - data->offset())
        return bad(name, "bytes", data->bytes(), "at most ",
                   weightsBytes - data->offset());
    }
    return QUERN_OK;
  }

private:
  quern_status bad(const char *name, const char *what, uint64_t found,
                   const char *relation, uint64_t expected) {
    return CheckReport::bad("constant", name, what, found, relation, expected);
  }

  /// A constant made of others: how many, of which elements and sizes. What
  /// they hold is checked when it is made.
  quern_status checkMade(const Data &data, const char *name) {
    struct Rule {
      uint32_t parts;
      Element part[2], made;
    };
    static const Rule rules[] = {
        {0, {Element::I8, Element::I8}, Element::I8},    // Stored
        {1, {Element::I16, Element::I16}, Element::I32}, // Widened
        {2, {Element::U8, Element::F32}, Element::F32},  // Picked
        {1, {Element::U8, Element::U8}, Element::I8},    // Marked
        {2, {Element::F32, Element::F32}, Element::F32}, // Outer
        {2, {Element::I8, Element::I32}, Element::I32},  // Sums
        {1, {Element::U8, Element::U8}, Element::I8},    // Coded
    };
    Making making = data.making();
    if (making > Making::MAX)
      return bad(name, "making", uint64_t(making), "at most ",
                 uint64_t(Making::MAX));
    const Rule &rule = rules[uint32_t(making)];
    if (lengthOf(data.from()) != rule.parts)
      return bad(name, "parts", lengthOf(data.from()), "", rule.parts);
    // Picked elements are any of four bytes.
    bool isPicked = making == Making::Picked;
    Element made = data.element();
    if (isPicked ? elementBytes(made) != 4 : made != rule.made)
      return bad(name, "element", uint64_t(made), "", uint64_t(rule.made));
    uint64_t bytes[2] = {};
    for (uint32_t i = 0; i < rule.parts; ++i) {
      uint32_t index = data.from()->Get(i);
      if (index >= manifest.data()->size())
        return bad(name, "part", index, "below ", manifest.data()->size());
      const Data &part = *manifest.data()->Get(index);
      Element expected = isPicked && i == 1 ? made : rule.part[i];
      bool isCoded =
          making == Making::Sums && i == 0 && part.making() == Making::Coded;
      if (part.making() != Making::Stored && !isCoded)
        return bad(name, "making of a part", uint64_t(part.making()), "",
                   uint64_t(Making::Stored));
      if (part.element() != expected)
        return bad(name, "element of a part", uint64_t(part.element()), "",
                   uint64_t(expected));
      if (part.bytes() == 0 || part.bytes() % elementBytes(expected) != 0)
        return bad(name, "bytes of a part", part.bytes(), "a multiple of ",
                   elementBytes(expected));
      // The rest of the part's own description is checked in its turn.
      uint64_t most = isCoded ? maxMade : weightsBytes;
      if (part.bytes() > most)
        return bad(name, "bytes of a part", part.bytes(), "at most ", most);
      bytes[i] = part.bytes() / elementBytes(expected);
    }
    return checkMadeBytes(data, name, bytes);
  }

  /// The size of a made constant, whose parts have `parts` elements.
  quern_status checkMadeBytes(const Data &data, const char *name,
                              const uint64_t *parts) {
    uint64_t bytes = data.bytes();
    if (bytes == 0 || bytes > maxMade)
      return bad(name, "bytes", bytes, "1 to ", maxMade);
    auto expect = [&](uint64_t expected) {
      return bytes == expected ? QUERN_OK
                               : bad(name, "bytes", bytes, "", expected);
    };
    switch (data.making()) {
    case Making::Stored:
      return QUERN_OK;
    case Making::Widened:
    case Making::Picked:
      return expect(4 * parts[0]);
    case Making::Marked:
      return bytes % parts[0] == 0 && bytes / parts[0] <= 255
                 ? QUERN_OK
                 : bad(name, "bytes", bytes, "at most 255 times ", parts[0]);
    case Making::Outer:
      if (parts[0] > maxMade || parts[1] > maxMade / 4 / parts[0])
        return bad(name, "factors of the columns", parts[1], "at most ",
                   maxMade / 4 / parts[0]);
      return expect(4 * parts[0] * parts[1]);
    case Making::Sums:
      return checkSums(data, name, parts);
    case Making::Coded:
      if (parts[0] < QUERN_CODED_HEADER)
        return bad(name, "bytes of the code", parts[0], "at least ",
                   QUERN_CODED_HEADER);
      // A word has a bit or more.
      return bytes <= 8 * (parts[0] - QUERN_CODED_HEADER)
                 ? QUERN_OK
                 : bad(name, "bytes", bytes, "at most ",
                       8 * (parts[0] - QUERN_CODED_HEADER));
    }
    return QUERN_OK;
  }

  quern_status checkSums(const Data &data, const char *name,
                         const uint64_t *parts) {
    const Data &weights = *manifest.data()->Get(data.from()->Get(0));
    uint32_t bits = weights.bits();
    if (bits != 2 && bits != 4 && bits != 8)
      return bad(name, "bits of the weights", bits, "2, 4 or ", 8);
    if (lengthOf(data.blocks()) != parts[1])
      return bad(name, "groups of blocks", lengthOf(data.blocks()), "",
                 parts[1]);
    uint64_t panel = 0;
    for (uint32_t blocks : *data.blocks())
      panel += uint64_t(blocks) * 64;
    uint64_t row = 4 * QUERN_PANEL * parts[1];
    if (data.bytes() % row != 0)
      return bad(name, "bytes", data.bytes(), "a multiple of ", row);
    uint64_t panels = data.bytes() / row;
    if (panel == 0 || panel > maxMade || weights.bytes() != panel * panels)
      return bad(name, "bytes of the weights", weights.bytes(), "",
                 panel * panels);
    return QUERN_OK;
  }

  uint64_t weightsBytes;
};

} // namespace

quern_status quern::checkConstants(const char *path, const Manifest &manifest,
                                   uint64_t weightsBytes, quern_error *error) {
  return Checker(path, manifest, weightsBytes, error).check();
}
