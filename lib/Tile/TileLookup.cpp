//===- TileLookup.cpp - Launches of single table look-ups -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernels of the embedding do all three look-ups. Where a quantizer lies
// between the sums and the tables are in f32, each is a launch of its own.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Embed.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

LogicalResult Tiler::tileLookup(tq::EmbeddingOp op) {
  FailureOr<std::string> index = inputOf(op.getIndex(), op);
  auto table = constant<float>(op.getTable(), "table", op);
  if (failed(index) || failed(table))
    return failure();
  int64_t d = widthOf(op.getResult()), stride = llvm::alignTo(d, 16);
  int64_t rows = table->size() / d;
  std::vector<float> padded(rows * stride);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(table->values().data() + row * d, d,
                padded.data() + row * stride);
  LaunchInfo info;
  info.op = "embed";
  info.step = nameOf(op, "");
  Place out =
      define(op.getResult(), info.step, d, Storage::F32, RowsOf::Tokens);
  std::string values = program.data(info.step + ".table", std::move(padded), 32,
                                    rows * d, "f32");
  std::string kernel =
      program.kernel("lookup_f32_" + std::to_string(d), [&](StringRef name) {
        return buildLookup(program.module(), name, d, stride, out.stride);
      });
  program.launch(kernel, {*index, values, out.buffer},
                 rowChunks(RowsOf::Tokens), info);
  return success();
}

} // namespace quern
