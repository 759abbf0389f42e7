//===- TQTypes.cpp - Syntax and invariants of the types -------------------===//
//
// Part of Quern. Custom parsers, printers and verifiers of the dialect's
// types, and the queries of TQTypes.h.
//
//===----------------------------------------------------------------------===//

#include "dialects/TQ/TQTypes.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace quern::tq;

#define GET_TYPEDEF_CLASSES
#include "dialects/TQ/TQTypes.cpp.inc"

void TQDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/TQ/TQTypes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Shared syntax
//===----------------------------------------------------------------------===//

/// Parses `u8` or `i4`.
static ParseResult parseStorage(AsmParser &parser, unsigned &bits,
                                bool &isSigned) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  StringRef digits = word.drop_front();
  if ((word.front() != 'u' && word.front() != 'i') ||
      digits.getAsInteger(10, bits))
    return parser.emitError(loc, "expected a storage such as u8 or i4, got '")
           << word << "'";
  isSigned = word.front() == 'i';
  return success();
}

static void printStorage(AsmPrinter &printer, unsigned bits, bool isSigned) {
  printer << (isSigned ? 'i' : 'u') << bits;
}

/// Parses `, name = `.
static ParseResult parseField(AsmParser &parser, StringRef name) {
  return failure(parser.parseComma() || parser.parseKeyword(name) ||
                 parser.parseEqual());
}

/// Parses a keyword that names a value of an enumeration.
template <typename Enum, typename Symbolize>
static ParseResult parseEnum(AsmParser &parser, Symbolize symbolize,
                             StringRef what, Enum &value) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<Enum> parsed = symbolize(word);
  if (!parsed)
    return parser.emitError(loc)
           << "expected " << what << ", got '" << word << "'";
  value = *parsed;
  return success();
}

static bool isPositive(double scale) {
  return std::isfinite(scale) && scale > 0;
}

/// Checks a storage width against what the runtime can hold.
static LogicalResult verifyStorage(function_ref<InFlightDiagnostic()> emitError,
                                   unsigned bits) {
  if (bits < 1 || bits > 16)
    return emitError() << "expects a storage of 1 to 16 bits, got " << bits;
  return success();
}

static LogicalResult verifyScale(function_ref<InFlightDiagnostic()> emitError,
                                 double scale) {
  if (!isPositive(scale))
    return emitError() << "expects a positive finite scale, got " << scale;
  return success();
}

static int64_t storageMin(unsigned bits, bool isSigned) {
  return isSigned ? -(int64_t(1) << (bits - 1)) : 0;
}
static int64_t storageMax(unsigned bits, bool isSigned) {
  return (int64_t(1) << (isSigned ? bits - 1 : bits)) - 1;
}

//===----------------------------------------------------------------------===//
// GroupType
//===----------------------------------------------------------------------===//

Type GroupType::parse(AsmParser &parser) {
  unsigned bits = 0;
  bool isSigned = false;
  int64_t axis = 0;
  SmallVector<int64_t> map;
  SmallVector<UniformParams> params;
  SmallVector<CodeLimits> limits;
  SMLoc loc = parser.getCurrentLocation();
  auto parseRun = [&]() -> ParseResult {
    int64_t group, count = 1;
    SMLoc runLoc = parser.getCurrentLocation();
    if (parser.parseInteger(group))
      return failure();
    if (succeeded(parser.parseOptionalKeyword("x")) &&
        parser.parseInteger(count))
      return failure();
    if (count < 1 || count > (1 << 20))
      return parser.emitError(runLoc, "expected a run of 1 to 1048576 "
                                      "channels, got ")
             << count;
    map.append(count, group);
    return success();
  };
  auto parsePair = [&]() -> ParseResult {
    UniformParams pair;
    if (parser.parseFloat(pair.scale))
      return failure();
    if (succeeded(parser.parseOptionalColon()) &&
        parser.parseInteger(pair.zero))
      return failure();
    params.push_back(pair);
    return success();
  };
  auto parseLimits = [&]() -> ParseResult {
    CodeLimits pair;
    if (parser.parseInteger(pair.lo) || parser.parseColon() ||
        parser.parseInteger(pair.hi))
      return failure();
    limits.push_back(pair);
    return success();
  };
  if (parser.parseLess() || parseStorage(parser, bits, isSigned) ||
      parseField(parser, "axis") || parser.parseInteger(axis) ||
      parseField(parser, "map") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseRun) ||
      parseField(parser, "params") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parsePair))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      (parser.parseKeyword("limits") || parser.parseEqual() ||
       parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                      parseLimits)))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<GroupType>(loc, parser.getContext(), bits, isSigned,
                                      axis, map, params, limits);
}

void GroupType::print(AsmPrinter &printer) const {
  printer << '<';
  printStorage(printer, getStorageBits(), getIsSigned());
  printer << ", axis = " << getAxis() << ", map = [";
  ArrayRef<int64_t> rest = getMap();
  while (!rest.empty()) {
    ArrayRef<int64_t> run =
        rest.take_while([&](int64_t group) { return group == rest.front(); });
    printer << run.front();
    if (run.size() > 1)
      printer << " x " << run.size();
    rest = rest.drop_front(run.size());
    if (!rest.empty())
      printer << ", ";
  }
  printer << "], params = [";
  llvm::interleaveComma(getParams(), printer, [&](UniformParams pair) {
    printer << pair.scale;
    if (pair.zero)
      printer << ':' << pair.zero;
  });
  printer << ']';
  if (!getLimits().empty()) {
    printer << ", limits = [";
    llvm::interleaveComma(getLimits(), printer, [&](CodeLimits pair) {
      printer << pair.lo << ':' << pair.hi;
    });
    printer << ']';
  }
  printer << '>';
}

CodeLimits GroupType::limitsOf(int64_t group) const {
  if (!getLimits().empty())
    return getLimits()[group];
  return {storageMin(getStorageBits(), getIsSigned()),
          storageMax(getStorageBits(), getIsSigned())};
}

LogicalResult GroupType::verify(function_ref<InFlightDiagnostic()> emitError,
                                unsigned storageBits, bool isSigned,
                                int64_t axis, ArrayRef<int64_t> map,
                                ArrayRef<UniformParams> params,
                                ArrayRef<CodeLimits> limits) {
  if (failed(verifyStorage(emitError, storageBits)))
    return failure();
  if (axis < 0)
    return emitError() << "expects an axis of 0 or more, got " << axis;
  if (map.empty() || params.empty())
    return emitError() << "expects at least one channel and one group, got "
                       << map.size() << " and " << params.size();
  llvm::BitVector used(params.size());
  for (auto [channel, group] : llvm::enumerate(map)) {
    if (group < 0 || group >= int64_t(params.size()))
      return emitError() << "expects groups below " << params.size() << ", got "
                         << group << " for channel " << channel;
    used.set(group);
  }
  if (!used.all())
    return emitError() << "expects every group to have a channel, group "
                       << used.find_first_unset() << " has none";
  for (UniformParams pair : params)
    if (failed(verifyScale(emitError, pair.scale)))
      return failure();
  if (!limits.empty() && limits.size() != params.size())
    return emitError() << "expects limits of each of " << params.size()
                       << " groups, got " << limits.size();
  int64_t least = storageMin(storageBits, isSigned);
  int64_t most = storageMax(storageBits, isSigned);
  for (CodeLimits pair : limits)
    if (pair.lo < least || pair.hi > most || pair.lo >= pair.hi)
      return emitError() << "expects limits within " << least << ':' << most
                         << ", the lower one first, got " << pair.lo << ':'
                         << pair.hi;
  return success();
}

//===----------------------------------------------------------------------===//
// LogType
//===----------------------------------------------------------------------===//

Type LogType::parse(AsmParser &parser) {
  unsigned bits = 0;
  bool isSigned = false;
  LogBase base = LogBase::Two;
  UniformParams params;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseStorage(parser, bits, isSigned) ||
      parser.parseComma() ||
      parseEnum(
          parser, [](StringRef s) { return symbolizeLogBase(s); },
          "two or sqrt2", base) ||
      parseField(parser, "scale") || parser.parseFloat(params.scale) ||
      parseField(parser, "zero") || parser.parseInteger(params.zero) ||
      parser.parseGreater())
    return {};
  if (isSigned) {
    parser.emitError(loc, "expected unsigned logarithmic codes, got i") << bits;
    return {};
  }
  return parser.getChecked<LogType>(loc, parser.getContext(), bits, base,
                                    params);
}

void LogType::print(AsmPrinter &printer) const {
  printer << "<u" << getBits() << ", " << stringifyLogBase(getBase())
          << ", scale = " << getParams().scale
          << ", zero = " << getParams().zero << '>';
}

LogicalResult LogType::verify(function_ref<InFlightDiagnostic()> emitError,
                              unsigned bits, LogBase base,
                              UniformParams params) {
  if (bits < 1 || bits > 8)
    return emitError() << "expects logarithmic codes of 1 to 8 bits, got "
                       << bits;
  int64_t symbols = int64_t(1) << bits;
  if (params.zero != symbols && params.zero != symbols - 1)
    return emitError() << "expects the code of zero to be " << symbols - 1
                       << " or " << symbols << ", got " << params.zero;
  return verifyScale(emitError, params.scale);
}

//===----------------------------------------------------------------------===//
// BinaryType
//===----------------------------------------------------------------------===//

Type BinaryType::parse(AsmParser &parser) {
  BinaryKind kind = BinaryKind::Sign;
  int64_t axis = -1;
  SmallVector<UniformParams> params;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parseEnum(
          parser, [](StringRef s) { return symbolizeBinaryKind(s); },
          "sign or bit", kind) ||
      parser.parseComma())
    return {};
  if (succeeded(parser.parseOptionalKeyword("axis"))) {
    if (parser.parseEqual() || parser.parseInteger(axis) || parser.parseComma())
      return {};
    if (axis < 0) {
      parser.emitError(loc, "expected an axis of 0 or more, got ") << axis;
      return {};
    }
  }
  auto parseScale = [&]() -> ParseResult {
    params.emplace_back();
    return parser.parseFloat(params.back().scale);
  };
  if (parser.parseKeyword("scales") || parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                     parseScale) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<BinaryType>(loc, parser.getContext(), kind, axis,
                                       params);
}

void BinaryType::print(AsmPrinter &printer) const {
  printer << '<' << stringifyBinaryKind(getKind()) << ", ";
  if (getAxis() >= 0)
    printer << "axis = " << getAxis() << ", ";
  printer << "scales = [";
  llvm::interleaveComma(getParams(), printer,
                        [&](UniformParams pair) { printer << pair.scale; });
  printer << "]>";
}

LogicalResult BinaryType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 BinaryKind kind, int64_t axis,
                                 ArrayRef<UniformParams> params) {
  if (params.empty() || (axis < 0 && params.size() != 1))
    return emitError() << "expects one scale, or an axis, got " << params.size()
                       << " scales";
  for (UniformParams pair : params)
    if (failed(verifyScale(emitError, pair.scale)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// OffsetType
//===----------------------------------------------------------------------===//

Type OffsetType::parse(AsmParser &parser) {
  unsigned bits = 0;
  bool isSigned = false;
  RealParams params;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseStorage(parser, bits, isSigned) ||
      parseField(parser, "scale") || parser.parseFloat(params.scale) ||
      parseField(parser, "offset") || parser.parseFloat(params.offset) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<OffsetType>(loc, parser.getContext(), bits, isSigned,
                                       params);
}

void OffsetType::print(AsmPrinter &printer) const {
  printer << '<';
  printStorage(printer, getStorageBits(), getIsSigned());
  printer << ", scale = " << getParams().scale
          << ", offset = " << getParams().offset << '>';
}

LogicalResult OffsetType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 unsigned storageBits, bool isSigned,
                                 RealParams params) {
  if (failed(verifyStorage(emitError, storageBits)))
    return failure();
  if (!std::isfinite(params.offset))
    return emitError() << "expects a finite offset, got " << params.offset;
  return verifyScale(emitError, params.scale);
}

//===----------------------------------------------------------------------===//
// DynamicType
//===----------------------------------------------------------------------===//

Type DynamicType::parse(AsmParser &parser) {
  unsigned bits = 0;
  bool isSigned = false, symmetric = false;
  RangeOf rangeOf = RangeOf::Tensor;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseStorage(parser, bits, isSigned) ||
      parser.parseComma() ||
      parseEnum(
          parser, [](StringRef s) { return symbolizeRangeOf(s); },
          "tensor, token or sequence", rangeOf))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("symmetric"))
      return {};
    symmetric = true;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<DynamicType>(loc, parser.getContext(), bits,
                                        isSigned, rangeOf, symmetric);
}

void DynamicType::print(AsmPrinter &printer) const {
  printer << '<';
  printStorage(printer, getStorageBits(), getIsSigned());
  printer << ", " << stringifyRangeOf(getRangeOf());
  if (getSymmetric())
    printer << ", symmetric";
  printer << '>';
}

LogicalResult DynamicType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  unsigned storageBits, bool isSigned,
                                  RangeOf rangeOf, bool symmetric) {
  return verifyStorage(emitError, storageBits);
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

bool quern::tq::isQuantizedType(Type type) {
  return isa<quant::QuantizedType, GroupType, LogType, BinaryType, OffsetType,
             DynamicType>(type);
}

std::optional<CodeStorage> quern::tq::getCodeStorage(Type type) {
  auto full = [](unsigned bits, bool isSigned) {
    return CodeStorage{bits, isSigned, storageMin(bits, isSigned),
                       storageMax(bits, isSigned)};
  };
  return TypeSwitch<Type, std::optional<CodeStorage>>(type)
      .Case([](quant::QuantizedType t) {
        return CodeStorage{t.getStorageTypeIntegralWidth(), t.isSigned(),
                           t.getStorageTypeMin(), t.getStorageTypeMax()};
      })
      .Case<GroupType, OffsetType, DynamicType>(
          [&](auto t) { return full(t.getStorageBits(), t.getIsSigned()); })
      .Case([&](LogType t) {
        CodeStorage storage = full(t.getBits(), false);
        if (t.getParams().zero > storage.max)
          storage = {t.getBits() + 1, false, 0, t.getParams().zero};
        return storage;
      })
      .Case([&](BinaryType) { return full(1, false); })
      .Default([](Type) { return std::nullopt; });
}

std::optional<UniformParams> quern::tq::getPerTensorParams(Type type) {
  auto uniform = dyn_cast<quant::UniformQuantizedType>(type);
  if (!uniform)
    return std::nullopt;
  return UniformParams{uniform.getScale(), uniform.getZeroPoint()};
}

DynamicType quern::tq::getTokenType(Type type) {
  auto dynamic = dyn_cast<DynamicType>(type);
  bool fits = dynamic && dynamic.getRangeOf() == RangeOf::Token &&
              !dynamic.getIsSigned() && dynamic.getStorageBits() >= 2 &&
              dynamic.getStorageBits() <= 8;
  return fits ? dynamic : DynamicType();
}

quant::UniformQuantizedType
quern::tq::getUniformType(MLIRContext *context, unsigned bits, bool isSigned,
                          double scale, int64_t zero) {
  return quant::UniformQuantizedType::get(
      isSigned ? quant::QuantizationFlags::Signed : 0,
      IntegerType::get(context, bits), Float32Type::get(context), scale, zero,
      storageMin(bits, isSigned), storageMax(bits, isSigned));
}
