//===- quern-translate.cpp - MLIR to LLVM IR and PTX ----------------------===//
//
// Part of Quern. Writes LLVM IR for a module of the LLVM dialect, the last
// MLIR form of a kernel (`quern-translate --mlir-to-llvmir FILE`), or the PTX
// of one of GPU kernels (`--mlir-to-ptx`).
//
//===----------------------------------------------------------------------===//

#include "compiler/Registry.h"
#include "lib/Target/NVPTX/Ptx.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/ModuleTranslation.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"

/// Registered here and not through MLIR's list: that one knows no tq and tk,
/// and most of its translations have nothing to do with Quern.
static void registerToLLVMIR() {
  static mlir::TranslateFromMLIRRegistration registration(
      "mlir-to-llvmir", "write LLVM IR of a module of the LLVM dialect",
      [](mlir::Operation *op, llvm::raw_ostream &out) -> mlir::LogicalResult {
        llvm::LLVMContext context;
        auto module = mlir::translateModuleToLLVMIR(op, context);
        if (!module)
          return mlir::failure();
        module->print(out, nullptr);
        return mlir::success();
      },
      [](mlir::DialectRegistry &registry) {
        quern::registerAllQuern(registry);
      });
}

static llvm::cl::opt<std::string>
    ptxVariant("ptx-variant", llvm::cl::init("sm_80"),
               llvm::cl::desc("What PTX is for: sm_80 and later, or sm_90a"));

static void registerToPtx() {
  static mlir::TranslateFromMLIRRegistration registration(
      "mlir-to-ptx", "write PTX of GPU kernels that tq-nvptx-pipeline lowered",
      [](mlir::Operation *op, llvm::raw_ostream &out) -> mlir::LogicalResult {
        auto module = mlir::dyn_cast<mlir::ModuleOp>(op);
        if (!module)
          return op->emitError("PTX is made of a module");
        auto variant = quern::nvptx::parseVariant(ptxVariant);
        if (!variant)
          return op->emitError(variant.message());
        auto text = quern::nvptx::emitLoweredPtx(module, *variant);
        if (!text)
          return op->emitError(text.message());
        out << *text;
        return mlir::success();
      },
      [](mlir::DialectRegistry &registry) {
        quern::registerAllQuern(registry);
      });
}

int main(int argc, char **argv) {
  registerToLLVMIR();
  registerToPtx();
  return mlir::failed(
      mlir::mlirTranslateMain(argc, argv, "Quern: MLIR to LLVM IR and PTX"));
}
