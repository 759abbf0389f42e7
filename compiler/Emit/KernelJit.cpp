//===- KernelJit.cpp - Run kernels in this process ------------------------===//
//
// ORC links the object; no IR goes through the JIT, so that what is tested is
// what is shipped.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelJit.h"

#include "compiler/Emit/KernelObjects.h"
#include "compiler/Emit/LibraryCode.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <cstdlib>
#include <sys/syscall.h>
#include <unistd.h>

namespace quern {

static Error convert(llvm::Error error) {
  return Error(llvm::toString(std::move(error)));
}

/// Asks the system for the tile registers, which a process must do once.
static bool requestTiles() {
  constexpr long archRequestPermission = 0x1023, tileData = 18;
  static const bool granted =
      syscall(SYS_arch_prctl, archRequestPermission, tileData) == 0;
  return granted;
}

bool canRun(Tier tier) {
  static const char *const avx2[] = {"avx2", "bmi",   "bmi2", "fma",
                                     "f16c", "lzcnt", "movbe"};
  static const char *const avx512[] = {"avx512f", "avx512bw", "avx512dq",
                                       "avx512vl", "avx512cd"};
  static const char *const vnni[] = {"avx512vnni", "avx512vbmi"};
  static const char *const amx[] = {"amx-tile", "amx-int8"};
  auto features = llvm::sys::getHostCPUFeatures();
  auto hasAll = [&](llvm::ArrayRef<const char *> names) {
    return llvm::all_of(
        names, [&](llvm::StringRef name) { return features.lookup(name); });
  };
  switch (tier) {
  case Tier::Scalar:
  case Tier::Sse2:
    return true;
  case Tier::Sse41:
    return features.lookup("sse4.1");
  case Tier::Avx2:
    return hasAll(avx2);
  case Tier::AvxVnni:
    return hasAll(avx2) && features.lookup("avxvnni");
  case Tier::Avx512Bw:
    return hasAll(avx2) && hasAll(avx512);
  case Tier::Avx512Vnni:
    return canRun(Tier::Avx512Bw) && hasAll(vnni);
  case Tier::Amx:
    return canRun(Tier::Avx512Vnni) && hasAll(amx) && requestTiles();
  }
  llvm_unreachable("every tier has its features");
}

std::vector<Tier> hostTiers() {
  std::vector<Tier> tiers;
  for (Tier tier : allTiers)
    if (canRun(tier))
      tiers.push_back(tier);
  return tiers;
}

Tier bestHostTier() {
  const char *limit = std::getenv("QUERN_MAX_ISA");
  Tier best = Tier::Sse2;
  for (Tier tier : hostTiers()) {
    best = tier;
    if (limit && getTierName(tier) == limit)
      break;
  }
  return best;
}

KernelJit::KernelJit(std::unique_ptr<llvm::orc::LLJIT> jit)
    : jit(std::move(jit)) {}
KernelJit::KernelJit(KernelJit &&) = default;
KernelJit &KernelJit::operator=(KernelJit &&) = default;
KernelJit::~KernelJit() = default;

Expected<KernelJit> KernelJit::create(mlir::ModuleOp module, Tier tier,
                                      unsigned threads) {
  auto objects = emitObjects(module, {tier}, threads);
  if (!objects)
    return objects.takeError();
  return load(objects->front(), tier);
}

Expected<KernelJit> KernelJit::load(const std::vector<KernelObject> &objects,
                                    Tier tier) {
  auto machine = createTargetMachine(tier);
  if (!machine)
    return machine.takeError();
  llvm::orc::JITTargetMachineBuilder target((*machine)->getTargetTriple());
  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(std::move(target))
                 .create();
  if (!jit)
    return convert(jit.takeError());
  for (size_t i = 0; i < objects.size(); ++i)
    if (llvm::Error error =
            (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(
                objects[i].bytes, "kernels." + std::to_string(i))))
      return convert(std::move(error));
  llvm::StringRef library = libraryOf(tier);
  if (!library.empty()) {
    auto archive = llvm::orc::StaticLibraryDefinitionGenerator::Create(
        (*jit)->getObjLinkingLayer(),
        llvm::MemoryBuffer::getMemBuffer(library, "library",
                                         /*RequiresNullTerminator=*/false));
    if (!archive)
      return convert(archive.takeError());
    (*jit)->getMainJITDylib().addGenerator(std::move(*archive));
  }
  KernelJit result(std::move(*jit));
  for (const KernelObject &object : objects)
    result.entries[object.kernel] = object.entry;
  return Expected<KernelJit>(std::move(result));
}

Expected<KernelEntry> KernelJit::lookup(llvm::StringRef kernel) const {
  auto entry = entries.find(kernel);
  if (entry == entries.end())
    return Error::make("kernel ", kernel.str(), ": found none of that name");
  auto address = jit->lookup(entry->second);
  if (!address)
    return convert(address.takeError());
  return address->toPtr<KernelEntry>();
}

} // namespace quern
