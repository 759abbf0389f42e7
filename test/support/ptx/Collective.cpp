//===- Collective.cpp - Branches, barriers, and whole warps ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Fragments of mma.m16n8k32 on bytes: with g = lane / 4 and t = lane % 4, a
// lane holds of A the bytes 4 t to 4 t + 3 of rows g and g + 8, then those 16
// further; of B those of column g; of C columns 2 t and 2 t + 1 of rows g and
// g + 8. ldmatrix gives lane l word l % 4 of row l / 4 of each matrix.
//
//===----------------------------------------------------------------------===//
#include "test/support/ptx/Handlers.h"

namespace quern::ptx {

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

static Handler branches(Instruction &, const Parts &) {
  return [](Warp &w, const Instruction &i) { w.branch(i.operands[0].value); };
}

static Handler returns(Instruction &, const Parts &) {
  return [](Warp &w, const Instruction &) { w.exit(); };
}

static void barrier(Warp &w, const Instruction &i) {
  uint32_t whole = w.alive;
  int threads = w.block.kernel->threads - w.index * 32;
  uint32_t all = threads >= 32 ? ~0u : (1u << threads) - 1;
  if (w.active != all || whole != all) {
    int absent = __builtin_ctz(all & ~w.active);
    w.fail(i, absent, "divergent barrier: this thread is not at it");
    return;
  }
  w.waiting = true;
  w.barrierLine = i.line;
}

static void warpBarrier(Warp &w, const Instruction &i) {
  if (w.needAll(i))
    ++w.epoch;
}

static Handler barriers(Instruction &i, const Parts &parts) {
  bool plain = i.operands.size() == 1 && i.operands[0].value == 0;
  if (i.name == "bar.warp.sync" && i.operands.size() == 1)
    return warpBarrier;
  return (i.name == "bar.sync" || i.name == "barrier.sync.aligned") && plain
             ? barrier
             : nullptr;
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

static void copyAsync(Warp &w, const Instruction &i) {
  if (!w.needMemory(i))
    return;
  Lanes roomTo, roomFrom, roomBytes;
  const Lanes &to = w.read(i.operands[0], roomTo);
  const Lanes &from = w.read(i.operands[1], roomFrom);
  const Lanes &sizes = w.read(i.operands[i.operands.size() - 1], roomBytes);
  forEachActive(w, [&](int l) {
    Warp::Copy copy{to[l], {}, w.groups[l]};
    uint64_t size = uint32_t(sizes[l]);
    Problem problem;
    if (size > 16) {
      problem = "a copy of " + std::to_string(size) + " bytes of 16";
    } else if (from[l] % 16 != 0) {
      problem = "misaligned source of a copy of 16 bytes";
    } else if (size) {
      // Byte by byte: alignment has been seen to.
      for (uint64_t k = 0; k != size && problem.empty(); ++k)
        if (auto *byte = w.block.memory->read(from[l] + k, 1, true, problem))
          copy.bytes[k] = *byte;
    }
    if (problem.empty())
      problem = w.block.shared.expect(to[l], 16, w.access(l));
    if (!problem.empty())
      return w.fail(i, l, problem);
    w.copies[l].push_back(copy);
  });
}

static void commitCopies(Warp &w, const Instruction &) {
  forEachActive(w, [&](int l) { ++w.groups[l]; });
}

static void waitForCopies(Warp &w, const Instruction &i) {
  int64_t open =
      i.name == "cp.async.wait_all" ? 0 : int64_t(i.operands[0].value);
  forEachActive(w, [&](int l) {
    auto &copies = w.copies[l];
    bool all = i.name == "cp.async.wait_all";
    while (!copies.empty() &&
           (all || copies.front().group < w.groups[l] - open)) {
      const Warp::Copy &copy = copies.front();
      w.block.shared.land(copy.to, 16, w.access(l), copy.bytes.data());
      copies.pop_front();
    }
  });
}

static Handler asyncCopies(Instruction &i, const Parts &) {
  if (i.name == "cp.async.cg.shared.global" && i.operands.size() >= 3 &&
      i.operands[2].kind == Operand::Immediate && i.operands[2].value == 16)
    return copyAsync;
  if (i.name == "cp.async.commit_group")
    return commitCopies;
  if (i.name == "cp.async.wait_all" ||
      (i.name == "cp.async.wait_group" && i.operands.size() == 1))
    return waitForCopies;
  return tileCopies(i);
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

static void loadMatrices(Warp &w, const Instruction &i) {
  if (!w.needAll(i))
    return;
  Lanes room;
  Lanes addresses = w.read(i.operands[1], room);
  for (int matrix = 0; matrix != i.vector; ++matrix) {
    Lanes &d = w.target(i.operands[0].parts[size_t(matrix)]);
    for (int row = 0; row != 8; ++row) {
      uint8_t bytes[16];
      int owner = matrix * 8 + row;
      // The four lanes that get the row read it.
      for (int word = 0; word != 4; ++word) {
        int lane = row * 4 + word;
        Problem problem =
            w.block.shared.read(addresses[owner], 16, w.access(lane), bytes);
        if (!problem.empty())
          return w.fail(i, owner, problem);
        uint32_t value;
        std::memcpy(&value, bytes + word * 4, 4);
        d[lane] = value;
      }
    }
  }
}

static Handler matrixLoads(Instruction &i, const Parts &) {
  for (int count : {1, 2, 4})
    if (i.name == "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                      ".shared.b16") {
      i.vector = count;
      bool fits = i.operands.size() == 2 &&
                  i.operands[0].kind == Operand::Vector &&
                  int(i.operands[0].parts.size()) == count;
      return fits ? loadMatrices : nullptr;
    }
  return nullptr;
}

/// Bytes of a fragment as numbers.
static int32_t number(uint8_t byte, const Type &type) {
  return type.kind == Type::Signed ? int32_t(int8_t(byte)) : int32_t(byte);
}

static void multiplyMatrices(Warp &w, const Instruction &i) {
  if (!w.needAll(i))
    return;
  Lanes room;
  int16_t a[16][32], b[8][32];
  for (int piece = 0; piece != 4; ++piece) {
    const Lanes &lanes = w.read(i.operands[1].parts[size_t(piece)], room);
    for (int l = 0; l != 32; ++l)
      for (int k = 0; k != 4; ++k)
        a[l / 4 + piece % 2 * 8][l % 4 * 4 + k + piece / 2 * 16] =
            int16_t(number(uint8_t(lanes[l] >> (8 * k)), i.type));
  }
  for (int piece = 0; piece != 2; ++piece) {
    const Lanes &lanes = w.read(i.operands[2].parts[size_t(piece)], room);
    for (int l = 0; l != 32; ++l)
      for (int k = 0; k != 4; ++k)
        b[l / 4][l % 4 * 4 + k + piece * 16] =
            int16_t(number(uint8_t(lanes[l] >> (8 * k)), i.from));
  }
  Lanes results[4];
  for (int piece = 0; piece != 4; ++piece) {
    const Lanes &c = w.read(i.operands[3].parts[size_t(piece)], room);
    for (int l = 0; l != 32; ++l) {
      const int16_t *row = a[l / 4 + piece / 2 * 8];
      const int16_t *column = b[l % 4 * 2 + piece % 2];
      int32_t sum = 0;
      for (int k = 0; k != 32; ++k)
        sum += int32_t(row[k]) * int32_t(column[k]);
      results[piece][l] = uint32_t(c[l]) + uint32_t(sum);
      results[piece][l] &= 0xffffffff;
    }
  }
  for (int piece = 0; piece != 4; ++piece)
    w.target(i.operands[0].parts[size_t(piece)]) = results[piece];
}

static Handler matrixProducts(Instruction &i, const Parts &parts) {
  static const std::string prefix = "mma.sync.aligned.m16n8k32.row.col.s32.";
  if (i.name.rfind(prefix, 0) != 0 || parts.size() != 10 ||
      !parseType(parts[7], i.type) || !parseType(parts[8], i.from) ||
      i.type.bits != 8 || i.from.bits != 8 || parts[9] != "s32")
    return nullptr;
  const size_t counts[] = {4, 4, 2, 4};
  if (i.operands.size() != 4)
    return nullptr;
  for (size_t k = 0; k != 4; ++k)
    if (i.operands[k].parts.size() != counts[k])
      return nullptr;
  return multiplyMatrices;
}

//===----------------------------------------------------------------------===//
// Exchange among lanes
//===----------------------------------------------------------------------===//

static void shuffle(Warp &w, const Instruction &i) {
  Lanes ra, rb, rc, rm;
  Lanes a = w.read(i.operands[1], ra);
  const Lanes &b = w.read(i.operands[2], rb);
  const Lanes &c = w.read(i.operands[3], rc);
  const Lanes &members = w.read(i.operands[4], rm);
  uint32_t inside = 0;
  Lanes &d = w.target(i.operands[0]);
  forEachActive(w, [&](int l) {
    if (uint32_t(members[l]) != w.active)
      return w.fail(i, l, "the lanes that take part are not those named");
    int segment = int(c[l] >> 8 & 31), clamp = int(c[l] & 31);
    int least = l & segment, most = least | (clamp & ~segment);
    int by = int(b[l] & 31), from = l;
    bool within = true;
    if (i.mode == "bfly")
      within = (from = l ^ by) <= most;
    else if (i.mode == "down")
      within = (from = l + by) <= most;
    else if (i.mode == "up")
      within = (from = l - by) >= most;
    else
      within = (from = least | (by & ~segment)) <= most;
    if (!within)
      from = l;
    if (!(w.active >> from & 1))
      return w.fail(i, l, "reads a lane that does not take part");
    d[l] = a[from];
    inside |= uint32_t(within) << l;
  });
  if (i.operands[0].second >= 0)
    w.setPredicate(i.operands[0].second, inside);
}

static Handler shuffles(Instruction &i, const Parts &parts) {
  if (parts.size() != 4 || parts[1] != "sync" || parts[3] != "b32" ||
      i.operands.size() != 5)
    return nullptr;
  i.mode = parts[2];
  bool known =
      i.mode == "bfly" || i.mode == "down" || i.mode == "up" || i.mode == "idx";
  return known ? shuffle : nullptr;
}

static void reduce(Warp &w, const Instruction &i) {
  if (!w.needAll(i))
    return;
  Lanes room, rm;
  Lanes a = w.read(i.operands[1], room);
  if (uint32_t(w.read(i.operands[2], rm)[0]) != ~0u)
    return w.fail(i, 0, "the lanes that take part are not those named");
  bool isSigned = i.type.kind == Type::Signed;
  uint32_t result = uint32_t(a[0]);
  for (int l = 1; l != 32; ++l) {
    uint32_t value = uint32_t(a[l]);
    bool less = isSigned ? int32_t(value) < int32_t(result) : value < result;
    if (i.mode == "add")
      result += value;
    else if (value != result && less == (i.mode == "min"))
      result = value;
  }
  w.target(i.operands[0]).fill(result);
}

static Handler reductions(Instruction &i, const Parts &parts) {
  if (parts.size() != 4 || parts[1] != "sync" || !takeType(i, parts) ||
      i.type.bits != 32 || i.operands.size() != 3)
    return nullptr;
  i.mode = parts[2];
  return i.mode == "add" || i.mode == "min" || i.mode == "max" ? reduce
                                                               : nullptr;
}

const Binders &warpBinders() {
  static const Binders binders = {
      {"bra", branches},       {"ret", returns},
      {"bar", barriers},       {"barrier", barriers},
      {"cp", asyncCopies},     {"ldmatrix", matrixLoads},
      {"mma", matrixProducts}, {"shfl", shuffles},
      {"redux", reductions},   {"wgmma", warpgroupProducts}};
  return binders;
}

} // namespace quern::ptx
