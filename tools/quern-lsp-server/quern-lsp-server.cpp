//===- quern-lsp-server.cpp - Editor support for tq and tk ----------------===//
//
// Part of Quern. A language server for .mlir files that know our dialects:
// errors while typing, definitions, documentation of ops on hover.
//
//===----------------------------------------------------------------------===//

#include "compiler/Registry.h"

#include "mlir/IR/Dialect.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  quern::registerAllQuern(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
