//===- quern-opt.cpp - Run passes on a file -------------------------------===//
//
// Part of Quern. Reads MLIR, runs the passes named on the command line, and
// prints the result. Every dump of `quern compile --save-temps` can be read.
//
//===----------------------------------------------------------------------===//

#include "compiler/Registry.h"

#include "mlir/IR/Dialect.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  quern::registerAllQuern(registry);
  quern::registerAllQuernPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Quern: passes over tq and tk functions\n", registry));
}
