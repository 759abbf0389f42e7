//===- FixedChannels.h - Channels of a LayerNorm without floats -*- C++ -*-===//
//
// The constants of qi_layer_norm as its kernels read them, and what they let a
// kernel leave out.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDCHANNELS_H
#define QUERN_LIB_TILE_FIXEDCHANNELS_H

#include "lib/Tile/KernelBuilder.h"
#include "quern/integer_norm.h"

#include <vector>

namespace quern {

/// Content of the i8 buffer `channels`: the shift, 2^(shift - 1) - 1 and the
/// zero point in 64 bytes, then 16 gains (i32), 16 biases (i64) and 16 powers
/// of two (i32) at a time, of which `factors` has the exponents.
std::vector<int8_t> packChannels(llvm::ArrayRef<qi_channel> channels, int shift,
                                 llvm::ArrayRef<uint8_t> factors, int32_t zero);

/// Number `i` of the head of the buffer: i64.
mlir::Value channelHead(KernelBuilder &k, mlir::Value channels, int64_t i);
/// Where the channels of a block of columns lie, in bytes; their biases and
/// powers of two lie so far behind that.
mlir::Value channelsAt(KernelBuilder &k, mlir::Value column);
constexpr int64_t kChannelBiases = 64, kChannelPowers = 64 + 128;

/// Whether every result is below 2^29 in size, as of qi_affine.
bool isNarrow(llvm::ArrayRef<qi_channel> channels, int shift);

/// Whether a kernel may leave out ties, and take the upper halves of 64 bits
/// only: no normalized value gives one, shifts are of 32 bits or more, and
/// results are narrow.
bool isPlain(llvm::ArrayRef<qi_channel> channels, int shift);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDCHANNELS_H
