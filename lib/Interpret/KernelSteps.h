//===- KernelSteps.h - Kernels as lists of steps ----------------*- C++ -*-===//
//
// Part of Quern. Private to lib/Interpret: each op of a kernel becomes a
// function over a frame of slots, one slot per SSA value. A slot holds the
// bits of each lane; a scalar is one lane, a buffer is its number.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_KERNELSTEPS_H
#define QUERN_LIB_INTERPRET_KERNELSTEPS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/bit.h"

#include <functional>
#include <vector>

namespace quern {

/// The bits of every lane, in the low end of each word, the rest 0.
using Lanes = llvm::SmallVector<uint64_t, 16>;

/// Values and memory of one run.
struct Frame {
  std::vector<Lanes> slots;
  std::vector<llvm::MutableArrayRef<char>> buffers;
};

/// Runs one op; false after a diagnostic.
using Step = std::function<bool(Frame &)>;
using Steps = std::vector<Step>;

/// Bits of an element; an index has 64.
inline unsigned bitsOf(mlir::Type type) {
  mlir::Type element = mlir::getElementTypeOrSelf(type);
  return element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
}

/// Lanes of a value: 1 for a scalar.
inline int64_t lanesOf(mlir::Type type) {
  auto vector = llvm::dyn_cast<mlir::VectorType>(type);
  return vector ? vector.getNumElements() : 1;
}

/// The low `bits` of a word.
inline uint64_t lowBits(uint64_t word, unsigned bits) {
  return bits >= 64 ? word : word & ((uint64_t(1) << bits) - 1);
}

/// A word of `bits` bits as a signed number.
inline int64_t signedBits(uint64_t word, unsigned bits) {
  return int64_t(word << (64 - bits)) >> (64 - bits);
}

inline float asFloat(uint64_t word) {
  return llvm::bit_cast<float>(uint32_t(word));
}
inline uint64_t fromFloat(float value) {
  return llvm::bit_cast<uint32_t>(value);
}

/// Numbers the values of a kernel and turns blocks into steps.
class StepBuilder {
public:
  /// The slot of a value.
  unsigned slot(mlir::Value value) {
    return numbers.try_emplace(value, unsigned(numbers.size())).first->second;
  }
  unsigned count() const { return numbers.size(); }

  /// Steps of a block, without its terminator.
  mlir::FailureOr<Steps> build(mlir::Block &block);

private:
  llvm::DenseMap<mlir::Value, unsigned> numbers;
};

/// Each makes the step of an op of its group, or an empty function if the op
/// belongs to another one.
Step makeArithStep(mlir::Operation *op, StepBuilder &builder);
Step makeMemoryStep(mlir::Operation *op, StepBuilder &builder);
Step makeMicroOpStep(mlir::Operation *op, StepBuilder &builder);

/// The bytes of `count` elements of `bytes` bytes from element `index` on, or
/// null after a diagnostic that says what the op `does`.
char *accessBuffer(mlir::Operation *op, Frame &frame, unsigned bufferSlot,
                   uint64_t index, int64_t count, int64_t bytes,
                   const char *does);

} // namespace quern

#endif // QUERN_LIB_INTERPRET_KERNELSTEPS_H
