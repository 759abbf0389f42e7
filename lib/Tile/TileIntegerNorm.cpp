//===- TileIntegerNorm.cpp - Launches of LayerNorm over codes -------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "dialects/TQ/FixedPoint.h"
#include "lib/Tile/AddNorm.h"
#include "lib/Tile/FixedNorm.h"
#include "lib/Tile/FixedPoint.h"
#include "lib/Tile/FixedTerms.h"
#include "lib/Tile/GroupNorm.h"
#include "lib/Tile/KernelForms.h"
#include "lib/Tile/NormConstants.h"
#include "lib/Tile/Tiler.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {

/// A vector of one entry per channel, or one for all, as one per channel.
static std::vector<float> perChannel(const ConstantView<float> &values,
                                     int64_t d) {
  if (values.size() == 1)
    return std::vector<float>(d, values[0]);
  return values.values().vec();
}

/// A part of a kernel's name: what its constants allow.
static std::string fixedName(const AddNormShape &shape) {
  std::string name;
  for (FixedTerm term : {shape.aTerm, shape.bTerm})
    name += term == FixedTerm::Any      ? "t"
            : term == FixedTerm::NoTies ? "w"
                                        : "b";
  return "_" + name + (shape.plain ? "" : "t") + (shape.narrow ? "" : "_long");
}

namespace {

/// A tq.qadd_norm whose operands have their places and whose kernel has its
/// shape.
struct AddNormLaunch {
  tq::QAddNormOp op;
  AddNormShape shape;
  LaunchInfo info;
  /// What all forms of the kernel have in their name.
  std::string kernelName;
  std::string a, b, out, tap;
  ConstantView<float> ma, mb, mo, gamma, beta;
};

} // namespace

static LogicalResult launchFixedAddNorm(ProgramBuilder &program,
                                        AddNormLaunch l) {
  AddNormShape &shape = l.shape;
  auto sum =
      tq::fixedSum(l.op, l.ma.values(), l.mb.values(), l.mo.values(), shape.d);
  Type sumType = l.op.getSumType().value_or(Type());
  shape.narrow = true;
  auto channels = fixedNormParams(program, l.op, l.info.step, l.gamma.values(),
                                  l.beta.values(), l.op.getSumHi(),
                                  shape.narrow, shape.plain, sumType);
  if (failed(sum) || failed(channels))
    return failure();
  shape.narrow &= isNarrow(sum->a, 65535) && isNarrow(sum->b, 65535);
  auto most = [](Storage s) { return s == Storage::U8 ? 255 : 65535; };
  TermConstants first = packTerm(sum->a, most(shape.a), shape.narrow);
  TermConstants second = packTerm(sum->b, most(shape.b), shape.narrow);
  shape.aTerm = first.form;
  shape.bTerm = second.form;
  std::string kernel = program.kernel(
      l.kernelName + fixedName(shape) + (sumType ? "_fixed_factors" : "_fixed"),
      [&](StringRef name) {
        return buildFixedAddNorm(program.module(), name, shape,
                                 /*byChannel=*/bool(sumType));
      },
      fixedNormScratch(shape.d));
  program.explain(kernel, rowNotes(shape.rows, /*isReal=*/false));
  describeFixedAddNorm(program.module(), kernel, shape, bool(sumType));
  program.launch(kernel,
                 {l.a, l.b, program.data(l.info.step + ".a", first.bytes),
                  program.data(l.info.step + ".b", second.bytes), *channels,
                  l.out, l.tap},
                 rowChunks(shape.rows), l.info);
  return success();
}

/// What of a kernel over groups of channels, or with channels in another order,
/// is fixed when it is built.
static GroupNormShape groupShape(AddNormLaunch &l, tq::GroupType groups) {
  GroupNormShape grouped{l.shape};
  if (groups) {
    grouped.groups = groups.getParams().size();
    grouped.each =
        grouped.groups == l.shape.d && llvm::is_sorted(groups.getMap());
  }
  grouped.ordered = l.op.getOrder().has_value();
  return grouped;
}

/// The kernel of the form that groups and order ask for.
static std::string addNormKernel(ProgramBuilder &program,
                                 const AddNormLaunch &l,
                                 const GroupNormShape &grouped) {
  bool hasGroups = grouped.groups != 0;
  bool isPlain = !hasGroups && !grouped.ordered;
  std::string name = l.kernelName;
  if (hasGroups)
    name += "_groups" + num(grouped.groups);
  if (grouped.each)
    name += "_each";
  if (grouped.ordered)
    name += "_ordered";
  std::string kernel = program.kernel(
      name,
      [&](StringRef name) {
        return isPlain ? buildQAddNorm(program.module(), name, l.shape)
                       : buildGroupAddNorm(program.module(), name, grouped);
      },
      isPlain ? qaddNormScratch(l.shape) : groupAddNormScratch(grouped));
  KernelNotes notes = rowNotes(l.shape.rows, /*isReal=*/false);
  if (hasGroups)
    notes.reasons.push_back("sums of " + num(grouped.groups) +
                            " groups are counted apart");
  if (grouped.ordered)
    notes.reasons.push_back("channels are stored in another order");
  program.explain(kernel, notes);
  if (isPlain)
    describeAddNorm(program.module(), kernel, l.shape);
  else
    describeGroupNorm(program.module(), kernel, grouped);
  return kernel;
}

static void launchAddNorm(ProgramBuilder &program, AddNormLaunch l) {
  auto groups =
      cast_if_present<tq::GroupType>(l.op.getSumType().value_or(Type()));
  GroupNormShape grouped = groupShape(l, groups);
  std::string kernel = addNormKernel(program, l, grouped);
  int64_t d = l.shape.d;
  double eps = l.op.getEps().convertToDouble();
  auto named = [&](StringRef part) { return l.info.step + part.str(); };
  auto vector = [&](StringRef part, ArrayRef<float> values) {
    return program.vector(named(part), values, llvm::alignTo(d, 16));
  };
  std::vector<std::string> operands = {
      l.a,
      l.b,
      vector(".ma", perChannel(l.ma, d)),
      vector(".mb", perChannel(l.mb, d)),
      vector(".mo", perChannel(l.mo, d)),
      vector(".gamma", l.gamma.values()),
      vector(".beta", l.beta.values()),
      groups ? program.data(named(".norm"), groupNormParams(groups, eps))
             : normParams(program, l.info.step,
                          l.op.getSumScale().convertToFloat(), d, eps),
      l.out};
  if (groups) {
    std::vector<float> zeros, scales;
    for (int64_t g : groups.getMap()) {
      zeros.push_back(float(groups.getParams()[g].zero));
      scales.push_back(float(groups.getParams()[g].scale));
    }
    operands.push_back(
        program.data(named(".masks"), grouped.each ? std::vector<int8_t>(64)
                                                   : groupNormMasks(groups)));
    if (!grouped.each)
      program.mayBeMarks(operands.back(), rowStride(d));
    operands.push_back(vector(".zeros", zeros));
    operands.push_back(vector(".scales", scales));
  }
  if (grouped.ordered)
    operands.push_back(program.data(
        named(".order"), std::vector<int32_t>(l.op.getOrder()->begin(),
                                              l.op.getOrder()->end())));
  operands.push_back(l.tap);
  program.launch(kernel, operands, rowChunks(l.shape.rows), l.info);
}

LogicalResult Tiler::tileQAddNorm(tq::QAddNormOp op) {
  FailureOr<Place> a = placeOf(op.getA(), op), b = placeOf(op.getB(), op);
  FailureOr<Storage> aStorage = storageOf(op.getA(), op);
  FailureOr<Storage> bStorage = storageOf(op.getB(), op);
  FailureOr<Storage> outStorage = storageOf(op.getResult(), op);
  auto ma = constant<float>(op.getMa(), "ma", op);
  auto mb = constant<float>(op.getMb(), "mb", op);
  auto mo = constant<float>(op.getMo(), "mo", op);
  auto gamma = constant<float>(op.getGamma(), "gamma", op);
  auto beta = constant<float>(op.getBeta(), "beta", op);
  if (failed(a) || failed(b) || failed(aStorage) || failed(bStorage) ||
      failed(outStorage) || failed(ma) || failed(mb) || failed(mo) ||
      failed(gamma) || failed(beta))
    return failure();

  int64_t d = widthOf(op.getResult());
  std::vector<std::string> sites = siteNames(op.getSites());
  LaunchInfo info;
  info.op = "add_norm";
  std::string site = siteOr(sites, 1, siteOr(sitesOfLimit(op), 0, ""));
  info.step = nameOf(op, site);
  info.layer = layerOfSite(site.empty() ? siteOr(sites, 0, "") : site);
  Place out = define(op.getResult(), info.step, d, *outStorage, a->rows);

  AddNormShape shape;
  shape.d = d;
  shape.a = *aStorage;
  shape.b = *bStorage;
  shape.sum = storageFor(op.getSumHi());
  shape.out = *outStorage;
  shape.sumRange = {float(op.getSumLo()), float(op.getSumHi())};
  shape.outRange = rangeOf(op.getResult());
  Place tap =
      program.tap(siteOr(sites, 0, info.step + ".sum"), d, shape.sum, a->rows);
  shape.aStride = a->stride;
  shape.bStride = b->stride;
  shape.outStride = out.stride;
  shape.tapStride = tap.stride;
  shape.rows = a->rows;
  if (sites.size() == 2) {
    info.sites.push_back({sites[0], tap.buffer, 0, d});
    info.sites.push_back({sites[1], out.buffer, 0, d});
  }
  std::string kernelName =
      joinName({"add_norm", num(d), storageName(shape.a).str(),
                storageName(shape.b).str(), storageName(shape.sum).str(),
                rangeName(shape.sumRange), storageName(shape.out).str(),
                rangeName(shape.outRange), num(a->stride), num(b->stride),
                a->rows == RowsOf::Tokens ? "" : "s"});
  AddNormLaunch launch{op,        shape,      info,       kernelName, a->buffer,
                       b->buffer, out.buffer, tap.buffer, *ma,        *mb,
                       *mo,       *gamma,     *beta};
  if (op.getFixed())
    return launchFixedAddNorm(program, std::move(launch));
  launchAddNorm(program, std::move(launch));
  return success();
}

} // namespace quern
