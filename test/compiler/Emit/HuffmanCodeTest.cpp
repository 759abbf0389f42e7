//===- HuffmanCodeTest.cpp - Bytes in fewer bytes -------------------------===//
//
// What is coded comes back, in no more bytes than the entropy asks for; what is
// damaged is refused or decoded, but nothing is read or written elsewhere.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/HuffmanCode.h"

#include "runtime/include/quern/huffman.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>

using namespace quern;

namespace {

/// Decodes from and to memory of exactly the sizes given, which a sanitizer
/// guards.
bool decode(const std::string &coded, uint64_t count, std::string &out) {
  auto from = std::make_unique<uint8_t[]>(coded.size());
  auto to = std::make_unique<uint8_t[]>(count);
  std::copy(coded.begin(), coded.end(), from.get());
  bool isGood = quern_expand_coded(from.get(), coded.size(), to.get(), count);
  out.assign(to.get(), to.get() + count);
  return isGood;
}

void expectRoundTrip(const std::string &bytes, const char *what) {
  std::string out;
  EXPECT_TRUE(decode(encodeHuffman(bytes), bytes.size(), out)) << what;
  EXPECT_EQ(out, bytes) << what;
}

/// Codes of weights: sums of random numbers lie about a middle.
std::string middling(size_t count, unsigned terms, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(count, '\0');
  for (char &byte : bytes) {
    unsigned sum = 0;
    for (unsigned i = 0; i < terms; ++i)
      sum += random() % (256 / terms);
    byte = char(sum);
  }
  return bytes;
}

TEST(HuffmanCode, RoundTripOfEveryLength) {
  std::string bytes = middling(300, 4, 1);
  for (size_t count = 0; count <= bytes.size(); ++count)
    expectRoundTrip(bytes.substr(0, count), "length");
}

TEST(HuffmanCode, RoundTripOfFewSymbols) {
  expectRoundTrip(std::string(1000, '\0'), "zeros");
  expectRoundTrip(std::string(1000, '\xff'), "ones");
  expectRoundTrip(std::string(500, 'a') + std::string(1, '\0'), "two");
  std::string all;
  for (int i = 0; i < 256; ++i)
    all.push_back(char(i));
  expectRoundTrip(all, "all once");
}

/// Counts of a Fibonacci sequence have words as long as there are symbols.
TEST(HuffmanCode, WordsAreLimited) {
  std::string bytes;
  size_t last = 1, count = 1;
  for (int symbol = 0; symbol < 24; ++symbol) {
    bytes.append(count, char(symbol * 7));
    count += std::exchange(last, count);
  }
  std::shuffle(bytes.begin(), bytes.end(), std::mt19937(3));
  expectRoundTrip(bytes, "Fibonacci");
  // The entropy is about 1.39 + 1.39 / 1.618 + ... = 2.6 bits in 8.
  EXPECT_LT(encodeHuffman(bytes).size(), bytes.size() * 2.7 / 8 + 140);
}

TEST(HuffmanCode, NearTheEntropy) {
  std::string bytes = middling(200000, 4, 2);
  double counts[256] = {}, entropy = 0;
  for (char byte : bytes)
    ++counts[uint8_t(byte)];
  for (double count : counts)
    if (count > 0)
      entropy -= count * std::log2(count / double(bytes.size()));
  double size = double(encodeHuffman(bytes).size());
  EXPECT_GE(size, entropy / 8);
  EXPECT_LE(size, entropy / 8 * 1.01 + 150);
}

/// Any code is refused if a bit of its lengths or sizes is another, or if it
/// has another number of symbols or bytes.
TEST(HuffmanCode, DamagedHeadersAreRefused) {
  std::string bytes = middling(500, 4, 4), coded = encodeHuffman(bytes), out;
  for (size_t at = 0; at < QUERN_CODED_HEADER; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = coded;
      damaged[at] ^= char(1 << bit);
      EXPECT_FALSE(decode(damaged, bytes.size(), out)) << at << " " << bit;
    }
  for (size_t size = 0; size < coded.size(); ++size)
    EXPECT_FALSE(decode(coded.substr(0, size), bytes.size(), out)) << size;
  EXPECT_FALSE(decode(coded + '\0', bytes.size(), out));
  EXPECT_FALSE(decode(coded, bytes.size() - 1, out));
  EXPECT_FALSE(decode(coded, bytes.size() + 1, out));
}

/// Streams hold any bits: what comes out is of the right size or refused.
TEST(HuffmanCode, DamagedStreamsStayInside) {
  std::string bytes = middling(2000, 4, 5), coded = encodeHuffman(bytes), out;
  std::mt19937 random(6);
  int refused = 0, decoded = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = coded;
    for (unsigned i = 0; i < 1 + random() % 4; ++i)
      damaged[random() % damaged.size()] = char(random());
    uint64_t count = random() % 4 ? bytes.size() : random() % 5000;
    ++(decode(damaged, count, out) ? decoded : refused);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(decoded, 0);
}

} // namespace
