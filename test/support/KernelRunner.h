//===- KernelRunner.h - Compile and call kernels in a test ----------------===//
//
// A test builds kernels into module(), then runs them for each tier, emulated
// where this machine cannot:
//
//   KernelRunner runner;
//   buildSomething(runner.module(), ...);
//   for (Tier tier : KernelRunner::tiers()) {
//     ASSERT_EQ(runner.compile(tier), "");
//     runner.run("name", {x.data(), y.data()}, {tokens, sequences});
//   }
//
// Library: QuernTestTiers and QuernTile.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_SUPPORT_KERNELRUNNER_H
#define QUERN_TEST_SUPPORT_KERNELRUNNER_H

#include "compiler/Emit/KernelContext.h"
#include "dialects/TK/TKDialect.h"
#include "test/support/TestTiers.h"
#include "test/support/amx/Emulator.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// An array on a 64-byte boundary with slack behind, as buffers have.
template <typename T> class Aligned {
public:
  explicit Aligned(size_t count, T fill = T()) : count(count) {
    size_t bytes = (count * sizeof(T) + 2 * 64) / 64 * 64;
    memory = static_cast<T *>(std::aligned_alloc(64, bytes));
    for (size_t i = 0; i < bytes / sizeof(T); ++i)
      memory[i] = fill;
  }
  Aligned(Aligned &&other) : memory(other.memory), count(other.count) {
    other.memory = nullptr;
  }
  ~Aligned() { std::free(memory); }
  T *data() { return memory; }
  const T *data() const { return memory; }
  size_t size() const { return count; }
  T &operator[](size_t i) { return memory[i]; }
  const T &operator[](size_t i) const { return memory[i]; }

private:
  T *memory;
  size_t count;
};

/// Arguments of a call besides the buffers; one chunk unless said otherwise.
struct RunCounts {
  int64_t tokens = 0, sequences = 0, flags = 0, begin = 0, end = 1;
};

class KernelRunner {
public:
  KernelRunner() : storage(makeKernelContext()) {
    top = mlir::ModuleOp::create(mlir::UnknownLoc::get(storage.get()));
  }

  /// All tiers; the first is the plain one.
  static std::vector<Tier> tiers() { return test::testTiers(); }

  mlir::MLIRContext &context() { return *storage; }

  /// Where the test builds its kernels.
  mlir::ModuleOp module() { return *top; }

  /// Replaces the module by parsed text; false if that fails.
  bool parse(llvm::StringRef text) {
    top = mlir::parseSourceString<mlir::ModuleOp>(text, storage.get());
    return bool(top);
  }

  /// Compiles the module; returns the message of a failure or nothing.
  /// `emulate` as in makeKernels.
  std::string compile(Tier tier, bool emulate = false) {
    if (failed(mlir::verify(*top)))
      return "the module does not verify";
    auto made = test::makeKernels(*top, tier, emulate);
    if (!made)
      return made.message();
    jit.emplace(std::move(*made));
    return "";
  }

  /// Calls a kernel of the last compile(). Returns false if there is none of
  /// that name.
  bool run(llvm::StringRef name, std::vector<const void *> buffers,
           RunCounts counts, size_t scratchBytes = 1 << 20) {
    auto entry = jit->lookup(name);
    if (!entry)
      return false;
    Aligned<char> scratch(scratchBytes, 0x5a);
    // A kernel configures its tiles itself.
    amx::releaseTiles();
    (*entry)(const_cast<void *const *>(buffers.data()), counts.tokens,
             counts.sequences, counts.flags, counts.begin, counts.end,
             scratch.data());
    return true;
  }

private:
  std::unique_ptr<mlir::MLIRContext> storage;
  mlir::OwningOpRef<mlir::ModuleOp> top;
  std::optional<KernelJit> jit;
};

} // namespace quern

#endif // QUERN_TEST_SUPPORT_KERNELRUNNER_H
