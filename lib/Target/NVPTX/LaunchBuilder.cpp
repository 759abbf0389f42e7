//===- LaunchBuilder.cpp - One launch on a GPU, in writing ----------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/LaunchBuilder.h"

#include "lib/Target/NVPTX/CodeNorm.h"

#include <cstring>

using namespace mlir;

namespace quern::nvptx {

std::string KernelForm::text(StringRef name) {
  auto attr = entries.getAs<StringAttr>(name);
  return attr ? attr.str() : missing(name);
}

int64_t KernelForm::number(StringRef name) {
  if (auto attr = entries.getAs<IntegerAttr>(name))
    return attr.getInt();
  missing(name);
  return 0;
}

Storage KernelForm::storage(StringRef name) {
  auto parsed = parseStorage(text(name));
  if (parsed)
    return *parsed;
  missing(name);
  return Storage::U8;
}

std::string KernelForm::missing(StringRef name) {
  if (problem.empty())
    problem = ("its form has no usable '" + name + "'").str();
  return "";
}

uint32_t LaunchBuilder::kernelIndex(const std::string &name, int64_t threads,
                                    int64_t sharedBytes, int64_t sharedPerKey,
                                    ArrayRef<ModuleOp> modules, Build build) {
  auto [at, isNew] =
      kernels.try_emplace(name, uint32_t(program.kernels.size()));
  if (isNew)
    program.kernels.push_back({name, threads, sharedBytes, sharedPerKey});
  for (ModuleOp module : modules)
    if (module && !module.lookupSymbol(name))
      build(module);
  return at->second;
}

void LaunchBuilder::rowKernel(const std::string &name, Build build) {
  kernel(name, kRowsPerBlock * 32, 0, 0, build);
}

static StringRef symbolIn(tk::LaunchOp op, size_t operand) {
  return cast<FlatSymbolRefAttr>(op.getBuffers()[operand]).getValue();
}

StringRef LaunchBuilder::symbolOf(size_t operand) {
  return symbolIn(op, operand);
}

void LaunchBuilder::pointer(size_t operand) { pointerTo(symbolOf(operand)); }

void LaunchBuilder::pointerTo(StringRef symbol) {
  Operation *target = tiles.lookupSymbol(symbol);
  DeviceParam::Kind kind = isa<tk::DataOp>(target)  ? DeviceParam::Data
                           : target->hasAttr("tap") ? DeviceParam::Tap
                                                    : DeviceParam::Buffer;
  now.params.push_back({kind, symbol.str(), 0});
}

SecondForm LaunchBuilder::takeSecond(size_t operand) {
  auto next = dyn_cast_or_null<tk::LaunchOp>(op->getNextNode());
  // With the attribute, its result has a place of its own already now.
  if (!next || !next->hasAttr("beside") ||
      symbolIn(next, 0) != symbolOf(operand))
    return {};
  Operation *cpu = tiles.lookupSymbol(next.getKernel());
  auto entries = cpu->getAttrOfType<DictionaryAttr>("form");
  if (!entries)
    return {};
  KernelForm form(entries);
  std::string kind = form.text("kind");
  SecondForm found;
  if (kind == "planes")
    found.kind = SecondForm::Planes;
  else if (kind == "requantize")
    found = {SecondForm::Requantized, form.storage("out")};
  if (found.kind != SecondForm::None)
    second = next;
  return found;
}

void LaunchBuilder::secondParams() {
  if (!second)
    return;
  // x, [params], out.
  size_t last = second.getBuffers().size() - 1;
  pointerTo(symbolIn(second, last));
  if (last == 2)
    pointerTo(symbolIn(second, 1));
  KernelForm form(tiles.lookupSymbol(second.getKernel())
                      ->getAttrOfType<DictionaryAttr>("form"));
  integers({form.number("out_stride")});
}

bool LaunchBuilder::join(tk::LaunchOp launch) {
  if (!second || launch != second)
    return false;
  second = tk::LaunchOp();
  program.launches.push_back(program.launches.back());
  program.launches.back().joined = true;
  return true;
}

void LaunchBuilder::weights(size_t operand, int64_t n, int64_t k, int64_t bits,
                            std::vector<int32_t> blocks) {
  std::string symbol = symbolOf(operand).str();
  bool warpgroup = !now.warpgroup.empty();
  auto [at, isNew] =
      weightIndex.try_emplace(symbol + (warpgroup ? " of warpgroups" : ""),
                              uint32_t(program.weights.size()));
  if (isNew)
    program.weights.push_back(
        {symbol, n, k, bits, std::move(blocks), warpgroup});
  param(DeviceParam::Weights, at->second);
}

void LaunchBuilder::table(std::vector<int32_t> values) {
  param(DeviceParam::Table, uint32_t(program.tables.size()));
  program.tables.push_back(std::move(values));
}

void LaunchBuilder::reals(std::initializer_list<float> values) {
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    param(DeviceParam::Number, bits);
  }
}

void LaunchBuilder::numbers(KernelForm &form,
                            std::initializer_list<const char *> names,
                            bool fixed) {
  for (const char *name : names) {
    if (fixed)
      integers({form.number(name)});
    else
      reals({form.real(name)});
  }
}

void LaunchBuilder::rows(KernelForm &form, DeviceCount &grid,
                         int64_t perBlock) {
  bool byToken = form.text("rows") == "tokens";
  grid = {byToken ? CountOf::Tokens : CountOf::Sequences, perBlock, 1};
  param(byToken ? DeviceParam::Tokens : DeviceParam::Sequences);
}

int64_t LaunchBuilder::longestSequence() {
  auto model = tiles->getAttrOfType<DictionaryAttr>("tq.model");
  auto length = model ? model.getAs<IntegerAttr>("max_length") : IntegerAttr();
  return length ? length.getInt() : 0;
}

Error LaunchBuilder::checkLength(int64_t longest) {
  int64_t length = longestSequence();
  if (length <= 0 || length > longest)
    return Error::make("attention over ", length, " tokens, expected at most ",
                       longest);
  return Error::success();
}

} // namespace quern::nvptx
