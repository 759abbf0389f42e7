//===- KernelJit.h - Run kernels in this process --------------------------===//
//
// The object of a tier, loaded where it was made: for tests, benchmarks, and
// calibration with compiled f32 code. It is the same object that goes into a
// module file.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_KERNELJIT_H
#define QUERN_COMPILER_EMIT_KERNELJIT_H

#include "compiler/Emit/KernelObjects.h"

#include "llvm/ADT/StringMap.h"

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace quern {

/// The C entry of a kernel.
using KernelEntry = void (*)(void *const *buffers, int64_t tokens,
                             int64_t sequences, int64_t flags, int64_t begin,
                             int64_t end, void *scratch);

/// True if this machine can run code of `tier`, by cpuid. Asks the system for
/// the permission to use tile registers.
bool canRun(Tier tier);

/// The tiers that this machine can run, the plain one first.
std::vector<Tier> hostTiers();

/// The last of them, or the one that QUERN_MAX_ISA names.
Tier bestHostTier();

/// Kernels of one module and tier in memory, ready to be called.
class KernelJit {
public:
  KernelJit(KernelJit &&);
  KernelJit &operator=(KernelJit &&);
  ~KernelJit();

  /// Lowers, compiles and loads the kernels of `module`, on `threads` threads
  /// (0: one for each CPU).
  static Expected<KernelJit> create(mlir::ModuleOp module, Tier tier,
                                    unsigned threads = 1);

  /// Loads object files of kernels, as emitObjects makes them.
  static Expected<KernelJit> load(const std::vector<KernelObject> &objects,
                                  Tier tier);

  /// The entry of `kernel` (its name without the tier).
  Expected<KernelEntry> lookup(llvm::StringRef kernel) const;

private:
  explicit KernelJit(std::unique_ptr<llvm::orc::LLJIT> jit);

  std::unique_ptr<llvm::orc::LLJIT> jit;
  /// Symbols by kernel.
  llvm::StringMap<std::string> entries;
};

} // namespace quern

#endif // QUERN_COMPILER_EMIT_KERNELJIT_H
