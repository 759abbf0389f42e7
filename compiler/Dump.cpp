//===- Dump.cpp - A level as files to look at and run again ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Dump.h"

#include "lib/Support/File.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;

/// Bytes of the constants that are printed apart.
static uint64_t resourceBytes(ModuleOp module) {
  uint64_t bytes = 0;
  module.walk([&](Operation *op) {
    for (NamedAttribute attr : op->getAttrs())
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr.getValue()))
        if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
          bytes += blob->getData().size();
  });
  return bytes;
}

Error quern::writeDump(ModuleOp module, const std::string &folder,
                       const std::string &name) {
  // A small model is printed whole. The weights of a large one are left out: a
  // printed BERT is a few pages then. The whole graph stands beside it as
  // bytecode, on which every pass runs; no pass on kernels reads a constant.
  constexpr uint64_t whole = uint64_t(4) << 20;
  bool isLarge = resourceBytes(module) > whole;
  OpPrintingFlags flags;
  if (isLarge)
    flags.elideLargeResourceString(4096);
  if (isLarge && module.lookupSymbol<func::FuncOp>("forward")) {
    std::string bytecode;
    llvm::raw_string_ostream out(bytecode);
    if (mlir::failed(writeBytecodeToFile(module, out)))
      return Error::make(name, ": cannot be written as bytecode");
    if (Error error = writeFile(joinPath(folder, name + "bc"), out.str()))
      return error;
  }
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, flags);
  out << '\n';
  return writeFile(joinPath(folder, name), text);
}
