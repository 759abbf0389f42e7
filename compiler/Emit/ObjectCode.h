//===- ObjectCode.h - Kernels to machine code -----------------------------===//
//
// One object for each tier of a module: the same kernels, lowered for the
// instruction family of the tier and optimized by LLVM. The run time picks a
// tier when it loads the module.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_OBJECTCODE_H
#define QUERN_COMPILER_EMIT_OBJECTCODE_H

#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"

#include <functional>
#include <memory>
#include <string>

namespace mlir {
class OpPassManager;
class PassManager;
} // namespace mlir

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace quern {

/// The instruction families that a module can hold code for.
enum class Tier {
  /// Any x86-64, and no vectors: what the others are compared with. Modules
  /// have it only if asked.
  Scalar,
  /// Any x86-64.
  Sse2,
  /// SSE4.1.
  Sse41,
  /// AVX2, as in x86-64-v3.
  Avx2,
  /// The last one and AVX-VNNI.
  AvxVnni,
  /// AVX-512, as in x86-64-v4.
  Avx512Bw,
  /// AVX-512 with VNNI and VBMI.
  Avx512Vnni,
  /// The last one and AMX-INT8.
  Amx,
};

/// All of them, the slowest first.
inline constexpr Tier allTiers[] = {
    Tier::Scalar,  Tier::Sse2,     Tier::Sse41,      Tier::Avx2,
    Tier::AvxVnni, Tier::Avx512Bw, Tier::Avx512Vnni, Tier::Amx};

/// Whether `tier` is compiled for any x86-64.
inline bool isPlain(Tier tier) { return tier <= Tier::Sse2; }

/// "scalar", "sse2", "sse41", "avx2", "avxvnni", "avx512bw", "avx512vnni" or
/// "amx", also the ending of entry names.
llvm::StringRef getTierName(Tier tier);

/// What to make of the lowered kernels.
enum class CodeForm { Object, Assembly, LLVMText };

/// Name of the symbol of `kernel` in the object of `tier`.
std::string getEntryName(llvm::StringRef kernel, Tier tier);

/// The tier whose code `tier` runs for a kernel, given with its variants: AMX
/// has code of its own only for kernels with tiles, AVX-VNNI and AVX-512
/// without VNNI only for those with dot products, SSE4.1 none for dot products
/// that are not the library's.
Tier getCodeTier(llvm::ArrayRef<mlir::Operation *> forms, Tier tier);
/// The one of these forms that is made into this tier's code.
mlir::Operation *getCodeForm(llvm::ArrayRef<mlir::Operation *> forms,
                             Tier tier);

/// How the tiles of the AMX tier are lowered.
enum class TileCode { Registers, Vectors };

/// Adds all passes from an L3 module to the LLVM dialect for `tier`. With
/// TileCode::Vectors, tiles become vectors, for machines without AMX.
void buildTierPipeline(mlir::OpPassManager &pm, Tier tier,
                       TileCode tiles = TileCode::Registers);

/// Registers tq-x86-pipeline, which is buildTierPipeline with the tier as an
/// option.
void registerTierPipelines();

/// The target machine of `tier`; its code never fuses a multiply and an add.
Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(Tier tier);

/// Told of every manager of passes before it runs.
using PassSetup = std::function<void(mlir::PassManager &)>;

/// A copy of the kernels of `module` in the LLVM dialect. Diagnostics of the
/// passes go to the context's handler.
Expected<mlir::OwningOpRef<mlir::ModuleOp>>
lowerKernels(mlir::ModuleOp module, Tier tier, const PassSetup &setup = {},
             TileCode tiles = TileCode::Registers);

/// Machine code, assembly or LLVM text of a module in the LLVM dialect.
Expected<std::string> emitLowered(mlir::ModuleOp lowered, Tier tier,
                                  CodeForm form);

/// Lowers and emits.
Expected<std::string> emitKernels(mlir::ModuleOp module, Tier tier,
                                  CodeForm form, const PassSetup &setup = {});

} // namespace quern

#endif // QUERN_COMPILER_EMIT_OBJECTCODE_H
