//===- quern-translate.cpp - MLIR to LLVM IR ------------------------------===//
//
// Part of Quern. Writes LLVM IR for a module of the LLVM dialect, the last
// MLIR form of a kernel: `quern-translate --mlir-to-llvmir FILE`.
//
//===----------------------------------------------------------------------===//

#include "compiler/Registry.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/ModuleTranslation.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

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

int main(int argc, char **argv) {
  registerToLLVMIR();
  return mlir::failed(
      mlir::mlirTranslateMain(argc, argv, "Quern: MLIR to LLVM IR"));
}
