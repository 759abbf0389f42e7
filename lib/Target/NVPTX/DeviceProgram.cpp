//===- DeviceProgram.cpp - A program's launches on a GPU ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/DeviceProgram.h"

#include "dialects/TK/TKDialect.h"
#include "lib/Target/NVPTX/AddNorm.h"
#include "lib/Target/NVPTX/Attention.h"
#include "lib/Target/NVPTX/Elements.h"
#include "lib/Target/NVPTX/Embed.h"
#include "lib/Target/NVPTX/FixedNorm.h"
#include "lib/Target/NVPTX/Gemm.h"
#include "lib/Target/NVPTX/GroupNorm.h"
#include "lib/Target/NVPTX/TokenRows.h"
#include "lib/Target/NVPTX/WgmmaGemm.h"
#include "quern/integer_norm.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;

namespace quern::nvptx {

namespace {

/// The attribute `form` of a CPU kernel; remembers what it lacks.
class Form {
public:
  explicit Form(DictionaryAttr entries) : entries(entries) {}

  std::string text(StringRef name) {
    auto attr = entries.getAs<StringAttr>(name);
    return attr ? attr.str() : missing(name);
  }
  int64_t number(StringRef name) {
    if (auto attr = entries.getAs<IntegerAttr>(name))
      return attr.getInt();
    missing(name);
    return 0;
  }
  float real(StringRef name) { return float(number(name)); }
  Storage storage(StringRef name) {
    auto parsed = parseStorage(text(name));
    if (parsed)
      return *parsed;
    missing(name);
    return Storage::U8;
  }
  /// Empty where everything was there.
  std::string problem;

private:
  std::string missing(StringRef name) {
    if (problem.empty())
      problem = ("its form has no usable '" + name + "'").str();
    return "";
  }
  DictionaryAttr entries;
};

class ProgramEmitter {
public:
  /// With `hopper`, launches may have kernels of warpgroups, too.
  ProgramEmitter(ModuleOp tiles, ModuleOp portable, ModuleOp hopper)
      : tiles(tiles), portable(portable), hopper(hopper) {}

  Error add(tk::LaunchOp op);
  DeviceProgram program;

private:
  Error linear(Form &form);
  Error groupLinear(Form &form);
  Error attention(Form &form);
  Error addNorm(Form &form);
  Error fixedAddNorm(Form &form);
  Error tokens(Form &form, bool dequantize);
  Error shiftGelu(Form &form);
  Error groupNorm(Form &form);
  Error embed(Form &form);
  Error elements(Form &form, ElementFunction function);
  Error gemmKernel(Form &form, GemmForm &gemm);
  void warpgroupKernel(Form &form, const GemmForm &gemm,
                       const WgmmaSchedule &schedule);
  void gemmNumbers(Form &form, const GemmForm &gemm, int64_t k,
                   std::initializer_list<int64_t> more);
  void normNumbers(Form &form, std::initializer_list<int64_t> more);

  /// Appends a kernel to a module of one variant.
  using Build = function_ref<void(ModuleOp)>;
  /// The kernel of this name, made by `build` in each of these modules where it
  /// is not yet.
  uint32_t kernelIndex(const std::string &name, int64_t threads,
                       int64_t sharedBytes, int64_t sharedPerKey,
                       ArrayRef<ModuleOp> modules, Build build);
  void kernel(const std::string &name, int64_t threads, int64_t sharedBytes,
              int64_t sharedPerKey, Build build) {
    now.kernel = kernelIndex(name, threads, sharedBytes, sharedPerKey,
                             {portable, hopper}, build);
  }
  void rowKernel(const std::string &name, Build build) {
    kernel(name, kRowsPerBlock * 32, 0, 0, build);
  }

  // Parameters of the launch, one after the other.
  void pointer(size_t operand);
  void pointers(size_t first, size_t end) {
    for (size_t i = first; i != end; ++i)
      pointer(i);
  }
  void weights(size_t operand, int64_t n, int64_t k, int64_t bits,
               std::vector<int32_t> blocks = {});
  void table(std::vector<int32_t> values) {
    param(DeviceParam::Table, uint32_t(program.tables.size()));
    program.tables.push_back(std::move(values));
  }
  void param(DeviceParam::Kind kind, uint32_t value = 0) {
    now.params.push_back({kind, "", value});
  }
  void integers(std::initializer_list<int64_t> values) {
    for (int64_t value : values)
      param(DeviceParam::Number, uint32_t(value));
  }
  void reals(std::initializer_list<float> values) {
    for (float value : values) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      param(DeviceParam::Number, bits);
    }
  }
  /// Numbers of the form, as f32 or, if fixed, as i32.
  void numbers(Form &form, std::initializer_list<const char *> names,
               bool fixed) {
    for (const char *name : names) {
      if (fixed)
        integers({form.number(name)});
      else
        reals({form.real(name)});
    }
  }
  /// The number of rows; `perBlock` of them go to a block of grid dimension
  /// `grid`.
  void rows(Form &form, DeviceCount &grid, int64_t perBlock) {
    bool byToken = form.text("rows") == "tokens";
    grid = {byToken ? CountOf::Tokens : CountOf::Sequences, perBlock, 1};
    param(byToken ? DeviceParam::Tokens : DeviceParam::Sequences);
  }

  ModuleOp tiles, portable, hopper;
  tk::LaunchOp op;
  DeviceLaunch now;
  llvm::StringMap<uint32_t> kernels, weightIndex;
};
} // namespace

uint32_t ProgramEmitter::kernelIndex(const std::string &name, int64_t threads,
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

void ProgramEmitter::pointer(size_t operand) {
  auto symbol = cast<FlatSymbolRefAttr>(op.getBuffers()[operand]);
  Operation *target = tiles.lookupSymbol(symbol.getValue());
  DeviceParam::Kind kind = isa<tk::DataOp>(target)  ? DeviceParam::Data
                           : target->hasAttr("tap") ? DeviceParam::Tap
                                                    : DeviceParam::Buffer;
  now.params.push_back({kind, symbol.getValue().str(), 0});
}

void ProgramEmitter::weights(size_t operand, int64_t n, int64_t k, int64_t bits,
                             std::vector<int32_t> blocks) {
  std::string symbol =
      cast<FlatSymbolRefAttr>(op.getBuffers()[operand]).getValue().str();
  bool warpgroup = !now.warpgroup.empty();
  auto [at, isNew] =
      weightIndex.try_emplace(symbol + (warpgroup ? " of warpgroups" : ""),
                              uint32_t(program.weights.size()));
  if (isNew)
    program.weights.push_back(
        {symbol, n, k, bits, std::move(blocks), warpgroup});
  param(DeviceParam::Weights, at->second);
}

/// Tiles for many rows: half the bytes for each product of codes, but a quarter
/// of the blocks.
static constexpr GemmSchedule kLargeTiles = {128, 128, 64, 64, 2};

/// The same of warpgroups; large ones as they divide the columns.
static constexpr WgmmaSchedule kSmallWarpgroup = {64, 64, 4};
static WgmmaSchedule largeWarpgroup(int64_t n) {
  return {128, n % 192 == 0 ? 192 : n % 256 == 0 ? 256 : 128, 4};
}

/// The kernels of a product; takes the rest of `gemm` from the form.
Error ProgramEmitter::gemmKernel(Form &form, GemmForm &gemm) {
  auto activation = parseActivation(form.text("activation"));
  if (!activation)
    return activation.takeError();
  gemm.activation = *activation;
  gemm.result = form.storage("out");
  GemmSchedule schedule;
  if (Error error = checkForm(schedule, gemm))
    return error;
  int64_t n = form.number("n");
  if (hopper && !checkWgmmaForm(kSmallWarpgroup, gemm))
    for (const WgmmaSchedule &each : {kSmallWarpgroup, largeWarpgroup(n)})
      warpgroupKernel(form, gemm, each);
  // Where warpgroups have kernels, theirs are the only ones.
  ModuleOp both[] = {portable, hopper};
  ArrayRef<ModuleOp> modules =
      ArrayRef(both).take_front(now.warpgroup.empty() ? 2 : 1);
  GemmLaunch launch = getGemmLaunch(schedule, 1, n);
  now.kernel = kernelIndex(getGemmName(schedule, gemm), launch.threads,
                           launch.sharedBytes, 0, modules,
                           [&](ModuleOp to) { buildGemm(to, schedule, gemm); });
  now.gridX.multiply = launch.gridX;
  if (checkForm(kLargeTiles, gemm))
    return Error::success();
  launch = getGemmLaunch(kLargeTiles, 1, n);
  DeviceChoice large;
  large.kernel = kernelIndex(
      getGemmName(kLargeTiles, gemm), launch.threads, launch.sharedBytes, 0,
      modules, [&](ModuleOp to) { buildGemm(to, kLargeTiles, gemm); });
  large.gridX.multiply = launch.gridX;
  now.large = large;
  return Error::success();
}

void ProgramEmitter::warpgroupKernel(Form &form, const GemmForm &gemm,
                                     const WgmmaSchedule &schedule) {
  GemmLaunch launch = getWgmmaLaunch(schedule, 1, form.number("n"));
  DeviceChoice choice;
  choice.kernel = kernelIndex(
      getWgmmaName(schedule, gemm), launch.threads, launch.sharedBytes, 0,
      {hopper}, [&](ModuleOp to) { buildWgmmaGemm(to, schedule, gemm); });
  choice.gridX.multiply = launch.gridX;
  choice.gridY.divide = schedule.blockM;
  choice.maps = {{0, 0, 0, 0, uint16_t(schedule.blockM)},
                 {1, 0, 0, 0, uint16_t(schedule.blockN)}};
  // Clocks for 128 k, as tools/bench/gpu_cost.py has them: 2683 products in
  // each, and 39 bytes of tiles.
  choice.cost =
      uint32_t(std::max(schedule.blockM * schedule.blockN * kWgmmaStep / 2683,
                        (schedule.blockM + schedule.blockN) * kWgmmaStep / 39));
  now.warpgroup.push_back(std::move(choice));
}

/// What follows the pointers of a product over `k` columns as the device has
/// them: its shape, `more`, and the range of codes.
void ProgramEmitter::gemmNumbers(Form &form, const GemmForm &gemm, int64_t k,
                                 std::initializer_list<int64_t> more) {
  auto m = uint8_t(now.params.size());
  rows(form, now.gridY, GemmSchedule().blockM);
  if (now.large)
    now.large->gridY = {now.gridY.base, kLargeTiles.blockM, 1};
  for (DeviceChoice &choice : now.warpgroup) {
    choice.gridY.base = now.gridY.base;
    // Behind m: n, k, and the stride of x; that of w is k.
    for (DeviceMap &map : choice.maps) {
      bool isX = map.address == 0;
      map.rows = uint8_t(m + (isX ? 0 : 1));
      map.columns = uint8_t(m + 2);
      map.stride = uint8_t(m + (isX ? 3 : 2));
    }
  }
  integers({int64_t(llvm::alignTo(form.number("n"), kGemmColumns)), k,
            form.number("x_stride"), form.number("out_stride")});
  integers(more);
  if (gemm.result != Storage::F32)
    numbers(form, {"lo", "hi"}, gemm.fixed);
}

/// x, w, correction, [zeros], multiplier, offset, [post], y. In place of the
/// three before y, a fixed product has constants of columns and [post].
Error ProgramEmitter::linear(Form &form) {
  GemmForm gemm;
  gemm.hasZeros = form.number("zeros");
  gemm.wide = form.number("wide");
  gemm.fixed = form.number("fixed");
  gemm.tokens = form.number("tokens");
  int64_t k = form.number("k"), n = form.number("n");
  if (gemm.hasZeros && k % kGemmStep)
    return Error::make("weights with zero points over ", k,
                       " columns, expected a multiple of ", kGemmStep);
  if (Error error = gemmKernel(form, gemm))
    return error;
  pointer(0);
  weights(1, n, k, form.number("bits"));
  pointers(2, op.getBuffers().size());
  gemmNumbers(form, gemm, int64_t(llvm::alignTo(k, kGemmStep)), {});
  return Error::success();
}

/// The elements of a constant of i32; empty if it is none.
static std::vector<int32_t> readTable(Operation *data) {
  ElementsAttr value = cast<tk::DataOp>(data).getValue();
  if (auto blob = dyn_cast<DenseI32ResourceElementsAttr>(value))
    if (auto values = blob.tryGetAsArrayRef())
      return values->vec();
  if (auto dense = dyn_cast<DenseIntElementsAttr>(value)) {
    auto values = dense.getValues<int32_t>();
    return {values.begin(), values.end()};
  }
  return {};
}

namespace {
/// How groups of columns are cut into steps of 64, as getGroupSteps does it
/// from the ends, here from what CPUs multiply: for each group its first column
/// and how many times four follow. Beside those of the group they have zeros.
struct GroupCut {
  std::vector<int32_t> columns, ends, blocks;

  GroupCut(ArrayRef<int32_t> steps, int64_t k) {
    int64_t width = int64_t(llvm::alignTo(k, kGemmStep)), before = 0;
    for (size_t i = 0; i + 1 < steps.size(); i += 2) {
      int64_t begin = steps[i], end = begin + 4 * int64_t(steps[i + 1]);
      int64_t first = begin / 16 * 16;
      int64_t count = (end - first + kGemmStep - 1) / kGemmStep;
      first = std::max<int64_t>(0, std::min(first, width - count * kGemmStep));
      for (int64_t c = first; c != first + count * kGemmStep; c += 4) {
        if ((c - first) % kGemmStep == 0)
          columns.push_back(int32_t(c));
        bool isThere = c >= begin && c < end;
        blocks.push_back(isThere ? int32_t(before + (c - begin) / 4) : -1);
      }
      ends.push_back(int32_t(columns.size()));
      before += steps[i + 1];
    }
  }
};
} // namespace

/// x, w, steps, correction, multiplier, offset, [post], y.
Error ProgramEmitter::groupLinear(Form &form) {
  GemmForm gemm;
  gemm.grouped = true;
  if (Error error = gemmKernel(form, gemm))
    return error;
  auto symbol = cast<FlatSymbolRefAttr>(op.getBuffers()[2]);
  GroupCut cut(readTable(tiles.lookupSymbol(symbol.getValue())),
               form.number("k"));
  if (cut.ends.empty())
    return Error("its steps are no constant");
  auto groups = int64_t(cut.ends.size());
  auto k = int64_t(cut.blocks.size()) * 4;
  pointer(0);
  weights(1, form.number("n"), k, form.number("bits"), std::move(cut.blocks));
  table(std::move(cut.columns));
  table(std::move(cut.ends));
  pointers(3, op.getBuffers().size());
  gemmNumbers(form, gemm, k, {groups});
  return Error::success();
}

/// qkv, offsets, params, context, [queries], taps of scores and probabilities.
Error ProgramEmitter::attention(Form &form) {
  AttentionForm shape;
  shape.headDim = form.number("head_dim");
  shape.context = form.storage("out");
  shape.firstQuery = form.number("first");
  shape.log = {int32_t(form.number("log_bits")),
               int32_t(form.number("per_octave"))};
  shape.fixed = form.number("fixed");
  shape.nearest = form.number("nearest");
  if (Error error = checkAttention(shape))
    return error;
  auto model = tiles->getAttrOfType<DictionaryAttr>("tq.model");
  auto longest = model ? model.getAs<IntegerAttr>("max_length") : IntegerAttr();
  if (!longest || longest.getInt() > kLongestSequence)
    return Error::make("attention over ", longest ? longest.getInt() : 0,
                       " tokens, expected at most ", kLongestSequence);
  int64_t heads = form.number("heads");
  AttentionLaunch none = getAttentionLaunch(shape, 1, heads, 0);
  AttentionLaunch some = getAttentionLaunch(shape, 1, heads, 32);
  kernel(getAttentionName(shape), some.threads, none.sharedBytes,
         (some.sharedBytes - none.sharedBytes) / 32,
         [&](ModuleOp to) { buildAttention(to, shape); });
  pointers(0, 3);
  if (shape.firstQuery)
    pointer(4);
  pointer(3);
  size_t operands = op.getBuffers().size();
  pointers(operands - 2, operands);
  if (!shape.firstQuery)
    now.gridX = {CountOf::Longest, kAttentionQueries, 1};
  now.gridY = {CountOf::Sequences, 1, heads};
  integers({heads});
  param(DeviceParam::Keys);
  integers({form.number("qkv_stride"), form.number("context_stride"),
            form.number("q_column"), form.number("k_column"),
            form.number("v_column")});
  if (shape.firstQuery)
    integers({form.number("query_stride")});
  param(DeviceParam::Sequences);
  param(DeviceParam::Taps);
  numbers(form, {"score_hi", "prob_hi", "lo", "hi"}, shape.fixed);
  return Error::success();
}

static AddNormForm normForm(Form &form) {
  AddNormForm shape;
  shape.d = form.number("d");
  shape.a = form.storage("a");
  shape.b = form.storage("b");
  shape.sum = form.storage("sum");
  shape.out = form.storage("out");
  return shape;
}

/// What follows the pointers of a LayerNorm: rows, strides, `more`, whether
/// there are taps, and the ranges of codes.
void ProgramEmitter::normNumbers(Form &form,
                                 std::initializer_list<int64_t> more) {
  rows(form, now.gridX, kRowsPerBlock);
  integers({form.number("a_stride"), form.number("b_stride"),
            form.number("out_stride"), form.number("tap_stride")});
  integers(more);
  param(DeviceParam::Taps);
  reals({form.real("sum_lo"), form.real("sum_hi"), form.real("lo"),
         form.real("hi")});
}

/// a, b, ma, mb, mo, gamma, beta, norm, out, tap.
Error ProgramEmitter::addNorm(Form &form) {
  AddNormForm shape = normForm(form);
  if (Error error = checkAddNorm(shape))
    return error;
  rowKernel(getAddNormName(shape),
            [&](ModuleOp to) { buildAddNorm(to, shape); });
  pointers(0, 10);
  normNumbers(form, {});
  return Error::success();
}

/// Bits by which codes of a sum are shifted up.
static int64_t sumShift(int64_t highest) {
  return qi_sum_shift(qi_bits(uint64_t(highest)), 0);
}

/// a, b, their constants, channels, out, tap.
Error ProgramEmitter::fixedAddNorm(Form &form) {
  FixedAddNormForm shape;
  shape.norm = normForm(form);
  shape.byChannel = form.number("by_channel");
  if (Error error = checkFixedAddNorm(shape))
    return error;
  rowKernel(getFixedAddNormName(shape),
            [&](ModuleOp to) { buildFixedAddNorm(to, shape); });
  pointers(0, 7);
  rows(form, now.gridX, kRowsPerBlock);
  integers({form.number("a_stride"), form.number("b_stride"),
            form.number("out_stride"), form.number("tap_stride")});
  param(DeviceParam::Taps);
  integers({shape.byChannel ? 0 : sumShift(form.number("sum_hi"))});
  numbers(form, {"sum_lo", "sum_hi", "lo", "hi"}, /*fixed=*/true);
  return Error::success();
}

/// x, out.
Error ProgramEmitter::tokens(Form &form, bool dequantize) {
  TokenForm shape;
  shape.dequantize = dequantize;
  shape.bits = form.number("code_bits");
  shape.centred = form.number("centred");
  if (Error error = checkTokens(shape))
    return error;
  rowKernel(getTokensName(shape), [&](ModuleOp to) { buildTokens(to, shape); });
  pointers(0, 2);
  rows(form, now.gridX, kRowsPerBlock);
  integers({form.number("d"), form.number("real_stride")});
  return Error::success();
}

/// x, tables, out.
Error ProgramEmitter::shiftGelu(Form &form) {
  rowKernel("shift_gelu", [&](ModuleOp to) { buildShiftGelu(to); });
  pointers(0, 3);
  rows(form, now.gridX, kRowsPerBlock);
  integers(
      {form.number("d"), form.number("x_stride"), form.number("out_stride")});
  return Error::success();
}

/// a, b, ma, mb, mo, gamma, beta, norm, out, [masks, zeros, scales], [order],
/// tap.
Error ProgramEmitter::groupNorm(Form &form) {
  GroupNormForm shape;
  shape.norm = normForm(form);
  int64_t groups = form.number("groups");
  shape.grouped = groups != 0;
  shape.ordered = form.number("ordered");
  shape.each = form.number("each");
  if (Error error = checkGroupNorm(shape))
    return error;
  rowKernel(getGroupNormName(shape),
            [&](ModuleOp to) { buildGroupNorm(to, shape); });
  size_t last = op.getBuffers().size() - 1;
  pointers(0, 8);
  pointers(9, last);
  pointer(8);
  pointer(last);
  // Masks are padded like rows of bytes.
  if (shape.grouped)
    normNumbers(form, {int64_t(llvm::alignTo(shape.norm.d, 64)), groups});
  else
    normNumbers(form, {});
  return Error::success();
}

/// ids, types, positions, tables, scales, params, gamma, beta, norm, out, taps.
/// Fixed: ids, types, positions, tables, scales, first, channels, out, taps.
Error ProgramEmitter::embed(Form &form) {
  EmbedForm shape;
  shape.d = form.number("d");
  shape.rowScales[0] = form.number("word_scales");
  shape.rowScales[1] = form.number("type_scales");
  shape.rowScales[2] = form.number("position_scales");
  shape.e1 = form.storage("e1");
  shape.e2 = form.storage("e2");
  shape.out = form.storage("out");
  shape.tableBits[0] = form.number("word_bits");
  shape.tableBits[1] = form.number("type_bits");
  shape.tableBits[2] = form.number("position_bits");
  shape.fixed = form.number("fixed");
  if (Error error = checkEmbed(shape))
    return error;
  rowKernel(getEmbedName(shape), [&](ModuleOp to) { buildEmbed(to, shape); });
  pointers(0, op.getBuffers().size());
  now.gridX = {CountOf::Tokens, kRowsPerBlock, 1};
  param(DeviceParam::Tokens);
  integers({form.number("table_stride"), form.number("out_stride"),
            form.number("tap_stride")});
  param(DeviceParam::Taps);
  if (shape.fixed)
    integers({sumShift(form.number("e2_hi")), form.number("e1_zero"),
              form.number("e2_zero")});
  numbers(form, {"e1_lo", "e1_hi", "e2_lo", "e2_hi", "lo", "hi"}, shape.fixed);
  return Error::success();
}

/// x, [offsets], params, out.
Error ProgramEmitter::elements(Form &form, ElementFunction function) {
  ElementForm shape;
  shape.function = function;
  shape.in = form.storage("in");
  shape.out = form.storage("out");
  if (Error error = checkElements(shape))
    return error;
  rowKernel(getElementsName(shape),
            [&](ModuleOp to) { buildElements(to, shape); });
  pointers(0, op.getBuffers().size());
  if (shape.pools()) {
    now.gridX = {CountOf::Sequences, kRowsPerBlock, 1};
    param(DeviceParam::Sequences);
  } else {
    rows(form, now.gridX, kRowsPerBlock);
  }
  int64_t d = form.number("d");
  if (function != ElementFunction::Normalize)
    d = int64_t(llvm::alignTo(d, 4));
  integers({d, form.number("x_stride"), form.number("out_stride")});
  return Error::success();
}

Error ProgramEmitter::add(tk::LaunchOp launch) {
  op = launch;
  now = DeviceLaunch();
  Operation *cpu = tiles.lookupSymbol(op.getKernel());
  auto entries = cpu->getAttrOfType<DictionaryAttr>("form");
  if (!entries)
    return Error::make("kernel ", op.getKernel().str(),
                       " has no counterpart on GPUs");
  Form form(entries);
  std::string kind = form.text("kind");
  Error error = Error::success();
  if (kind == "linear")
    error = linear(form);
  else if (kind == "group_linear")
    error = groupLinear(form);
  else if (kind == "attention")
    error = attention(form);
  else if (kind == "add_norm")
    error = addNorm(form);
  else if (kind == "fixed_add_norm")
    error = fixedAddNorm(form);
  else if (kind == "quantize_tokens" || kind == "dequantize_tokens")
    error = tokens(form, kind == "dequantize_tokens");
  else if (kind == "shift_gelu")
    error = shiftGelu(form);
  else if (kind == "group_norm")
    error = groupNorm(form);
  else if (kind == "embed")
    error = embed(form);
  else if (auto function = parseElementFunction(kind))
    error = elements(form, *function);
  else
    return Error::make("kernels of kind '", printable(kind),
                       "' are unknown on GPUs");
  if (!error && !form.problem.empty())
    return Error(form.problem);
  if (error)
    return error;
  program.launches.push_back(std::move(now));
  return Error::success();
}

Expected<DeviceProgram> buildDeviceProgram(ModuleOp tiles,
                                           ArrayRef<PtxVariant> variants) {
  MLIRContext *context = tiles.getContext();
  context->loadDialect<arith::ArithDialect, cf::ControlFlowDialect,
                       LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  OwningOpRef<ModuleOp> portable = ModuleOp::create(tiles.getLoc()), hopper;
  if (llvm::is_contained(variants, PtxVariant::Sm90a))
    hopper = ModuleOp::create(tiles.getLoc());
  if (hopper)
    DeviceBuilder::allowEarlyLaunch(*hopper);
  ProgramEmitter emitter(tiles, *portable, hopper ? *hopper : ModuleOp());
  for (auto program : tiles.getOps<tk::ProgramOp>())
    for (auto launch : program.getBody().getOps<tk::LaunchOp>())
      if (Error error = emitter.add(launch)) {
        auto step = launch->getAttrOfType<StringAttr>("step");
        return Error::make("GPU: step ", step ? step.str() : "without a name",
                           ": ", error.message());
      }
  for (PtxVariant variant : variants) {
    auto ptx =
        emitPtx(variant == PtxVariant::Sm80 ? *portable : *hopper, variant);
    if (!ptx)
      return ptx.takeError();
    emitter.program.code.push_back({variant, std::move(*ptx)});
  }
  return Expected<DeviceProgram>(std::move(emitter.program));
}

} // namespace quern::nvptx
