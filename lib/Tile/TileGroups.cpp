//===- TileGroups.cpp - Launches of the products of grouped codes ---------===//
//
// See GemmGroup.h. The channels of each group must be neighbours, which
// tq-order-channels sees to.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmGroup.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

/// Rows of n, each padded with zeros to `padded`.
template <typename T>
static std::vector<T> padRows(ArrayRef<T> values, int64_t n, int64_t padded) {
  std::vector<T> rows(values.size() / n * padded, T(0));
  for (size_t row = 0; row < values.size() / n; ++row)
    std::copy_n(values.data() + row * n, n, rows.data() + row * padded);
  return rows;
}

std::vector<int64_t> groupEnds(tq::QGroupLinearOp op) {
  std::vector<int64_t> ends;
  int64_t current = 0;
  SmallVector<int64_t> map = op.getGroupMap();
  for (auto [j, g] : llvm::enumerate(map)) {
    if (g == current)
      continue;
    if (g != current + 1)
      return {};
    ends.push_back(int64_t(j));
    current = g;
  }
  ends.push_back(int64_t(map.size()));
  return ends;
}

LogicalResult Tiler::tileQGroupLinear(tq::QGroupLinearOp op) {
  FailureOr<Place> x = placeOf(op.getX(), op);
  FailureOr<Storage> out = storageOf(op.getResult(), op);
  auto w = constant<int8_t>(op.getW(), "w", op);
  auto correction = constant<int32_t>(op.getCorrection(), "correction", op);
  auto multiplier = constant<float>(op.getMultiplier(), "multiplier", op);
  auto offset = constant<float>(op.getOffset(), "offset", op);
  if (failed(x) || failed(out) || failed(w) || failed(correction) ||
      failed(multiplier) || failed(offset))
    return failure();
  int64_t n = widthOf(op.getResult()), k = x->d;

  GroupGemmShape shape;
  shape.ends = groupEnds(op);
  if (shape.ends.empty())
    return op.emitOpError("has no kernel for groups whose channels are not "
                          "neighbours");
  shape.gemm.k = k;
  shape.gemm.n = n;
  shape.gemm.xStride = x->stride;
  shape.gemm.out = *out;
  shape.gemm.range = {float(op.getLo()), float(op.getHi())};
  shape.gemm.rows = x->rows;
  shape.gemm.activation = gemmActivation(op.getActivation());

  std::vector<std::string> sites = siteNames(op.getSites());
  std::string site = sites.empty() ? std::string() : sites[0];
  std::vector<std::string> named = sites.empty() ? sitesOfLimit(op) : sites;
  LaunchInfo info;
  info.op = "linear";
  info.layer = named.empty() ? -1 : layerOfSite(named[0]);
  info.step = productStep(op, named, info.layer);
  info.gemmN = n;
  info.gemmK = k;
  (x->rows == RowsOf::Tokens ? info.macsPerToken : info.macsPerSequence) =
      n * k;
  Place to = define(op.getResult(), info.step, n, *out, x->rows);
  shape.gemm.outStride = to.stride;
  int64_t part = sites.empty() ? n : n / int64_t(sites.size());
  for (size_t i = 0; i < sites.size(); ++i)
    info.sites.push_back({sites[i], to.buffer, int64_t(i) * part, part});

  if (!fitsBits(w->values(), op.getWeightBits()))
    return op.emitOpError("has codes of w that do not fit ")
           << op.getWeightBits() << " bits";
  int64_t bits = shape.gemm.weightBits = storedWeightBits(op.getWeightBits());
  std::vector<int8_t> packed(packedGroupGemmBytes(shape));
  packGroupGemmWeights(w->values().data(), shape, packed.data());
  std::vector<int32_t> steps;
  for (GroupSteps each : getGroupSteps(shape))
    steps.insert(steps.end(), {each.column, each.count});
  int64_t padded = llvm::alignTo(n, 16);
  std::vector<std::string> operands = {
      x->buffer,
      program.data(info.step + ".w", std::move(packed), bits, n * k,
                   bits == 8 ? "s8" : ("s" + num(bits)).c_str()),
      program.data(info.step + ".steps", std::move(steps)),
      program.data(info.step + ".correction",
                   padRows(correction->values(), n, padded)),
      program.data(info.step + ".multiplier",
                   padRows(multiplier->values(), n, padded)),
      program.vector(info.step + ".offset", offset->values(), padded)};
  // Constants that follow from the groups of x.
  if (auto type =
          dyn_cast<tq::GroupType>(op.getX().getType().getElementType())) {
    std::vector<int32_t> zeros;
    std::vector<float> scales;
    // Several groups of the product may be parts of one of x.
    for (int64_t end : shape.ends) {
      tq::UniformParams group = type.getParams()[type.getMap()[end - 1]];
      zeros.push_back(-int32_t(group.zero));
      scales.push_back(float(group.scale));
    }
    std::vector<int64_t> counts;
    for (GroupSteps each : getGroupSteps(shape))
      counts.push_back(each.count);
    program.mayBeSums(operands[3], operands[1], zeros, counts);
    program.mayBeProducts(operands[4], scales);
  }
  if (shape.gemm.activation != GemmActivation::None && *out != Storage::F32)
    operands.push_back(
        program.data(info.step + ".post",
                     std::vector<float>{op.getPostMultiplier().convertToFloat(),
                                        op.getPostOffset().convertToFloat()}));
  operands.push_back(to.buffer);
  std::string tuned = tuning.apply(shape.gemm, TunedInput::Groups);
  std::string kernel = program.kernel(
      getGroupGemmName(shape),
      [&](StringRef name) {
        return buildGroupGemm(program.module(), name, shape);
      },
      getGroupGemmScratchBytes(shape));
  KernelNotes notes = gemmNotes(shape.gemm, GemmInput::Codes, shape.groups());
  if (!tuned.empty())
    notes.reasons.push_back(tuned);
  program.explain(kernel, notes);
  describeGroupGemm(program.module(), kernel, shape);
  program.launch(kernel, operands, gemmChunks(shape.gemm), info);
  return success();
}

} // namespace quern
