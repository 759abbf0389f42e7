//===- KernelJit.cpp - Run kernels in this process ------------------------===//
//
// ORC links the object; no IR goes through the JIT, so that what is tested is
// what is shipped.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/KernelJit.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

namespace quern {

static Error convert(llvm::Error error) {
  return Error(llvm::toString(std::move(error)));
}

bool canRun(Tier tier) {
  if (tier == Tier::Scalar)
    return true;
  auto features = llvm::sys::getHostCPUFeatures();
  for (const char *name :
       {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512vnni",
        "avx512vbmi", "avx2", "bmi2", "fma", "f16c", "lzcnt", "movbe"})
    if (!features.lookup(name))
      return false;
  return true;
}

KernelJit::KernelJit(std::unique_ptr<llvm::orc::LLJIT> jit, Tier tier)
    : jit(std::move(jit)), tier(tier) {}
KernelJit::KernelJit(KernelJit &&) = default;
KernelJit &KernelJit::operator=(KernelJit &&) = default;
KernelJit::~KernelJit() = default;

Expected<KernelJit> KernelJit::create(mlir::ModuleOp module, Tier tier) {
  auto object = emitKernels(module, tier, CodeForm::Object);
  if (!object)
    return object.takeError();
  return load(*object, tier);
}

Expected<KernelJit> KernelJit::load(const std::string &object, Tier tier) {
  auto machine = createTargetMachine(tier);
  if (!machine)
    return machine.takeError();
  llvm::orc::JITTargetMachineBuilder target((*machine)->getTargetTriple());
  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(std::move(target))
                 .create();
  if (!jit)
    return convert(jit.takeError());
  if (llvm::Error error = (*jit)->addObjectFile(
          llvm::MemoryBuffer::getMemBufferCopy(object, "kernels")))
    return convert(std::move(error));
  return KernelJit(std::move(*jit), tier);
}

Expected<KernelEntry> KernelJit::lookup(llvm::StringRef kernel) const {
  auto address = jit->lookup(getEntryName(kernel, tier));
  if (!address)
    return convert(address.takeError());
  return address->toPtr<KernelEntry>();
}

} // namespace quern
