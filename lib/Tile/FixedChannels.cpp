//===- FixedChannels.cpp - Channels of a LayerNorm without floats ---------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/FixedChannels.h"

#include "lib/Tile/FixedTerms.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace quern {

/// Bytes before the first channels, and of 16 channels.
static constexpr int64_t kHeadBytes = 64, kChannelBytes = kChannelPowers + 64;

std::vector<int8_t> packChannels(ArrayRef<qi_channel> channels, int shift,
                                 ArrayRef<uint8_t> factors, int32_t zero) {
  int64_t blocks = (int64_t(channels.size()) + 15) / 16;
  std::vector<int8_t> bytes(kHeadBytes + blocks * kChannelBytes);
  const int64_t head[] = {shift, (int64_t(1) << (shift - 1)) - 1, zero};
  std::memcpy(bytes.data(), head, sizeof(head));
  for (size_t i = 0; i < channels.size(); ++i) {
    int8_t *block = bytes.data() + kHeadBytes + i / 16 * kChannelBytes;
    std::memcpy(block + i % 16 * 4, &channels[i].gain, 4);
    std::memcpy(block + kChannelBiases + i % 16 * 8, &channels[i].bias, 8);
    int32_t factor = int32_t(1) << factors[i];
    std::memcpy(block + kChannelPowers + i % 16 * 4, &factor, 4);
  }
  return bytes;
}

Value channelHead(KernelBuilder &k, Value channels, int64_t i) {
  return k.lane(k.loadBytes(channels, k.index(8 * i), 1, k.i64()), 0);
}

Value channelsAt(KernelBuilder &k, Value column) {
  return k.add(k.mul(k.div(column, k.index(16)), kChannelBytes), kHeadBytes);
}

bool isNarrow(ArrayRef<qi_channel> channels, int shift) {
  return llvm::all_of(channels, [&](const qi_channel &c) {
    // Normalized values are at most 2^30 (1 + 2^-14) in size.
    double size = std::abs(double(c.gain)) * 0x1.001p30;
    return std::ldexp(size + std::abs(double(c.bias)), -shift) < 0x1p29;
  });
}

bool isPlain(ArrayRef<qi_channel> channels, int shift) {
  const int64_t most = (int64_t(1) << 30) + (int64_t(1) << 17);
  return shift >= 32 && isNarrow(channels, shift) &&
         llvm::none_of(channels, [&](const qi_channel &c) {
           return mayTie(c.gain, c.bias, shift, -most, most);
         });
}

} // namespace quern
