//===- LowerEntry.cpp - The C entry of each kernel ------------------------===//
//
// The run time knows kernels by one signature; see quern_kernel in
// runtime/include/quern/module_abi.h.
//
//===----------------------------------------------------------------------===//
#include "dialects/TK/TKDialect.h"
#include "lib/Lower/LowerPasses.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace quern {
#define GEN_PASS_DEF_LOWERENTRY
#include "lib/Lower/LowerPasses.h.inc"
} // namespace quern

using namespace mlir;

/// A memref argument is passed as allocated and aligned pointer, offset, size
/// and stride.
static constexpr unsigned kPartsOfMemRef = 5;
/// tokens, sequences, flags, begin, end.
static constexpr unsigned kNumCounts = 5;

static void appendMemRef(OpBuilder &b, Location loc, Value pointer,
                         SmallVectorImpl<Value> &arguments) {
  auto constant = [&](int64_t v) {
    return LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(v));
  };
  // Kernels take sizes from the token count; the size of a buffer is not
  // known here and nothing may read it.
  arguments.append(
      {pointer, pointer, constant(0), constant(INT64_MAX), constant(1)});
}

static LogicalResult addEntry(LLVM::LLVMFuncOp kernel, StringRef suffix) {
  unsigned count = kernel.getNumArguments();
  if (count < kNumCounts + kPartsOfMemRef ||
      (count - kNumCounts) % kPartsOfMemRef != 0)
    return kernel.emitOpError("expects 5 arguments for each memref and ")
           << kNumCounts << " more, got " << count;
  unsigned buffers = (count - kNumCounts) / kPartsOfMemRef - 1;

  OpBuilder b(kernel);
  Location loc = kernel.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type();
  std::string name = (kernel.getName() + suffix).str();
  kernel.setName((kernel.getName() + ".body" + suffix).str());
  kernel.setLinkage(LLVM::Linkage::Internal);
  kernel.setAlwaysInline(true);
  kernel->removeAttr(quern::tk::TKDialect::getKernelAttrName());

  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  {pointer, i64, i64, i64, i64, i64, pointer});
  auto entry = LLVM::LLVMFuncOp::create(b, loc, name, type);
  Block *block = entry.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  for (unsigned i = 0; i < buffers; ++i) {
    Value at =
        LLVM::GEPOp::create(b, loc, pointer, pointer, block->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{int32_t(i)});
    appendMemRef(b, loc, LLVM::LoadOp::create(b, loc, pointer, at), arguments);
  }
  for (unsigned i = 0; i < kNumCounts; ++i)
    arguments.push_back(block->getArgument(1 + i));
  appendMemRef(b, loc, block->getArgument(1 + kNumCounts), arguments);
  LLVM::CallOp::create(b, loc, kernel, arguments);
  LLVM::ReturnOp::create(b, loc, ValueRange());
  return success();
}

namespace {
struct LowerEntry : quern::impl::LowerEntryBase<LowerEntry> {
  using LowerEntryBase::LowerEntryBase;
  void runOnOperation() override {
    SmallVector<LLVM::LLVMFuncOp> kernels;
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (quern::tk::isKernel(function))
        kernels.push_back(function);
    for (LLVM::LLVMFuncOp kernel : kernels)
      if (failed(addEntry(kernel, suffix)))
        return signalPassFailure();
  }
};
} // namespace
