//===- Warpgroup.cpp - Products of four warps (wgmma) ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A warp has 16 of the 64 rows of A; four of them, beginning at a multiple of
// four, do the same products. With g = lane / 4 and t = lane % 4 a lane holds,
// for each 8 columns, columns 2 t and 2 t + 1 of row g, then of row g + 8.
//
// A descriptor says where a matrix of rows of 32 bytes lies: bits 0 to 13 its
// address, 16 to 29 and 32 to 45 two distances, all in pieces of 16 bytes, 49
// to 51 where its pattern begins, 62 and 63 the swizzle. With that of 128
// bytes, eight rows lie 128 bytes apart, and the next eight the second distance
// further. Without one, eight rows of 16 bytes follow each other; the other 16
// bytes of them are the first distance away, the next rows the second.
//
// A product is done when it is waited for, not before. Until then nobody may
// touch its sums, nor write what it reads.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

#include <cstdlib>

namespace quern::ptx {

namespace {
/// A matrix in shared memory.
struct Matrix {
  uint64_t start, first, second;
  bool swizzled;

  uint64_t place(uint64_t row, uint64_t byte) const {
    if (swizzled)
      return swizzled128(start + row / 8 * second + row % 8 * 128 + byte);
    return start + row / 8 * second + byte / 16 * first + row % 8 * 16 +
           byte % 16;
  }
  uint64_t begin(uint64_t row) const { return start + row / 8 * second; }
  /// Behind all that rows up to `row`, a multiple of 8, may take.
  uint64_t end(uint64_t row) const {
    uint64_t last = start + (row / 8 - 1) * second;
    // A swizzled row of 128 bytes is read wherever its 32 bytes are.
    return swizzled ? last / 1024 * 1024 + 1024 : last + first + 128;
  }
};
} // namespace

static Problem decode(uint64_t bits, Matrix &matrix) {
  matrix.start = (bits & 0x3fff) << 4;
  matrix.first = (bits >> 16 & 0x3fff) << 4;
  matrix.second = (bits >> 32 & 0x3fff) << 4;
  uint64_t base = bits >> 49 & 7, swizzle = bits >> 62;
  const uint64_t reserved = 0x3ff1c000c000c000;
  if (bits & reserved)
    return "descriptor: bits that mean nothing are set";
  if (swizzle > 1)
    return "descriptor: swizzles of 64 and of 32 bytes are not emulated";
  matrix.swizzled = swizzle == 1;
  if (base != 0)
    return "descriptor: found base offset " + std::to_string(base) +
           ", expected 0";
  if (matrix.swizzled && (matrix.start >> 7 & 7) != 0)
    return "descriptor: the matrix begins in the middle of a pattern of 1024 "
           "bytes";
  if (matrix.swizzled && matrix.second % 1024 != 0)
    return "descriptor: found " + std::to_string(matrix.second) +
           " bytes from 8 rows to the next, expected a multiple of 1024";
  return "";
}

/// Rows of 32 bytes as numbers.
static Problem readRows(Warp &w, const Matrix &matrix, const Type &type,
                        uint64_t begin, uint64_t end,
                        std::vector<int16_t> &numbers) {
  numbers.clear();
  for (uint64_t row = begin; row != end; ++row)
    for (uint64_t byte = 0; byte != 32; byte += 16) {
      uint8_t piece[16];
      Problem problem = w.block.shared.readAsync(matrix.place(row, byte), 16,
                                                 w.access(0), piece);
      if (!problem.empty())
        return problem;
      for (uint8_t each : piece)
        numbers.push_back(type.kind == Type::Signed ? int16_t(int8_t(each))
                                                    : int16_t(each));
    }
  return "";
}

static uint64_t uniform(Warp &w, const Instruction &i, const Operand &operand,
                        const char *what) {
  Lanes room;
  const Lanes &lanes = w.read(operand, room);
  for (int l = 1; l != 32; ++l)
    if (lanes[l] != lanes[0])
      w.fail(i, l, std::string(what) + " differs among the lanes");
  return lanes[0];
}

/// All four warps must do the same.
static void compareWithOthers(Warp &w, const Instruction &i, uint64_t a,
                              uint64_t b) {
  auto &done = w.block.products[size_t(w.index / 4)];
  size_t which = w.productCount++;
  if (which == done.size())
    done.push_back({i.line, a, b});
  else if (done[which] != Block::Product{i.line, a, b})
    w.fail(i, 0, "another warp of the warpgroup does another product");
}

static void startProduct(Warp &w, const Instruction &i) {
  if (!w.needAll(i))
    return;
  if (w.index / 4 * 128 + 128 > w.block.kernel->threads)
    return w.fail(i, 0, "there are no four warps from a multiple of four on");
  uint64_t a = uniform(w, i, i.operands[1], "the descriptor of A");
  uint64_t b = uniform(w, i, i.operands[2], "the descriptor of B");
  bool adds = uniform(w, i, i.operands[3], "whether sums are added to") & 1;
  compareWithOthers(w, i, a, b);
  Matrix left, right;
  Problem problem = decode(a, left);
  if (problem.empty())
    problem = decode(b, right);
  uint64_t row = uint64_t(w.index % 4) * 16, columns = uint64_t(i.vector);
  const Clock &clock = w.block.clocks[size_t(w.index)];
  if (problem.empty())
    problem = w.block.async.startRead(left.begin(row), left.end(row + 16),
                                      w.index, clock);
  if (problem.empty())
    problem = w.block.async.startRead(right.start, right.end(columns), w.index,
                                      clock);
  if (problem.empty())
    problem = w.claimSums(i);
  if (!problem.empty())
    return w.fail(i, 0, problem);
  w.products.push_back({&i, a, b, adds, w.productGroup});
}

/// Adds 16 rows times all columns.
static void finishProduct(Warp &w, const Warp::Product &product) {
  const Instruction &i = *product.instruction;
  Matrix left, right;
  decode(product.a, left);
  decode(product.b, right);
  uint64_t row = uint64_t(w.index % 4) * 16, columns = uint64_t(i.vector);
  std::vector<int16_t> a, b;
  Problem problem = readRows(w, left, i.type, row, row + 16, a);
  if (problem.empty())
    problem = readRows(w, right, i.from, 0, columns, b);
  if (!problem.empty())
    return w.fail(i, 0, problem);
  for (size_t n = 0; n != i.operands[0].parts.size(); ++n) {
    Lanes &sums = w.sumsOf(i.operands[0].parts[n]);
    for (size_t l = 0; l != 32; ++l) {
      const int16_t *x = &a[(l / 4 + n / 2 % 2 * 8) * 32];
      const int16_t *y = &b[(n / 4 * 8 + l % 4 * 2 + n % 2) * 32];
      int32_t sum = 0;
      for (int k = 0; k != 32; ++k)
        sum += int32_t(x[k]) * int32_t(y[k]);
      sums[l] = uint32_t(product.adds ? sums[l] : 0) + uint32_t(sum);
      sums[l] &= 0xffffffff;
    }
  }
}

static void waitForProducts(Warp &w, const Instruction &i) {
  if (!w.needAll(i))
    return;
  int64_t open = int64_t(i.operands[0].value);
  size_t count = 0;
  while (!w.products.empty() && !w.block.fault &&
         w.products.front().group < w.productGroup - open) {
    finishProduct(w, w.products.front());
    w.products.pop_front();
    ++count;
  }
  w.releaseSums();
  // Two matrices each.
  w.block.async.endReads(w.index, count * 2, w.block.clocks[size_t(w.index)]);
}

Handler warpgroupProducts(Instruction &i, const Parts &parts) {
  if (i.name == "wgmma.fence.sync.aligned" && i.operands.empty())
    return [](Warp &w, const Instruction &i) {
      if (w.needAll(i))
        w.fenceSums();
    };
  if (i.name == "wgmma.commit_group.sync.aligned" && i.operands.empty())
    return [](Warp &w, const Instruction &i) {
      if (w.needAll(i))
        ++w.productGroup;
    };
  if (i.name == "wgmma.wait_group.sync.aligned" && i.operands.size() == 1 &&
      i.operands[0].kind == Operand::Immediate)
    return waitForProducts;
  // wgmma mma_async sync aligned m64nNk32 s32 u8 s8
  if (parts.size() != 8 || parts[1] != "mma_async" || parts[2] != "sync" ||
      parts[3] != "aligned" || parts[5] != "s32" ||
      !parseType(parts[6], i.type) || !parseType(parts[7], i.from) ||
      i.type.bits != 8 || i.from.bits != 8 || i.operands.size() != 4)
    return nullptr;
  std::string shape(parts[4]);
  if (shape.rfind("m64n", 0) != 0)
    return nullptr;
  char *end = nullptr;
  i.vector = int(std::strtol(shape.c_str() + 4, &end, 10));
  bool known = i.vector == 24 ||
               (i.vector >= 8 && i.vector <= 32 && i.vector % 8 == 0) ||
               (i.vector <= 256 && i.vector % 16 == 0);
  if (std::string(end) != "k32" || !known ||
      int(i.operands[0].parts.size()) * 2 != i.vector)
    return nullptr;
  return startProduct;
}

} // namespace quern::ptx
