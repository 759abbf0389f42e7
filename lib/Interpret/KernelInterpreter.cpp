//===- KernelInterpreter.cpp - The reference for tk kernels ---------------===//
//
// Part of Quern. See KernelInterpreter.h. Control flow and the frame; the
// other ops are in the Kernel*Steps.cpp files.
//
//===----------------------------------------------------------------------===//

#include "lib/Interpret/KernelInterpreter.h"
#include "lib/Interpret/KernelSteps.h"

#include "dialects/TK/TKDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace quern;

struct KernelInterpreter::Code {
  func::FuncOp kernel;
  StepBuilder builder;
  Steps steps;
};

KernelInterpreter::KernelInterpreter(std::unique_ptr<Code> code)
    : code(std::move(code)) {}
KernelInterpreter::KernelInterpreter(KernelInterpreter &&) = default;
KernelInterpreter::~KernelInterpreter() = default;

static bool runSteps(const Steps &steps, Frame &frame) {
  for (const Step &step : steps)
    if (!step(frame))
      return false;
  return true;
}

char *quern::accessBuffer(Operation *op, Frame &frame, unsigned bufferSlot,
                          uint64_t index, int64_t count, int64_t bytes,
                          const char *does) {
  uint64_t number = frame.slots[bufferSlot][0];
  MutableArrayRef<char> memory = frame.buffers[number];
  int64_t first = int64_t(index), elements = memory.size() / bytes;
  if (first >= 0 && count <= elements && first <= elements - count)
    return memory.data() + first * bytes;
  op->emitOpError(does) << " elements [" << first << ", "
                        << int64_t(index + uint64_t(count)) << ") of buffer "
                        << number << ", which has " << elements;
  return nullptr;
}

/// Slots of a range of values.
template <typename Range>
static SmallVector<unsigned> slotsOf(StepBuilder &builder, Range values) {
  SmallVector<unsigned> slots;
  for (Value value : values)
    slots.push_back(builder.slot(value));
  return slots;
}

/// All are read before any is written: a loop may permute what it carries.
static void copySlots(Frame &frame, ArrayRef<unsigned> from,
                      ArrayRef<unsigned> to) {
  SmallVector<Lanes, 4> values;
  for (unsigned slot : from)
    values.push_back(frame.slots[slot]);
  for (auto [slot, value] : llvm::zip(to, values))
    frame.slots[slot] = std::move(value);
}

static Step makeFor(scf::ForOp op, StepBuilder &builder) {
  FailureOr<Steps> body = builder.build(*op.getBody());
  if (failed(body))
    return {};
  unsigned lower = builder.slot(op.getLowerBound());
  unsigned upper = builder.slot(op.getUpperBound());
  unsigned stride = builder.slot(op.getStep());
  unsigned variable = builder.slot(op.getInductionVar());
  auto initial = slotsOf(builder, op.getInitArgs());
  auto carried = slotsOf(builder, op.getRegionIterArgs());
  auto yielded = slotsOf(builder, op.getBody()->getTerminator()->getOperands());
  auto results = slotsOf(builder, op.getResults());
  return [=, steps = std::move(*body)](Frame &frame) {
    int64_t end = frame.slots[upper][0], step = frame.slots[stride][0];
    if (step <= 0) {
      scf::ForOp(op).emitOpError("expects a positive step, got ") << step;
      return false;
    }
    copySlots(frame, initial, carried);
    for (int64_t i = frame.slots[lower][0]; i < end; i += step) {
      frame.slots[variable].assign(1, uint64_t(i));
      if (!runSteps(steps, frame))
        return false;
      copySlots(frame, yielded, carried);
    }
    copySlots(frame, carried, results);
    return true;
  };
}

static Step makeIf(scf::IfOp op, StepBuilder &builder) {
  Steps steps[2];
  SmallVector<unsigned> yielded[2];
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    if (region.empty())
      continue;
    FailureOr<Steps> body = builder.build(region.front());
    if (failed(body))
      return {};
    steps[i] = std::move(*body);
    yielded[i] =
        slotsOf(builder, region.front().getTerminator()->getOperands());
  }
  unsigned condition = builder.slot(op.getCondition());
  auto results = slotsOf(builder, op.getResults());
  return [=, then = std::move(steps[0]), otherwise = std::move(steps[1]),
          thenValues = yielded[0], otherValues = yielded[1]](Frame &frame) {
    bool taken = frame.slots[condition][0];
    if (!runSteps(taken ? then : otherwise, frame))
      return false;
    copySlots(frame, taken ? thenValues : otherValues, results);
    return true;
  };
}

FailureOr<Steps> StepBuilder::build(Block &block) {
  Steps steps;
  for (Operation &op : block.without_terminator()) {
    Step step;
    if (auto loop = dyn_cast<scf::ForOp>(op))
      step = makeFor(loop, *this);
    else if (auto branch = dyn_cast<scf::IfOp>(op))
      step = makeIf(branch, *this);
    else if (!(step = makeArithStep(&op, *this)) &&
             !(step = makeMemoryStep(&op, *this)) &&
             !(step = makeMicroOpStep(&op, *this)))
      op.emitOpError("cannot be interpreted in a kernel");
    if (!step)
      return failure();
    steps.push_back(std::move(step));
  }
  return steps;
}

FailureOr<KernelInterpreter> KernelInterpreter::create(func::FuncOp kernel) {
  if (!kernel->hasAttr(tk::TKDialect::getKernelAttrName()) ||
      kernel.isExternal() || !kernel.getBody().hasOneBlock() ||
      kernel.getNumArguments() < tk::TKDialect::kTrailingKernelArguments) {
    kernel.emitOpError("expects a tk.kernel of one block");
    return failure();
  }
  auto code = std::make_unique<Code>();
  code->kernel = kernel;
  for (Value argument : kernel.getArguments())
    code->builder.slot(argument);
  FailureOr<Steps> steps = code->builder.build(kernel.getBody().front());
  if (failed(steps))
    return failure();
  code->steps = std::move(*steps);
  return KernelInterpreter(std::move(code));
}

LogicalResult KernelInterpreter::run(ArrayRef<MutableArrayRef<char>> buffers,
                                     const KernelRange &range,
                                     MutableArrayRef<char> scratch) {
  func::FuncOp kernel = code->kernel;
  unsigned expected =
      kernel.getNumArguments() - tk::TKDialect::kTrailingKernelArguments;
  if (buffers.size() != expected)
    return kernel.emitOpError("expects ")
           << expected << " buffers, got " << buffers.size();
  Frame frame;
  frame.slots.resize(code->builder.count());
  frame.buffers.assign(buffers.begin(), buffers.end());
  frame.buffers.push_back(scratch);
  unsigned slot = 0;
  for (; slot < expected; ++slot)
    frame.slots[slot].assign(1, slot);
  for (int64_t value : {range.tokens, range.sequences, range.flags, range.begin,
                        range.end, int64_t(expected)})
    frame.slots[slot++].assign(1, uint64_t(value));
  return success(runSteps(code->steps, frame));
}
