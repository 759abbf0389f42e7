//===- OptMain.cpp - The main function of quern-opt -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "tools/quern-opt/OptMain.h"

#include "compiler/Registry.h"
#include "compiler/Validate/Validator.h"

#include "mlir/IR/Dialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

static llvm::cl::opt<bool>
    validate("tq-validate",
             llvm::cl::desc("Interpret what each pass was given and what it "
                            "made of it, on random and on adversarial inputs; "
                            "an error where they differ by more than the pass "
                            "allows itself"));

namespace quern {

/// Nothing is written when a pass did not do what it promises.
static LogicalResult runValidated(StringRef input, StringRef output,
                                  DialectRegistry &registry,
                                  const std::vector<PassPromise> &promises) {
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  MlirOptMainConfig plain = config;
  bool differs = false;
  config.setPassPipelineSetupFn([&](PassManager &manager) {
    ValidatorOptions options;
    options.more = promises;
    options.onFailure = [&] { differs = true; };
    Validator(std::move(options)).attach(manager);
    return plain.setupPassPipeline(manager);
  });
  std::string problem;
  std::unique_ptr<llvm::MemoryBuffer> file = openInputFile(input, &problem);
  if (!file) {
    llvm::errs() << problem << "\n";
    return failure();
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (failed(MlirOptMain(stream, std::move(file), registry, config)) ||
      (differs && !config.shouldVerifyDiagnostics()))
    return failure();
  std::unique_ptr<llvm::ToolOutputFile> out = openOutputFile(output, &problem);
  if (!out) {
    llvm::errs() << problem << "\n";
    return failure();
  }
  out->os() << text;
  out->keep();
  return success();
}

int optMain(int argc, char **argv, const std::vector<PassPromise> &promises) {
  DialectRegistry registry;
  registerAllQuern(registry);
  registerAllQuernPasses();
  auto [input, output] = registerAndParseCLIOptions(
      argc, argv, "Quern: passes over tq and tk functions\n", registry);
  return asMainReturnCode(
      validate ? runValidated(input, output, registry, promises)
               : MlirOptMain(argc, argv, input, output, registry));
}

} // namespace quern
