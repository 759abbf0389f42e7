//===- DeviceProgram.cpp - A program's launches on a GPU ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/DeviceProgram.h"

#include "lib/Target/NVPTX/Elements.h"
#include "lib/Target/NVPTX/LaunchBuilder.h"
#include "lib/Target/NVPTX/RealRows.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace quern::nvptx {

/// What makes launches of a kind of form; null if nothing does.
static LaunchKind launchKind(StringRef kind) {
  auto found = llvm::StringSwitch<LaunchKind>(kind)
                   .Case("linear", launchLinear)
                   .Case("group_linear", launchGroupLinear)
                   .Case("attention", launchAttention)
                   .Case("add", launchAddCodes)
                   .Case("add_norm", launchAddNorm)
                   .Case("fixed_add_norm", launchFixedAddNorm)
                   .Case("group_norm", launchGroupNorm)
                   .Case("embed", launchEmbed)
                   .Case("lookup", launchLookup)
                   .Case("quantize_tokens", launchQuantizeTokens)
                   .Case("dequantize_tokens", launchDequantizeTokens)
                   .Case("shift_gelu", launchShiftGelu)
                   .Case("real_linear", launchRealLinear)
                   .Case("real_attention", launchRealAttention)
                   .Cases({"norm_f32", "add_norm_f32"}, launchRealNorm)
                   .Case("embed_f32", launchRealEmbed)
                   .Default(nullptr);
  if (!found && parseElementFunction(kind))
    found = launchElements;
  if (!found && parseRealFunction(kind))
    found = launchRealFunction;
  return found;
}

static Error addLaunch(LaunchBuilder &builder, tk::LaunchOp op) {
  Operation *cpu = builder.tiles.lookupSymbol(op.getKernel());
  auto entries = cpu->getAttrOfType<DictionaryAttr>("form");
  if (!entries)
    return Error::make("kernel ", op.getKernel().str(),
                       " has no counterpart on GPUs");
  KernelForm form(entries);
  std::string kind = form.text("kind");
  LaunchKind launch = launchKind(kind);
  if (!launch)
    return Error::make("kernels of kind '", printable(kind),
                       "' are unknown on GPUs");
  if (builder.join(op))
    return Error::success();
  builder.begin(op);
  Error error = launch(builder, form);
  if (!error && !form.problem.empty())
    return Error(form.problem);
  if (error)
    return error;
  builder.end();
  return Error::success();
}

Expected<DeviceProgram> buildDeviceProgram(ModuleOp tiles,
                                           ArrayRef<PtxVariant> variants) {
  MLIRContext *context = tiles.getContext();
  context->loadDialect<arith::ArithDialect, cf::ControlFlowDialect,
                       LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  OwningOpRef<ModuleOp> portable = ModuleOp::create(tiles.getLoc()), hopper;
  if (llvm::is_contained(variants, PtxVariant::Sm90a))
    hopper = ModuleOp::create(tiles.getLoc());
  if (hopper)
    DeviceBuilder::allowEarlyLaunch(*hopper);
  LaunchBuilder builder(tiles, *portable, hopper ? *hopper : ModuleOp());
  for (auto program : tiles.getOps<tk::ProgramOp>())
    for (auto launch : program.getBody().getOps<tk::LaunchOp>())
      if (Error error = addLaunch(builder, launch)) {
        auto step = launch->getAttrOfType<StringAttr>("step");
        return Error::make("GPU: step ", step ? step.str() : "without a name",
                           ": ", error.message());
      }
  for (PtxVariant variant : variants) {
    auto ptx =
        emitPtx(variant == PtxVariant::Sm80 ? *portable : *hopper, variant);
    if (!ptx)
      return ptx.takeError();
    builder.program.code.push_back({variant, std::move(*ptx)});
  }
  return Expected<DeviceProgram>(std::move(builder.program));
}

} // namespace quern::nvptx
