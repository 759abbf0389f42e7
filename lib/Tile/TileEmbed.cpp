//===- TileEmbed.cpp - Launches of the embedding --------------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/Embed.h"
#include "lib/Tile/FixedNorm.h"
#include "lib/Tile/FixedPoint.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/NormConstants.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

LogicalResult Tiler::tileQEmbed(tq::QEmbedOp op) {
  FailureOr<Storage> outStorage = storageOf(op.getResult(), op);
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(outStorage) || failed(gamma) || failed(beta))
    return failure();
  int64_t d = widthOf(op.getResult()), padded = llvm::alignTo(d, 16);

  std::vector<std::string> operands;
  for (Value index : {op.getIds(), op.getTypes(), op.getPositions()}) {
    FailureOr<std::string> symbol = inputOf(index, op);
    if (failed(symbol))
      return failure();
    operands.push_back(*symbol);
  }
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "embed";
  info.step = nameOf(op, siteOr(sites, 2, siteOr(sitesOfLimit(op), 0, "")));
  const char *const names[] = {"word", "type", "position"};
  Value tables[] = {op.getWord(), op.getType(), op.getPosition()};
  Value scales[] = {op.getWordScales(), op.getTypeScales(),
                    op.getPositionScales()};
  const int64_t given[] = {op.getWordBits(), op.getTypeBits(),
                           op.getPositionBits()};
  EmbedShape shape;
  std::vector<float> scaleValues[3];
  bool perRow[3];
  for (int i = 0; i < 3; ++i) {
    auto table = constant<int8_t>(tables[i], names[i], op);
    auto scale = constant<float>(scales[i], "scales", op);
    if (failed(table) || failed(scale))
      return failure();
    int64_t rows = table->size() / d;
    if (!fitsBits(table->values(), given[i]))
      return op.emitOpError("has codes of ")
             << names[i] << " that do not fit " << given[i] << " bits";
    int64_t bits = shape.tableBits[i] = storedWeightBits(given[i]);
    int64_t stride = tableRowBytes(d, bits);
    std::vector<int8_t> packed(rows * stride);
    for (int64_t row = 0; row < rows; ++row)
      packTableRow(table->values().data() + row * d, d, bits,
                   packed.data() + row * stride);
    std::string name = std::string("E.") + names[i];
    operands.push_back(program.data(name, std::move(packed), int(bits),
                                    rows * d, "s" + num(bits)));
    perRow[i] = scale->size() != 1;
    scaleValues[i] = scale->values().vec();
  }

  shape.d = d;
  shape.tableStride = padded;
  shape.wordScales = perRow[0];
  shape.typeScales = perRow[1];
  shape.positionScales = perRow[2];
  shape.e1 = storageFor(op.getE1Hi());
  shape.e2 = storageFor(op.getE2Hi());
  shape.out = *outStorage;
  shape.e1Range = {float(op.getE1Lo()), float(op.getE1Hi())};
  shape.e2Range = {float(op.getE2Lo()), float(op.getE2Hi())};
  shape.outRange = rangeOf(op.getResult());
  Place out = define(op.getResult(), info.step, d, *outStorage, RowsOf::Tokens);
  Place first = program.tap(siteOr(sites, 0, "E.t"), d, shape.e1);
  Place second = program.tap(siteOr(sites, 1, "E.e"), d, shape.e2);
  shape.outStride = out.stride;
  shape.tapStride = first.stride;
  const Place *at[3] = {&first, &second, &out};
  for (size_t i = 0; i < sites.size() && i < 3; ++i)
    info.sites.push_back({sites[i], at[i]->buffer, 0, d});
  if (op.getE2Type() && !op.getFixed())
    return op.emitOpError("has no kernel for e2_type without fixed");
  if (op.getFixed())
    return launchFixedEmbed(op, shape, scaleValues, gamma->values(),
                            beta->values(), operands,
                            {out.buffer, first.buffer, second.buffer}, info);
  for (int i = 0; i < 3; ++i)
    operands.push_back(program.vector(std::string("E.") + names[i] + ".scale",
                                      scaleValues[i], scaleValues[i].size()));

  QEmbedParams params;
  params.e1Multiplier = op.getE1Multiplier().convertToFloat();
  params.e1Zero = float(op.getE1Zero());
  params.e1Scale = op.getE1Scale().convertToFloat();
  params.e2Multiplier = op.getE2Multiplier().convertToFloat();
  params.e2Zero = float(op.getE2Zero());
  auto values = params.data();
  operands.push_back(program.data(
      info.step + ".params", std::vector<float>(values.begin(), values.end())));
  operands.push_back(
      program.vector(info.step + ".gamma", gamma->values(), padded));
  operands.push_back(
      program.vector(info.step + ".beta", beta->values(), padded));
  operands.push_back(normParams(program, info.step,
                                op.getE2Scale().convertToFloat(), d,
                                op.getEps().convertToDouble()));
  llvm::append_range(operands, std::initializer_list<std::string>{
                                   out.buffer, first.buffer, second.buffer});
  // Two look-ups of one model differ in their results where residual sums have
  // codes of their own.
  std::string name = "embed_" + num(d);
  if (*outStorage != Storage::U8 || shape.outRange.hi != 255)
    name +=
        "_" + storageName(*outStorage).str() + "_" + rangeName(shape.outRange);
  std::string kernel = program.kernel(
      name,
      [&](StringRef name) {
        return buildQEmbed(program.module(), name, shape);
      },
      qembedScratch(shape));
  describeEmbed(program.module(), kernel, shape, /*fixed=*/false);
  program.launch(kernel, operands, rowChunks(RowsOf::Tokens), info);
  return success();
}

/// Mantissa and shift of each, as the kernel reads them.
static std::vector<int32_t> rowNumbers(ArrayRef<qi_affine> rows) {
  std::vector<int32_t> numbers;
  for (const qi_affine &row : rows) {
    numbers.push_back(row.mantissa);
    numbers.push_back(row.shift);
  }
  return numbers;
}

LogicalResult Tiler::launchFixedEmbed(tq::QEmbedOp op, EmbedShape shape,
                                      ArrayRef<std::vector<float>> scales,
                                      ArrayRef<float> gamma,
                                      ArrayRef<float> beta,
                                      std::vector<std::string> operands,
                                      ArrayRef<std::string> results,
                                      const LaunchInfo &info) {
  auto constants = tq::fixedEmbedding(op, scales[0], scales[1], scales[2]);
  shape.narrow = true;
  auto channels = fixedNormParams(program, op, info.step, gamma, beta,
                                  op.getE2Hi(), shape.narrow, shape.plain,
                                  op.getE2Type().value_or(Type()));
  if (failed(constants) || failed(channels))
    return failure();
  shape.e1Zero = op.getE1Zero();
  shape.e2Zero = op.getE2Zero();
  for (auto [name, rows] : {std::pair<const char *, ArrayRef<qi_affine>>{
                                "E.word.rows", constants->word},
                            {"E.type.rows", constants->type},
                            {"E.position.rows", constants->position}})
    operands.push_back(program.data(name, rowNumbers(rows)));
  operands.push_back(
      program.data(info.step + ".first", packFixed(constants->first)));
  operands.push_back(*channels);
  if (std::vector<int32_t> powers = tq::embeddingPowers(op); !powers.empty()) {
    shape.factors = true;
    powers.resize(llvm::alignTo(powers.size(), 16), 1);
    operands.push_back(program.data(info.step + ".powers", std::move(powers)));
  }
  llvm::append_range(operands, results);
  std::string kernel = program.kernel(
      "embed_" + num(shape.d) + (shape.plain ? "_fixed" : "_fixed_ties") +
          (shape.factors ? "_factors" : ""),
      [&](StringRef name) {
        return buildFixedEmbed(program.module(), name, shape);
      },
      fixedNormScratch(shape.d));
  describeEmbed(program.module(), kernel, shape, /*fixed=*/true);
  program.launch(kernel, operands, rowChunks(RowsOf::Tokens), info);
  return success();
}

} // namespace quern
