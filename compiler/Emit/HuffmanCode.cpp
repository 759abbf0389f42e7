//===- HuffmanCode.cpp - Bytes in fewer bytes -----------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/HuffmanCode.h"

#include "runtime/include/quern/huffman.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <queue>
#include <vector>

namespace quern {

using Counts = std::array<uint64_t, 256>;
using Lengths = std::array<uint32_t, 256>;

/// Word lengths of a Huffman code, without a limit. At least two symbols have
/// counts. Equal counts are taken in order, so that a code is the same
/// everywhere.
static Lengths lengthsOf(const Counts &counts) {
  struct Node {
    uint64_t count;
    int parent;
  };
  std::vector<Node> nodes;
  using Item = std::pair<uint64_t, int>;
  std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
  std::vector<int> symbols;
  for (int symbol = 0; symbol < 256; ++symbol) {
    if (counts[symbol] == 0)
      continue;
    queue.push({counts[symbol], int(nodes.size())});
    nodes.push_back({counts[symbol], -1});
    symbols.push_back(symbol);
  }
  while (queue.size() > 1) {
    Node parent = {0, -1};
    for (int child = 0; child < 2; ++child) {
      auto [count, node] = queue.top();
      queue.pop();
      parent.count += count;
      nodes[node].parent = int(nodes.size());
    }
    queue.push({parent.count, int(nodes.size())});
    nodes.push_back(parent);
  }
  Lengths lengths = {};
  for (size_t i = 0; i < symbols.size(); ++i)
    for (int node = nodes[i].parent; node >= 0; node = nodes[node].parent)
      ++lengths[symbols[i]];
  return lengths;
}

static Lengths limitedLengths(Counts counts) {
  // A code has at least two words.
  for (int symbol = 0; std::count(counts.begin(), counts.end(), 0) > 254;
       ++symbol)
    counts[symbol] = std::max<uint64_t>(counts[symbol], 1);
  for (;;) {
    Lengths lengths = lengthsOf(counts);
    if (*std::max_element(lengths.begin(), lengths.end()) <= QUERN_WORD_BITS)
      return lengths;
    // Nearer to equal counts, which have words of eight bits.
    for (uint64_t &count : counts)
      count = count / 2 + count % 2;
  }
}

namespace {
/// Words one after the other, lowest bit first.
class BitWriter {
public:
  explicit BitWriter(std::string &out) : out(out) {}

  void write(uint32_t word, uint32_t length) {
    bits |= uint64_t(word) << count;
    for (count += length; count >= 8; count -= 8, bits >>= 8)
      out.push_back(char(bits));
  }

  void finish() {
    if (count > 0)
      out.push_back(char(bits));
  }

private:
  std::string &out;
  uint64_t bits = 0;
  uint32_t count = 0;
};
} // namespace

std::string encodeHuffman(std::string_view bytes) {
  Counts counts = {};
  for (char byte : bytes)
    ++counts[uint8_t(byte)];
  Lengths lengths = limitedLengths(counts);
  std::string out(QUERN_CODED_HEADER, '\0');
  for (uint32_t symbol = 0; symbol < 256; ++symbol)
    out[symbol / 2] |= char(lengths[symbol] << symbol % 2 * 4);
  uint16_t words[256];
  [[maybe_unused]] int isCode =
      quern_code_words(reinterpret_cast<const uint8_t *>(out.data()), words);
  assert(isCode && "Huffman codes are complete");
  size_t at = 0;
  for (uint32_t stream = 0; stream < QUERN_CODED_STREAMS; ++stream) {
    size_t before = out.size();
    BitWriter writer(out);
    for (uint64_t i = quern_stream_symbols(bytes.size(), stream); i > 0; --i) {
      uint8_t symbol = bytes[at++];
      writer.write(words[symbol], lengths[symbol]);
    }
    writer.finish();
    for (int i = 0; stream + 1 < QUERN_CODED_STREAMS && i < 4; ++i)
      out[128 + 4 * stream + i] = char((out.size() - before) >> 8 * i);
  }
  return out;
}

} // namespace quern
