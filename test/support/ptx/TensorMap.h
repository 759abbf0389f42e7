//===- TensorMap.h - What a copy of a tile needs to know --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_PTX_TENSORMAP_H
#define QUERN_TEST_SUPPORT_PTX_TENSORMAP_H

#include <cstdint>
#include <string>

namespace quern::ptx {

/// A tensor of bytes in memory of the device, as cuTensorMapEncodeTiled takes
/// it: the innermost extent first.
struct TensorMap {
  static constexpr int kMostDimensions = 5;
  uint64_t address = 0;
  uint32_t rank = 0;
  uint64_t extents[kMostDimensions] = {};
  /// Bytes from one to the next, of all but the innermost.
  uint64_t strides[kMostDimensions - 1] = {};
  uint32_t box[kMostDimensions] = {};
  /// 0: none; 3: pieces of 16 bytes in rows of 128 are exchanged.
  uint32_t swizzle = 0;

  uint64_t boxBytes() const;
  /// What the driver would refuse; empty if nothing.
  std::string check() const;
};

/// Where a byte lies whose place without a swizzle is `address`: bits 4 to 6
/// are exchanged by bits 7 to 9. It is the address in shared memory that
/// counts, whatever begins where.
inline uint64_t swizzled128(uint64_t address) {
  return address ^ ((address >> 7 & 7) << 4);
}

} // namespace quern::ptx

#endif // QUERN_TEST_SUPPORT_PTX_TENSORMAP_H
