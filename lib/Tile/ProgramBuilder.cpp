//===- ProgramBuilder.cpp - Buffers, constants and launches ---------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/ProgramBuilder.h"

#include "lib/Analysis/ArenaPlan.h"
#include "runtime/include/quern/module_abi.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace mlir;

namespace quern {

int64_t layerOfSite(StringRef site) {
  int64_t layer = -1;
  if (site.consume_front("L"))
    site.consumeInteger(10, layer);
  return layer;
}

std::string keyOfSite(StringRef site) {
  if (site == "E.t" || site == "E.e")
    return "e";
  if (site == "E.z")
    return "emb";
  return site.substr(site.find('.') == StringRef::npos ? 0 : site.find('.') + 1)
      .str();
}

std::string joinName(std::initializer_list<std::string> parts) {
  std::string name;
  for (const std::string &part : parts)
    if (!part.empty())
      name += (name.empty() ? "" : "_") + part;
  return name;
}

Chunks rowChunks(RowsOf rows) {
  return {rows == RowsOf::Tokens ? tk::Base::Tokens : tk::Base::Sequences,
          kRowsPerChunk, 1};
}

Chunks gemmChunks(const GemmShape &shape) {
  GemmChunks chunks = getGemmChunks(shape);
  return {shape.rows == RowsOf::Tokens ? tk::Base::Tokens : tk::Base::Sequences,
          chunks.divide, chunks.multiply};
}

static Type elementOf(MLIRContext *context, Storage storage) {
  if (storage == Storage::F32)
    return Float32Type::get(context);
  return IntegerType::get(context, storage == Storage::U8 ? 8 : 16);
}

ProgramBuilder::ProgramBuilder(ModuleOp module)
    : root(module), builder(module.getContext()) {
  builder.setInsertionPointToEnd(root.getBody());
  program = tk::ProgramOp::create(builder, root.getLoc(), "forward");
  if (program.getBody().empty())
    program.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&program.getBody().front());
}

std::string ProgramBuilder::unique(StringRef name) {
  unsigned &count = names[name];
  std::string result =
      count == 0 ? name.str() : name.str() + "_" + std::to_string(count);
  ++count;
  return result;
}

tk::BufferOp ProgramBuilder::declare(StringRef name, tk::BufferKind kind,
                                     std::optional<tk::Base> unit,
                                     int64_t stride, int64_t d,
                                     Storage storage) {
  OpBuilder at(program);
  tk::BaseAttr unitAttr =
      unit ? tk::BaseAttr::get(context(), *unit) : tk::BaseAttr();
  auto op =
      tk::BufferOp::create(at, root.getLoc(), at.getStringAttr(unique(name)),
                           tk::BufferKindAttr::get(context(), kind), unitAttr,
                           at.getI64IntegerAttr(stride * storageBytes(storage)),
                           TypeAttr::get(elementOf(context(), storage)));
  op->setAttr("columns", at.getI64IntegerAttr(d));
  return op;
}

Place ProgramBuilder::buffer(StringRef name, int64_t d, Storage storage,
                             RowsOf rows) {
  int64_t stride = spreadStride(d, storage);
  tk::BufferOp op = declare(name,
                            rows == RowsOf::Tokens ? tk::BufferKind::Tokens
                                                   : tk::BufferKind::Sequences,
                            std::nullopt, stride, d, storage);
  arena[op.getSymNameAttr()] = {op, Lifetime()};
  return {op.getSymName().str(), d, stride, 0, storage, rows};
}

Place ProgramBuilder::output(int64_t d, RowsOf rows) {
  int64_t stride = rowStride(d);
  tk::BufferOp op =
      declare("output", tk::BufferKind::Output,
              rows == RowsOf::Tokens ? tk::Base::Tokens : tk::Base::Sequences,
              stride, d, Storage::F32);
  return {op.getSymName().str(), d, stride, 0, Storage::F32, rows};
}

std::string ProgramBuilder::input(StringRef role) {
  OpBuilder at(program);
  auto op = tk::BufferOp::create(
      at, root.getLoc(), at.getStringAttr(unique(role)),
      tk::BufferKindAttr::get(context(), tk::BufferKind::Input),
      tk::BaseAttr::get(context(), role == "offsets" ? tk::Base::Sequences
                                                     : tk::Base::Tokens),
      at.getI64IntegerAttr(4), TypeAttr::get(at.getI32Type()));
  op->setAttr("role", at.getStringAttr(role));
  op->setAttr("columns", at.getI64IntegerAttr(1));
  return op.getSymName().str();
}

Place ProgramBuilder::patches(int64_t d) {
  int64_t stride = rowStride(d);
  tk::BufferOp op = declare("patches", tk::BufferKind::Input, tk::Base::Tokens,
                            stride, d, Storage::F32);
  op->setAttr("role", builder.getStringAttr("patches"));
  return {op.getSymName().str(), d, stride, 0, Storage::F32, RowsOf::Tokens};
}

Place ProgramBuilder::tap(StringRef site, int64_t d, Storage storage,
                          RowsOf rows) {
  int64_t stride = rowStride(d);
  tk::BufferOp op = declare(("tap." + site).str(),
                            rows == RowsOf::Tokens ? tk::BufferKind::Tokens
                                                   : tk::BufferKind::Sequences,
                            std::nullopt, stride, d, storage);
  op->setAttr("tap", builder.getUnitAttr());
  return {op.getSymName().str(), d, stride, 0, storage, rows};
}

Place ProgramBuilder::scoreTap(StringRef site, int64_t heads, Storage storage,
                               bool firstQuery) {
  tk::BufferOp op =
      declare(("tap." + site).str(),
              firstQuery ? tk::BufferKind::Tokens : tk::BufferKind::Pairs,
              std::nullopt, heads, heads, storage);
  op->setAttr("tap", builder.getUnitAttr());
  return {op.getSymName().str(), heads, heads, 0, storage, RowsOf::Tokens};
}

std::string ProgramBuilder::data(StringRef name, ElementsAttr value, int bits,
                                 int64_t parameters, StringRef scheme) {
  OpBuilder at(program);
  auto op = tk::DataOp::create(at, root.getLoc(),
                               at.getStringAttr(unique(name)), value);
  if (bits != 0)
    op->setAttr("bits", at.getI64IntegerAttr(bits));
  if (parameters != 0)
    op->setAttr("parameters", at.getI64IntegerAttr(parameters));
  if (!scheme.empty())
    op->setAttr("scheme", at.getStringAttr(scheme));
  return op.getSymName().str();
}

template <typename T>
std::string ProgramBuilder::data(StringRef name, std::vector<T> values,
                                 int bits, int64_t parameters,
                                 StringRef scheme) {
  return data(name, makeConstant<T>(context(), name, std::move(values)), bits,
              parameters, scheme);
}

template std::string ProgramBuilder::data(StringRef, std::vector<float>, int,
                                          int64_t, StringRef);
template std::string ProgramBuilder::data(StringRef, std::vector<int8_t>, int,
                                          int64_t, StringRef);
template std::string ProgramBuilder::data(StringRef, std::vector<int32_t>, int,
                                          int64_t, StringRef);

std::string ProgramBuilder::vector(StringRef name, ArrayRef<float> values,
                                   int64_t size) {
  std::vector<float> padded(values.begin(), values.end());
  padded.resize(size, 0.0f);
  return data(name, std::move(padded));
}

void ProgramBuilder::say(StringRef data, StringRef name, Attribute value) {
  auto op = root.lookupSymbol<tk::DataOp>(data);
  assert(op && "says something of a constant");
  op->setAttr(name, value);
}

void ProgramBuilder::mayBeSums(StringRef data, StringRef weights,
                               ArrayRef<int32_t> factors,
                               ArrayRef<int64_t> steps) {
  NamedAttrList entry;
  entry.set("of", FlatSymbolRefAttr::get(context(), weights));
  entry.set("factors", builder.getDenseI32ArrayAttr(factors));
  entry.set("steps", builder.getDenseI64ArrayAttr(steps));
  say(data, "sums", entry.getDictionary(context()));
}

void ProgramBuilder::mayBeProducts(StringRef data, ArrayRef<float> factors) {
  say(data, "factors", builder.getDenseF32ArrayAttr(factors));
}

void ProgramBuilder::mayBeMarks(StringRef data, int64_t columns) {
  say(data, "columns", builder.getI64IntegerAttr(columns));
}

std::string
ProgramBuilder::kernel(const std::string &name,
                       llvm::function_ref<func::FuncOp(StringRef)> make,
                       int64_t scratchBytes) {
  scratch = std::max(scratch, scratchBytes);
  if (!root.lookupSymbol(name)) {
    func::FuncOp function = make(name);
    function->moveBefore(program);
    for (auto variant : llvm::make_early_inc_range(root.getOps<func::FuncOp>()))
      if (FlatSymbolRefAttr of = tk::getVariantOf(variant))
        if (of.getValue() == name)
          variant->moveBefore(program);
  }
  return name;
}

void ProgramBuilder::explain(StringRef kernel, const KernelNotes &notes) {
  SmallVector<Attribute> reasons;
  for (const std::string &reason : notes.reasons)
    reasons.push_back(builder.getStringAttr(reason));
  NamedAttrList entry;
  entry.set("tile", builder.getStringAttr(notes.tile));
  entry.set("layout", builder.getStringAttr(notes.layout));
  entry.set("reasons", builder.getArrayAttr(reasons));
  entry.set("predicted",
            builder.getI32IntegerAttr(int32_t(1000 * notes.predicted + 0.5)));
  entry.set("rows", builder.getI32IntegerAttr(int32_t(notes.tileRows)));
  root.lookupSymbol(kernel)->setAttr("notes", entry.getDictionary(context()));
  for (auto variant : root.getOps<func::FuncOp>()) {
    FlatSymbolRefAttr of = tk::getVariantOf(variant);
    auto tile = notes.variantTiles.find(tk::getVariantMeans(variant).str());
    if (of && of.getValue() == kernel && tile != notes.variantTiles.end())
      variant->setAttr("notes",
                       builder.getDictionaryAttr(builder.getNamedAttr(
                           "tile", builder.getStringAttr(tile->second))));
  }
}

void ProgramBuilder::launch(const std::string &kernel,
                            ArrayRef<std::string> operands,
                            const Chunks &chunks, const LaunchInfo &info) {
  MLIRContext *ctx = context();
  SmallVector<Attribute> refs;
  for (const std::string &operand : operands) {
    refs.push_back(FlatSymbolRefAttr::get(ctx, operand));
    auto found = arena.find(StringAttr::get(ctx, operand));
    if (found == arena.end())
      continue;
    Lifetime &life = found->second.second;
    if (life.first < 0)
      life.first = steps;
    life.last = steps;
  }
  // Where the launch before made the first operand, whose codes the last one
  // has in another form, that lives from there on: a GPU makes both at once.
  bool isBeside = false;
  if (info.op == "planes" || info.op == "requantize") {
    auto source = arena.find(StringAttr::get(ctx, operands.front()));
    auto result = arena.find(StringAttr::get(ctx, operands.back()));
    isBeside = source != arena.end() && result != arena.end() &&
               source->second.second.first == steps - 1;
    if (isBeside)
      result->second.second.first = steps - 1;
  }
  auto op = tk::LaunchOp::create(
      builder, root.getLoc(), FlatSymbolRefAttr::get(ctx, kernel),
      builder.getArrayAttr(refs), tk::BaseAttr::get(ctx, chunks.base),
      builder.getI64IntegerAttr(chunks.divide),
      builder.getI64IntegerAttr(chunks.multiply));
  op->setAttr("step", builder.getStringAttr(info.step));
  if (isBeside)
    op->setAttr("beside", builder.getUnitAttr());
  op->setAttr("op", builder.getStringAttr(info.op));
  op->setAttr("layer", builder.getI64IntegerAttr(info.layer));
  if (info.gemmN)
    op->setAttr("gemm", builder.getDenseI64ArrayAttr({info.gemmN, info.gemmK}));
  op->setAttr("macs",
              builder.getDenseI64ArrayAttr(
                  {info.macsPerToken, info.macsPerPair, info.macsPerSequence}));
  std::vector<SiteAt> shown = std::move(shownInputs);
  shownInputs.clear();
  llvm::append_range(shown, info.sites);
  SmallVector<Attribute> sites;
  for (const SiteAt &site : shown) {
    // What an op holds without a quantizer of its own is no site.
    if (site.name.empty())
      continue;
    NamedAttrList entry;
    entry.set("name", builder.getStringAttr(site.name));
    entry.set("key", builder.getStringAttr(keyOfSite(site.name)));
    entry.set("layer", builder.getI64IntegerAttr(layerOfSite(site.name)));
    if (!site.buffer.empty())
      entry.set("buffer", FlatSymbolRefAttr::get(ctx, site.buffer));
    entry.set("column", builder.getI64IntegerAttr(site.column));
    entry.set("columns", builder.getI64IntegerAttr(site.columns));
    if (site.range)
      entry.set("range", builder.getI64IntegerAttr(site.range));
    sites.push_back(entry.getDictionary(ctx));
  }
  op->setAttr("sites", builder.getArrayAttr(sites));
  ++steps;
}

void ProgramBuilder::finish() {
  // Token buffers first, then those with one row per sequence: two plans, the
  // second behind the first.
  std::vector<ArenaBuffer> buffers[2];
  std::vector<tk::BufferOp> ops[2];
  for (auto &[name, entry] : arena) {
    auto &[op, life] = entry;
    bool bySequence = op.getKind() == tk::BufferKind::Sequences;
    buffers[bySequence].push_back({int64_t(op.getBytes()),
                                   std::max<int64_t>(life.first, 0),
                                   std::max<int64_t>(life.last, 0)});
    ops[bySequence].push_back(op);
  }
  // Each buffer takes bytes * (units + slack rows) + slack bytes. Rank 64
  // bytes apart keeps the slack bytes of one out of the next.
  int64_t perUnit[2] = {0, 0}, constant = 0;
  for (int part = 0; part < 2; ++part) {
    ArenaPlan plan = planArena(buffers[part]);
    std::set<int64_t> offsets(plan.offsets.begin(), plan.offsets.end());
    for (size_t i = 0; i < ops[part].size(); ++i) {
      int64_t offset = plan.offsets[i];
      int64_t rank = std::distance(offsets.begin(), offsets.find(offset));
      int64_t fixed =
          constant + offset * QUERN_SLACK_ROWS + rank * QUERN_SLACK_BYTES;
      ops[part][i]->setAttr("arena", builder.getDenseI64ArrayAttr(
                                         {part == 0 ? offset : perUnit[0],
                                          part == 0 ? 0 : offset, fixed}));
    }
    perUnit[part] = plan.bytesPerUnit;
    constant += plan.bytesPerUnit * QUERN_SLACK_ROWS +
                int64_t(offsets.size()) * QUERN_SLACK_BYTES;
  }
  root->setAttr("tk.arena", builder.getDenseI64ArrayAttr(
                                {perUnit[0], perUnit[1], constant}));
  root->setAttr("tk.scratch_bytes", builder.getI64IntegerAttr(scratch));
}

} // namespace quern
