//===- Registry.cpp - The one list of dialects and passes -----------------===//
//
// Part of Quern. See Registry.h. This is the only file that includes MLIR's
// InitAll headers.
//
//===----------------------------------------------------------------------===//

#include "compiler/Registry.h"

#include "compiler/Emit/ObjectCode.h"
#include "dialects/TK/TKDialect.h"
#include "dialects/TQ/TQDialect.h"
#include "lib/Lower/LowerPasses.h"
#include "lib/Quantize/Passes.h"
#include "lib/Rewrite/Passes.h"
#include "lib/Target/NVPTX/NvptxPasses.h"
#include "lib/Target/NVPTX/Ptx.h"
#include "lib/Target/X86/X86Passes.h"
#include "lib/Tile/TilePasses.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

void quern::registerAllQuern(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  registry.insert<tq::TQDialect, tk::TKDialect>();
}

void quern::registerAllQuernPasses() {
  mlir::registerAllPasses();
  registerQuantizePasses();
  registerRewritePasses();
  registerTilePasses();
  registerTilePipelines();
  registerLowerPasses();
  registerLowerPipelines();
  registerX86Passes();
  registerTierPipelines();
  registerNvptxPasses();
  nvptx::registerPtxPipeline();
}
