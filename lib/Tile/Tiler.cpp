//===- Tiler.cpp - Graph ops to launches: the walk and its tools ----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/Tiler.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace quern {

int64_t widthOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape().back();
}

FailureOr<Storage> storageOf(Value value, Operation *reader) {
  Type element = cast<ShapedType>(value.getType()).getElementType();
  if (element.isF32())
    return Storage::F32;
  std::optional<tq::CodeStorage> codes = tq::getCodeStorage(element);
  if (codes && !codes->isSigned && codes->bits <= 8)
    return Storage::U8;
  if (codes && !codes->isSigned && codes->bits <= 16)
    return Storage::U16;
  return reader->emitOpError("has no kernel for elements of type ")
         << element << ", expected f32 or unsigned codes of at most 16 bits";
}

CodeRange rangeOf(Value value) {
  Type element = cast<ShapedType>(value.getType()).getElementType();
  if (auto codes = tq::getCodeStorage(element))
    return {float(codes->min), float(codes->max)};
  return {};
}

std::vector<std::string> siteNames(ArrayAttr sites) {
  std::vector<std::string> names;
  for (Attribute site : sites ? sites.getValue() : ArrayRef<Attribute>())
    names.push_back(cast<StringAttr>(site).str());
  return names;
}

StringRef storageName(Storage storage) {
  return storage == Storage::U8    ? "u8"
         : storage == Storage::U16 ? "u16"
                                   : "f32";
}

std::string siteOr(const std::vector<std::string> &sites, size_t i,
                   const std::string &absent) {
  return i < sites.size() && !sites[i].empty() ? sites[i] : absent;
}

std::string rangeName(CodeRange range) {
  return num(int64_t(range.lo)) + "to" + num(int64_t(range.hi));
}

GemmActivation gemmActivation(tq::Activation activation) {
  switch (activation) {
  case tq::Activation::None:
    return GemmActivation::None;
  case tq::Activation::Gelu:
    return GemmActivation::Gelu;
  case tq::Activation::GeluTanh:
    return GemmActivation::GeluTanh;
  case tq::Activation::Relu:
    return GemmActivation::Relu;
  case tq::Activation::Tanh:
    return GemmActivation::Tanh;
  case tq::Activation::IGelu:
    return GemmActivation::IGelu;
  }
  llvm_unreachable("all activations are handled");
}

Value Tiler::source(Value value) {
  while (auto observe = value.getDefiningOp<tq::ObserveOp>())
    value = observe.getX();
  return value;
}

Operation *Tiler::onlyReader(Value value) {
  while (value.hasOneUse()) {
    Operation *reader = *value.getUsers().begin();
    auto observe = dyn_cast<tq::ObserveOp>(reader);
    if (!observe)
      return reader;
    value = observe.getResult();
  }
  return nullptr;
}

std::string Tiler::observedSite(Value value) {
  for (Operation *user : value.getUsers())
    if (auto observe = dyn_cast<tq::ObserveOp>(user))
      return observe.getSite().str();
  return "";
}

bool Tiler::isReturned(Value value) {
  for (Operation *user : value.getUsers()) {
    if (isa<func::ReturnOp>(user))
      return true;
    if (auto observe = dyn_cast<tq::ObserveOp>(user))
      if (isReturned(observe.getResult()))
        return true;
  }
  return false;
}

/// Names of the function's arguments: those of a text model, or of one that
/// sees images, whose first argument are rows of numbers. Empty for others.
static ArrayRef<StringRef> rolesOf(func::FuncOp function) {
  static const StringRef text[] = {"ids", "types", "positions", "offsets"};
  static const StringRef image[] = {"patches", "positions", "offsets"};
  auto isRows = [&](Type type) {
    auto rows = dyn_cast<RankedTensorType>(type);
    return rows && rows.getRank() == 2 && !rows.isDynamicDim(1) &&
           rows.getElementType().isF32();
  };
  if (function.getNumArguments() == 3 && isRows(function.getArgumentTypes()[0]))
    return image;
  return function.getNumArguments() == 4 ? ArrayRef(text)
                                         : ArrayRef<StringRef>();
}

void Tiler::takePatches() {
  Value patches = function.getArgument(0);
  Place place = program.patches(widthOf(patches));
  places[patches] = place;
  // No launch makes them: the first one shows what it was given.
  if (std::string site = observedSite(patches); !site.empty())
    program.showInput({site, place.buffer, 0, place.d});
}

FailureOr<Place> Tiler::placeOf(Value value, Operation *reader) {
  auto found = places.find(source(value));
  if (found == places.end())
    if (auto lookup = source(value).getDefiningOp<tq::EmbeddingOp>()) {
      if (failed(tileLookup(lookup)))
        return failure();
      found = places.find(source(value));
    }
  if (found == places.end())
    return reader->emitOpError("reads a value that no kernel made: ")
           << source(value);
  return found->second;
}

Place Tiler::define(Value result, StringRef name, int64_t d, Storage storage,
                    RowsOf rows) {
  Place place = isReturned(result) && storage == Storage::F32
                    ? program.output(d, rows)
                    : program.buffer(name, d, storage, rows);
  places[result] = place;
  return place;
}

FailureOr<std::string> Tiler::inputOf(Value value, Operation *reader) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || places.contains(value))
    return reader->emitOpError("expected one of the function's indices, got ")
           << value;
  std::string &symbol = inputs[value];
  if (symbol.empty())
    symbol = program.input(rolesOf(function)[argument.getArgNumber()]);
  return symbol;
}

template <typename T>
FailureOr<ConstantView<T>> Tiler::constant(Value value, StringRef what,
                                           Operation *reader) {
  ElementsAttr attr;
  if (auto op = value.getDefiningOp<arith::ConstantOp>())
    attr = dyn_cast<ElementsAttr>(op.getValue());
  if (auto op = value.getDefiningOp<tq::ConstantOp>())
    attr = op.getValue();
  auto view = attr ? ConstantView<T>::get(attr) : std::nullopt;
  if (!view)
    return reader->emitOpError("expects ") << what << " to be a constant";
  return *view;
}

template FailureOr<ConstantView<float>> Tiler::constant(Value, StringRef,
                                                        Operation *);
template FailureOr<ConstantView<int8_t>> Tiler::constant(Value, StringRef,
                                                         Operation *);
template FailureOr<ConstantView<int32_t>> Tiler::constant(Value, StringRef,
                                                          Operation *);

FailureOr<RealWeights> Tiler::realWeights(Value value, StringRef what,
                                          Operation *reader) {
  std::optional<RealWeights> weights = RealWeights::get(value);
  if (!weights)
    return reader->emitOpError("expects ")
           << what << " to be a constant, or constant codes with scales";
  return *weights;
}

std::string Tiler::nameOf(Operation *op, StringRef site) {
  if (!site.empty())
    return site.str();
  StringRef kind = op->getName().stripDialect();
  return (kind + "." + Twine(counts[kind]++)).str();
}

LogicalResult Tiler::tile(Operation *op) {
  if (done.contains(op))
    return success();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](tq::QLinearOp op) { return tileQLinear(op); })
      .Case([&](tq::QGroupLinearOp op) { return tileQGroupLinear(op); })
      .Case([&](tq::QAttentionOp op) { return tileQAttention(op); })
      .Case([&](tq::QAddOp op) { return tileQAdd(op); })
      .Case([&](tq::QAddNormOp op) { return tileQAddNorm(op); })
      .Case([&](tq::QEmbedOp op) { return tileQEmbed(op); })
      .Case([&](tq::QPoolOp op) { return tileQPool(op); })
      .Case([&](tq::QShiftGeluOp op) { return tileQShiftGelu(op); })
      .Case([&](tq::QLimitOp op) { return tileQLimit(op); })
      .Case([&](tq::QuantizeOp op) { return tileQuantize(op); })
      .Case([&](tq::DequantizeOp op) { return tileDequantize(op); })
      .Case([&](tq::RequantizeOp op) { return tileRequantize(op); })
      .Case([&](tq::LinearOp op) { return tileLinear(op); })
      .Case([&](tq::ContextOp op) { return tileContext(op); })
      .Case([&](tq::LayerNormOp op) { return tileLayerNorm(op); })
      .Case([&](tq::AddOp op) { return tileAdd(op); })
      .Case([&](tq::PoolOp op) { return tilePool(op); })
      .Case([&](tq::NormalizeOp op) { return tileNormalize(op); })
      .Case<tq::GeluOp, tq::ReluOp, tq::TanhOp>(
          [&](Operation *op) { return tileFunction(op); })
      // Done with the ops that read them.
      .Case<tq::ScoresOp, tq::SoftmaxOp, tq::ObserveOp, tq::EmbeddingOp,
            tq::DequantizeWeightOp, tq::ConstantOp, arith::ConstantOp,
            func::ReturnOp>([&](Operation *) { return success(); })
      .Default([&](Operation *op) { return op->emitOpError("has no kernel"); });
}

LogicalResult Tiler::run() {
  ArrayRef<StringRef> roles = rolesOf(function);
  if (!function.getBody().hasOneBlock() || roles.empty() ||
      function.getNumResults() != 1)
    return function.emitOpError(
        "expected one block, the arguments ids, types, positions, offsets, or "
        "patches, positions, offsets, and one result");
  FailureOr<ModuleTuning> chosen = ModuleTuning::read(program.module());
  if (failed(chosen))
    return failure();
  tuning = std::move(*chosen);
  if (roles.front() == "patches")
    takePatches();
  for (Operation &op : function.front())
    if (failed(tile(&op)))
      return failure();
  Operation *end = function.front().getTerminator();
  FailureOr<Place> result = placeOf(end->getOperand(0), end);
  if (failed(result))
    return failure();
  if (StringRef(result->buffer) != "output")
    return end->emitOpError("returns codes, expected f32");
  return success();
}

} // namespace quern
