//===- ProgramInterpreter.cpp - The reference for tk programs -------------===//
//
// Part of Quern. See ProgramInterpreter.h. Every buffer has memory of its own,
// so lifetimes and the arena plan play no part.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/ProgramInterpreter.h"
#include "lib/Interpret/Constants.h"
#include "lib/Interpret/Evaluation.h"
#include "lib/Interpret/KernelInterpreter.h"

#include "dialects/TK/TKDialect.h"
#include "quern/module_abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cstring>
#include <map>

using namespace mlir;
using namespace quern;

namespace {

/// Memory of all symbols of a program, for one batch.
class ProgramRun {
public:
  ProgramRun(ModuleOp module, ArrayRef<Tensor> inputs,
             std::vector<Sequence> sequences)
      : module(module), inputs(inputs), sequences(std::move(sequences)),
        tokens(inputs[0].getShape()[0]) {}

  LogicalResult prepare();
  LogicalResult launch(tk::LaunchOp op, const SiteHooks &hooks);
  FailureOr<Tensor> output();

private:
  LogicalResult fillInput(tk::BufferOp op, std::vector<char> &bytes);
  LogicalResult fillData(tk::DataOp op, std::vector<char> &bytes);
  LogicalResult showSites(tk::LaunchOp op, const SiteHooks &hooks);
  /// Rows that a buffer holds: tokens, sequences, or pairs.
  int64_t rowsOf(tk::BufferOp op);
  Tensor read(tk::BufferOp op, int64_t column, int64_t columns);
  LogicalResult write(tk::LaunchOp launch, tk::BufferOp op, int64_t column,
                      int64_t columns, int64_t range, const Tensor &codes);
  bool isReadLater(tk::LaunchOp launch, StringRef buffer) const;

  ModuleOp module;
  ArrayRef<Tensor> inputs;
  std::vector<Sequence> sequences;
  int64_t tokens;
  std::map<std::string, std::vector<char>> memory;
  std::map<std::string, tk::BufferOp> buffers;
  llvm::StringMap<KernelInterpreter> kernels;
  std::vector<char> scratch;
};

} // namespace

int64_t ProgramRun::rowsOf(tk::BufferOp op) {
  if (op.getKind() == tk::BufferKind::Pairs)
    return countScores(sequences);
  bool bySequence = op.getKind() == tk::BufferKind::Sequences ||
                    op.getUnit() == tk::Base::Sequences;
  return bySequence ? int64_t(sequences.size()) : tokens;
}

/// What the inputs are of a program that has so many; empty for none.
static ArrayRef<StringRef> rolesOf(size_t inputs) {
  static const StringRef text[] = {"ids", "types", "positions", "offsets"};
  static const StringRef image[] = {"patches", "positions", "offsets"};
  return inputs == 4   ? ArrayRef(text)
         : inputs == 3 ? ArrayRef(image)
                       : ArrayRef<StringRef>();
}

/// Rows of numbers; what is between and behind them stays as it is.
static LogicalResult fillRows(tk::BufferOp op, const Tensor &rows,
                              std::vector<char> &bytes) {
  int64_t width = rows.width() * sizeof(float), stride = op.getBytes();
  if (width > stride || rows.rows() * stride > int64_t(bytes.size()))
    return op.emitOpError("expects rows of at most ")
           << stride << " bytes, got " << width;
  std::vector<float> values = rows.toVector<float>();
  for (int64_t row = 0; row < rows.rows(); ++row)
    std::memcpy(bytes.data() + row * stride, values.data() + row * rows.width(),
                width);
  return success();
}

LogicalResult ProgramRun::fillInput(tk::BufferOp op, std::vector<char> &bytes) {
  ArrayRef<StringRef> roles = rolesOf(inputs.size());
  auto role = op->getAttrOfType<StringAttr>("role");
  auto found = llvm::find_if(
      roles, [&](StringRef name) { return role && role.getValue() == name; });
  if (found == roles.end())
    return op.emitOpError("expects an input's role of ")
           << llvm::join(roles, ", ");
  const Tensor &input = inputs[found - roles.begin()];
  if (op.getElement().isF32())
    return fillRows(op, input, bytes);
  // Rows of slack hold 0, an index that is always valid.
  std::fill(bytes.begin(), bytes.end(), 0);
  ArrayRef<int32_t> values = input.get<int32_t>();
  if (values.size() * sizeof(int32_t) > bytes.size())
    return op.emitOpError("expects room for ")
           << values.size() << " values, got " << bytes.size() << " bytes";
  std::memcpy(bytes.data(), values.data(), values.size() * sizeof(int32_t));
  return success();
}

template <typename T>
static void appendBytes(const Tensor &values, std::vector<char> &bytes) {
  ArrayRef<T> elements = values.get<T>();
  bytes.resize(elements.size() * sizeof(T));
  if (!elements.empty())
    std::memcpy(bytes.data(), elements.data(), bytes.size());
}

LogicalResult ProgramRun::fillData(tk::DataOp op, std::vector<char> &bytes) {
  FailureOr<Tensor> values = readConstant(op, op.getValue(), /*isSigned=*/true);
  if (failed(values))
    return failure();
  switch (values->getKind()) {
  case Tensor::Kind::F32:
    appendBytes<float>(*values, bytes);
    return success();
  case Tensor::Kind::I8:
    appendBytes<int8_t>(*values, bytes);
    return success();
  case Tensor::Kind::I32:
    if (op.getValue().getElementType().getIntOrFloatBitWidth() == 32) {
      appendBytes<int32_t>(*values, bytes);
      return success();
    }
    [[fallthrough]];
  default:
    return op.emitOpError("has data of ")
           << op.getValue().getElementType()
           << ", which the interpreter does not read";
  }
}

LogicalResult ProgramRun::prepare() {
  for (tk::BufferOp op : module.getOps<tk::BufferOp>()) {
    int64_t rows = rowsOf(op) + QUERN_SLACK_ROWS;
    std::vector<char> &bytes = memory[op.getSymName().str()];
    bytes.assign(rows * op.getBytes() + QUERN_SLACK_BYTES, char(0xa5));
    buffers[op.getSymName().str()] = op;
    if (op.getKind() == tk::BufferKind::Input && failed(fillInput(op, bytes)))
      return failure();
  }
  for (tk::DataOp op : module.getOps<tk::DataOp>())
    if (failed(fillData(op, memory[op.getSymName().str()])))
      return failure();
  auto size = module->getAttrOfType<IntegerAttr>("tk.scratch_bytes");
  scratch.assign(size ? size.getInt() : 0, char(0xa5));
  return success();
}

LogicalResult ProgramRun::launch(tk::LaunchOp op, const SiteHooks &hooks) {
  auto found = kernels.find(op.getKernel());
  if (found == kernels.end()) {
    auto function = module.lookupSymbol<func::FuncOp>(op.getKernel());
    if (!function)
      return op.emitOpError("names no kernel '") << op.getKernel() << "'";
    FailureOr<KernelInterpreter> kernel = KernelInterpreter::create(function);
    if (failed(kernel))
      return failure();
    found = kernels.try_emplace(op.getKernel(), std::move(*kernel)).first;
  }
  SmallVector<MutableArrayRef<char>> operands;
  for (auto symbol : op.getBuffers().getAsRange<FlatSymbolRefAttr>()) {
    auto bytes = memory.find(symbol.getValue().str());
    if (bytes == memory.end())
      return op.emitOpError("names no buffer '") << symbol.getValue() << "'";
    operands.push_back(bytes->second);
  }
  int64_t base = op.getBase() == tk::Base::Tokens ? tokens
                 : op.getBase() == tk::Base::Sequences
                     ? int64_t(sequences.size())
                     : 1;
  int64_t divide = op.getDivide();
  KernelRange range;
  range.tokens = tokens;
  range.sequences = sequences.size();
  range.flags = 1;
  range.end = (base + divide - 1) / divide * int64_t(op.getMultiply());
  if (failed(found->second.run(operands, range, scratch)))
    return failure();
  return showSites(op, hooks);
}

Tensor ProgramRun::read(tk::BufferOp op, int64_t column, int64_t columns) {
  Type element = op.getElement();
  int64_t each = element.getIntOrFloatBitWidth() / 8;
  int64_t rows = rowsOf(op), stride = op.getBytes();
  if (op.getKind() == tk::BufferKind::Pairs) {
    // [heads][pairs], one after the other.
    rows = columns;
    columns = countScores(sequences);
    stride = columns * each;
  }
  const std::vector<char> &bytes = memory[op.getSymName().str()];
  std::vector<float> floats(element.isF32() ? rows * columns : 0);
  std::vector<int32_t> codes(element.isF32() ? 0 : rows * columns, 0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const char *from = bytes.data() + r * stride + (column + c) * each;
      if (element.isF32())
        std::memcpy(&floats[r * columns + c], from, each);
      else
        std::memcpy(&codes[r * columns + c], from, each);
    }
  if (element.isF32())
    return makeTensor(std::move(floats), rows, columns);
  return makeTensor(std::move(codes), rows, columns);
}

bool ProgramRun::isReadLater(tk::LaunchOp launch, StringRef buffer) const {
  for (Operation *op = launch->getNextNode(); op; op = op->getNextNode())
    if (auto later = dyn_cast<tk::LaunchOp>(op))
      for (auto symbol : later.getBuffers().getAsRange<FlatSymbolRefAttr>())
        if (symbol.getValue() == buffer)
          return true;
  return false;
}

/// Puts codes where `read` found them; and the scale (f32) and zero point (i32)
/// of each row, which make sense only together with its codes, `range` bytes
/// behind the row's begin, if that is not 0.
LogicalResult ProgramRun::write(tk::LaunchOp launch, tk::BufferOp op,
                                int64_t column, int64_t columns, int64_t range,
                                const Tensor &codes) {
  int64_t each = op.getElement().getIntOrFloatBitWidth() / 8;
  std::vector<char> &bytes = memory[op.getSymName().str()];
  std::vector<int32_t> values = codes.toVector<int32_t>();
  if (int64_t(values.size()) != rowsOf(op) * columns)
    return launch.emitOpError("was given a value of another size for a site in "
                              "buffer '")
           << op.getSymName() << "'";
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t row = int64_t(i) / columns, at = column + int64_t(i) % columns;
    std::memcpy(bytes.data() + row * op.getBytes() + at * each, &values[i],
                each);
  }
  if (!range)
    return success();
  if (int64_t(codes.ranges.size()) != rowsOf(op) ||
      range + 8 > int64_t(op.getBytes()))
    return launch.emitOpError("was given no range for each row of buffer '")
           << op.getSymName() << "'";
  for (auto [row, found] : llvm::enumerate(codes.ranges)) {
    char *at = bytes.data() + row * op.getBytes() + range;
    float scale = float(found.scale);
    int32_t zero = int32_t(found.zero);
    std::memcpy(at, &scale, sizeof(scale));
    std::memcpy(at + sizeof(scale), &zero, sizeof(zero));
  }
  return success();
}

LogicalResult ProgramRun::showSites(tk::LaunchOp op, const SiteHooks &hooks) {
  auto sites = op->getAttrOfType<ArrayAttr>("sites");
  if ((!hooks.observe && !hooks.force) || !sites)
    return success();
  for (auto site : sites.getAsRange<DictionaryAttr>()) {
    auto name = site.getAs<StringAttr>("name");
    auto symbol = site.getAs<FlatSymbolRefAttr>("buffer");
    auto column = site.getAs<IntegerAttr>("column");
    auto columns = site.getAs<IntegerAttr>("columns");
    if (!name || !symbol || !column || !columns)
      continue;
    auto buffer = buffers.find(symbol.getValue().str());
    if (buffer == buffers.end())
      return op.emitOpError("has a site in no buffer '")
             << symbol.getValue() << "'";
    Tensor value = read(buffer->second, column.getInt(), columns.getInt());
    SiteValue shown{name.getValue(), value, {}, op};
    if (hooks.observe)
      hooks.observe(shown);
    Type element = buffer->second.getElement();
    if (!hooks.force || element.isF32() || element.isInteger(32) ||
        buffer->second.getKind() == tk::BufferKind::Pairs ||
        !isReadLater(op, symbol.getValue()))
      continue;
    auto range = site.getAs<IntegerAttr>("range");
    if (std::optional<Tensor> forced = hooks.force(shown))
      if (failed(write(op, buffer->second, column.getInt(), columns.getInt(),
                       range ? range.getInt() : 0, *forced)))
        return failure();
  }
  return success();
}

FailureOr<Tensor> ProgramRun::output() {
  for (auto &[name, op] : buffers)
    if (op.getKind() == tk::BufferKind::Output) {
      auto columns = op->getAttrOfType<IntegerAttr>("columns");
      int64_t width = columns ? columns.getInt() : op.getBytes() / 4;
      return read(op, 0, width);
    }
  module.emitError("has no output buffer");
  return failure();
}

FailureOr<Tensor> ProgramInterpreter::run(ArrayRef<Tensor> inputs,
                                          const SiteHooks &hooks) {
  if (rolesOf(inputs.size()).empty()) {
    module.emitError("expects ids, types, positions and offsets, or patches, "
                     "positions and offsets, got ")
        << inputs.size() << " inputs";
    return failure();
  }
  auto programs = module.getOps<tk::ProgramOp>();
  if (programs.empty()) {
    module.emitError("has no tk.program");
    return failure();
  }
  tk::ProgramOp program = *programs.begin();
  auto sequences =
      readSequences(program, inputs.back(), inputs[0].getShape()[0]);
  if (failed(sequences))
    return failure();
  ProgramRun run(module, inputs, std::move(*sequences));
  if (failed(run.prepare()))
    return failure();
  for (tk::LaunchOp launch : program.getBody().getOps<tk::LaunchOp>())
    if (failed(run.launch(launch, hooks)))
      return failure();
  return run.output();
}
