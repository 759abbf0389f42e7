//===- KernelCall.h - Building and calling one kernel in a test -----------===//
//
// Compiles a kernel for a tier and calls it over chunk ranges that are
// split at random, with the scratch memory it asks for and no more.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TILE_KERNELCALL_H
#define QUERN_TEST_LIB_TILE_KERNELCALL_H

#include "dialects/TK/TKDialect.h"
#include "lib/Tile/KernelBuilder.h"
#include "quern/module_abi.h"
#include "test/support/TestTiers.h"
#include "test/support/amx/Emulator.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

#include "gtest/gtest.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

namespace quern::test {

/// Rows and bytes that every buffer of tokens has beyond its end.
constexpr int64_t kSlackRows = QUERN_SLACK_ROWS;
constexpr int64_t kSlackBytes = 64;

/// Elements of a buffer of `rows` rows, with the slack.
inline size_t bufferSize(int64_t rows, int64_t stride) {
  return size_t((rows + kSlackRows) * stride + kSlackBytes);
}

/// That machine code of tier amx, where it is emulated, has made products by
/// tiles since amx::resetCounts(), and has spilled none.
inline void expectTiles(Tier tier) {
  if (tier != Tier::Amx || tileRun() != TileRun::Emulated)
    return;
  amx::Counts counts = amx::counts();
  EXPECT_GT(counts.dots(), 0u);
  EXPECT_EQ(counts.spills, 0u);
}

/// One compiled kernel.
class KernelCall {
public:
  /// `build` appends the kernel "kernel" to the module it is given.
  KernelCall(Tier tier, int64_t scratchBytes,
             llvm::function_ref<void(mlir::ModuleOp)> build)
      : scratchBytes(scratchBytes) {
    context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::math::MathDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                        tk::TKDialect>();
    auto module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
    build(module);
    EXPECT_TRUE(succeeded(mlir::verify(module)));
    auto made = makeKernels(module, tier);
    module->erase();
    if (!made) {
      ADD_FAILURE() << made.takeError().message();
      return;
    }
    jit = std::make_unique<KernelJit>(std::move(*made));
    auto found = jit->lookup("kernel");
    if (found)
      entry = *found;
    else
      ADD_FAILURE() << found.takeError().message();
  }

  /// Runs chunks [0, chunks) as one range.
  void run(std::vector<void *> buffers, int64_t tokens, int64_t sequences,
           int64_t chunks, bool taps) {
    range(buffers, tokens, sequences, 0, chunks, taps);
  }

  /// Runs chunks [0, chunks) in ranges of random length, in random order.
  void runSplit(std::vector<void *> buffers, int64_t tokens, int64_t sequences,
                int64_t chunks, bool taps, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (int64_t begin = 0; begin < chunks;) {
      int64_t end = std::min<int64_t>(chunks, begin + 1 + random() % 5);
      ranges.push_back({begin, end});
      begin = end;
    }
    std::shuffle(ranges.begin(), ranges.end(), random);
    for (auto [begin, end] : ranges)
      range(buffers, tokens, sequences, begin, end, taps);
  }

  KernelEntry entry = nullptr;

private:
  void range(std::vector<void *> &buffers, int64_t tokens, int64_t sequences,
             int64_t begin, int64_t end, bool taps) {
    if (!entry)
      return;
    // Garbage in the scratch memory must not matter; a guard follows it.
    const int64_t guard = 64;
    size_t size = size_t(scratchBytes + 2 * guard) / 64 * 64;
    auto *scratch = static_cast<unsigned char *>(std::aligned_alloc(64, size));
    std::memset(scratch, 0xa5, size);
    // A kernel configures its tiles itself.
    amx::releaseTiles();
    entry(buffers.data(), tokens, sequences, taps, begin, end, scratch);
    for (size_t i = size_t(scratchBytes); i != size; ++i)
      if (scratch[i] != 0xa5) {
        ADD_FAILURE() << "scratch byte " << i << " of " << scratchBytes
                      << " was written";
        break;
      }
    std::free(scratch);
  }

  mlir::MLIRContext context;
  int64_t scratchBytes;
  std::unique_ptr<KernelJit> jit;
};

/// Compares the first `columns` of each row, bit for bit.
template <typename T>
void expectRows(const std::vector<T> &got, const std::vector<T> &expected,
                int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r != rows; ++r)
    for (int64_t c = 0; c != columns; ++c) {
      const T &g = got[r * stride + c], &e = expected[r * stride + c];
      if (std::memcmp(&g, &e, sizeof(T)) != 0) {
        ADD_FAILURE() << "row " << r << ", column " << c << ": expected " << +e
                      << ", got " << +g;
        return;
      }
    }
}

} // namespace quern::test

#endif // QUERN_TEST_LIB_TILE_KERNELCALL_H
