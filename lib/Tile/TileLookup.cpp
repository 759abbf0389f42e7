//===- TileLookup.cpp - Launches of single table look-ups -----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// The kernels of the embedding do all three look-ups. Where a quantizer lies
// between the sums and the tables are in f32, each is a launch of its own.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

std::string Tiler::tableData(StringRef name, const RealWeights &table,
                             int64_t d, int64_t stride) {
  int64_t rows = table.rows(), bits = table.bits();
  if (bits == 32) {
    std::vector<float> values = table.values(), padded(rows * stride);
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(values.data() + row * d, d, padded.data() + row * stride);
    return program.data(name, std::move(padded), 32, rows * d, "f32");
  }
  int64_t bytes = tableRowBytes(d, bits);
  std::vector<int8_t> packed(rows * bytes);
  for (int64_t row = 0; row < rows; ++row)
    packTableRow(table.codeValues().data() + row * d, d, bits,
                 packed.data() + row * bytes);
  return program.data(name, std::move(packed), int(bits), rows * d,
                      table.scheme());
}

LogicalResult Tiler::tileLookup(tq::EmbeddingOp op) {
  FailureOr<std::string> index = inputOf(op.getIndex(), op);
  auto table = realWeights(op.getTable(), "table", op);
  if (failed(index) || failed(table))
    return failure();
  LookupShape shape;
  shape.d = widthOf(op.getResult());
  shape.tableStride = llvm::alignTo(shape.d, 16);
  shape.bits = table->bits();
  LaunchInfo info;
  info.op = "embed";
  info.step = nameOf(op, "");
  Place out =
      define(op.getResult(), info.step, shape.d, Storage::F32, RowsOf::Tokens);
  shape.outStride = out.stride;
  std::vector<std::string> operands = {
      *index,
      tableData(info.step + ".table", *table, shape.d, shape.tableStride),
      out.buffer};
  std::string name = "lookup_f32_" + num(shape.d);
  if (shape.bits != 32) {
    shape.rowScales = table->hasScalePerRow();
    operands.push_back(
        program.data(info.step + ".scales", table->scaleValues().vec()));
    name += "_w" + num(shape.bits) + (shape.rowScales ? "_rows" : "");
  }
  std::string kernel = program.kernel(name, [&](StringRef name) {
    return buildLookup(program.module(), name, shape);
  });
  describeLookup(program.module(), kernel, shape);
  program.launch(kernel, operands, rowChunks(RowsOf::Tokens), info);
  return success();
}

} // namespace quern
