//===- GemmEpilogue.cpp - From the sums of a tile to its result -----------===//
//
// See GemmEpilogue.h. Scratch memory holds the vectors that wait, column by
// column, and behind them the place of their tile.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/GemmEpilogue.h"

#include "quern/integer_activation.h"

using namespace mlir;

namespace quern {

/// Rows whose epilogues run in step; divides the rows of a tile.
static constexpr int64_t kInStep = 4;

/// True if `post` follows the activation.
static bool hasPost(const GemmShape &shape) {
  return shape.activation != GemmActivation::None && shape.out != Storage::F32;
}

void addResultElements(Builder &b, const GemmShape &shape,
                       SmallVectorImpl<Type> &elements) {
  Type constants = shape.fixed ? Type(b.getI8Type()) : b.getF32Type();
  elements.append(shape.fixed ? 1 : 2, constants);
  if (hasPost(shape))
    elements.push_back(constants);
  elements.push_back(shape.out == Storage::U8    ? Type(b.getI8Type())
                     : shape.out == Storage::U16 ? Type(b.getI16Type())
                                                 : Type(b.getF32Type()));
}

GemmResult resultOperands(KernelBuilder &k, const GemmShape &shape,
                          unsigned first) {
  GemmResult operands;
  operands.multiplier = k.buffer(first++);
  if (!shape.fixed)
    operands.offset = k.buffer(first++);
  if (hasPost(shape))
    operands.post = k.buffer(first++);
  operands.y = k.buffer(first);
  return operands;
}

bool hasLateEpilogue(const GemmShape &shape) {
  // Cheap epilogues gain nothing.
  return shape.activation != GemmActivation::None && !shape.smallTile &&
         shape.activation != GemmActivation::Relu && !shape.exact &&
         shape.out != Storage::F32;
}

int64_t lateScratchBytes(const GemmShape &shape, int64_t rows) {
  int64_t vectors = rows * getGemmPanels(shape).width;
  bool late = hasLateEpilogue(shape) && wholeStream(shape).steps >= vectors;
  return late ? lateEpilogueBytes(vectors) : 0;
}

GemmEpilogue::GemmEpilogue(KernelBuilder &k, const GemmShape &shape,
                           const GemmResult &operands, GemmSums sums,
                           int64_t rows, bool late)
    : k(k), shape(shape), operands(operands), sums(sums), rows(rows),
      width(getGemmPanels(shape).width), isLate(late) {}

void GemmEpilogue::start() {
  if (!isLate)
    return;
  GemmPanels panels = getGemmPanels(shape);
  Value columns = k.index(getGemmChunks(shape).multiply);
  GemmTile first;
  first.row = k.mul(k.div(k.begin(), columns), shape.rowsPerChunk);
  first.panel = k.mul(k.rem(k.begin(), columns), panels.perChunk * width);
  storePending(first);
}

void GemmEpilogue::end() {
  if (!isLate)
    return;
  k.ifThen(k.less(k.begin(), k.end()), [&] {
    Pending pending = loadPending();
    k.loop(k.index(0), k.index(vectors()), 1,
           [&](Value i) { finishOne(pending, i); });
  });
}

void GemmEpilogue::finish(const GemmTile &tile,
                          function_ref<Value(int64_t, int64_t)> sum) {
  if (isLate)
    return keep(tile, sum);
  if (shape.smallTile)
    return finishInTurn(tile, sum);
  for (int64_t j = 0; j < tile.width; ++j) {
    Value column = k.add(k.mul(tile.panel, 16), j * 16);
    Constants constants = constantsAt(column);
    for (int64_t i = 0; i < tile.rows; i += kInStep) {
      Values group;
      for (int64_t r = 0; r < kInStep; ++r)
        group.push_back(sum(i + r, j));
      convert(group, constants);
      for (int64_t r = 0; r < kInStep; ++r)
        storeBlock(k, shape, tile, i + r, j, group[r], operands.y);
    }
  }
}

void GemmEpilogue::finishInTurn(const GemmTile &tile,
                                function_ref<Value(int64_t, int64_t)> sum) {
  Values waiting;
  for (int64_t i = 0; i < tile.rows; ++i)
    waiting.push_back(sum(i, 0));
  for (int64_t i = 0; i < tile.rows; ++i)
    k.storeBytes(waiting[i], k.scratch(), k.index(i * 64));
  Type element = sums == GemmSums::Integer ? k.i32() : k.f32();
  Constants constants = constantsAt(k.mul(tile.panel, 16));
  k.loop(k.index(0), k.index(tile.rows), 1, [&](Value i) {
    Values value = {k.loadBytes(k.scratch(), k.mul(i, 64), 16, element)};
    convert(value, constants);
    GemmTile row = tile;
    row.row = k.add(tile.row, i);
    storeBlock(k, shape, row, 0, 0, value[0], operands.y);
  });
}

void GemmEpilogue::keep(const GemmTile &tile,
                        function_ref<Value(int64_t, int64_t)> sum) {
  for (int64_t j = 0; j < tile.width; ++j)
    for (int64_t i = 0; i < tile.rows; ++i)
      k.storeBytes(sum(i, j), k.scratch(), k.index((j * rows + i) * 64));
  storePending(tile);
}

void GemmEpilogue::storePending(const GemmTile &tile) {
  Value column = k.mul(tile.panel, 16);
  Value at = k.add(k.mul(tile.row, shape.outStride), column);
  int64_t place = vectors() * 64;
  for (Value v : {at, column}) {
    Value wide = arith::IndexCastOp::create(k.op(), k.loc(), k.i64(), v);
    k.storeBytes(k.broadcast(wide, 1), k.scratch(), k.index(place));
    place += 8;
  }
}

GemmEpilogue::Pending GemmEpilogue::loadPending() {
  auto load = [&](int64_t at) {
    return k.toIndex(
        k.lane(k.loadBytes(k.scratch(), k.index(at), 1, k.i64()), 0));
  };
  return {load(vectors() * 64), load(vectors() * 64 + 8)};
}

void GemmEpilogue::finishOne(const Pending &pending, Value i) {
  Value row = k.rem(i, k.index(rows));
  Value across = k.mul(k.div(i, k.index(rows)), 16);
  Value column = k.add(pending.column, across);
  Type element = sums == GemmSums::Integer ? k.i32() : k.f32();
  Values sum = {k.loadBytes(k.scratch(), k.mul(i, 64), 16, element)};
  convert(sum, constantsAt(column));
  Value at = k.add(pending.at, k.add(k.mul(row, shape.outStride), across));
  k.storeCodes(sum[0], operands.y, at);
}

GemmEpilogue::Constants GemmEpilogue::constantsAt(Value column) {
  Constants constants;
  if (shape.fixed) {
    constants.fixed = loadFixed(k, operands.multiplier, column, shape.narrow);
    return constants;
  }
  if (sums != GemmSums::Scaled)
    constants.multiplier = k.loadVector(operands.multiplier, column);
  constants.offset = k.loadVector(operands.offset, column);
  return constants;
}

/// As convert, in integers.
void GemmEpilogue::convertFixed(Values &values, const FixedLanes &outputs) {
  if (shape.activation == GemmActivation::None) {
    for (Value &v : values)
      v = fixedCode(k, v, outputs, shape.range);
    return;
  }
  FixedLanes post = loadFixed(k, operands.post, k.index(0), shape.narrow);
  for (Value &v : values)
    v = fixedCode(k, v, outputs, -QI_ACTIVATION_LIMIT, QI_ACTIVATION_LIMIT);
  for (Value &v : values)
    v = fixedActivate(k, shape.activation, v);
  for (Value &v : values)
    v = fixedCode(k, v, post, shape.range);
}

void GemmEpilogue::convert(Values &values, const Constants &constants) {
  if (shape.fixed)
    return convertFixed(values, constants.fixed);
  Value multiplier = constants.multiplier, offset = constants.offset;
  bool real = shape.out == Storage::F32;
  bool plain = shape.activation == GemmActivation::None;
  if (sums == GemmSums::Integer && plain && !real) {
    for (Value &v : values)
      v = k.requant(v, multiplier, offset, shape.range);
    return;
  }
  if (sums == GemmSums::Integer)
    for (Value &v : values)
      v = k.toFloat(v, k.f32());
  if (multiplier)
    for (Value &v : values)
      v = k.mul(v, multiplier);
  for (Value &v : values)
    v = k.add(v, offset);
  for (Value &v : values)
    v = activate(k, shape.activation, v);
  if (real)
    return;
  if (!plain) {
    Value scale = k.broadcast(k.load(operands.post, k.index(0)));
    Value zero = k.broadcast(k.load(operands.post, k.index(1)));
    for (Value &v : values)
      v = k.mul(v, scale);
    for (Value &v : values)
      v = k.add(v, zero);
  }
  for (Value &v : values)
    v = k.round(v, shape.range);
}

void GemmEpilogue::store(Value v, Value at) {
  if (shape.out == Storage::F32)
    k.storeVector(v, operands.y, at);
  else
    k.storeCodes(v, operands.y, at);
}

KernelBuilder::Values multiplyTile(KernelBuilder &k, const GemmStream &stream,
                                   const GemmTile &tile,
                                   const GemmInputs &inputs, Value start,
                                   KernelBuilder::Values sums,
                                   GemmEpilogue &epilogue) {
  int64_t shared = epilogue.late() ? epilogue.vectors() : 0;
  if (shared) {
    GemmEpilogue::Pending pending = epilogue.loadPending();
    sums = multiplyTurns(
        k, stream, tile, inputs, start, sums, k.index(0), k.index(shared),
        [&](Value turn) { epilogue.finishOne(pending, turn); },
        epilogue.chains());
  }
  return multiplyTurns(k, stream, tile, inputs, start, sums, k.index(shared),
                       k.index(stream.steps), [](Value) {});
}

} // namespace quern
