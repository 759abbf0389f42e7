//===- Evaluation.h - One run of a function ---------------------*- C++ -*-===//
//
// Part of Quern. Private to lib/Interpret: the state of a run and the one
// overload of `evaluate` per op, grouped in files as the .td files are.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_LIB_INTERPRET_EVALUATION_H
#define QUERN_LIB_INTERPRET_EVALUATION_H

#include "dialects/TQ/TQOps.h"
#include "lib/Interpret/Interpreter.h"

#include "llvm/ADT/DenseMap.h"

#include <vector>

namespace quern {

/// One sequence of a token-packed tensor.
struct Sequence {
  /// Its first token, its length, and where its scores start within a head.
  int64_t begin;
  int64_t length;
  int64_t scores;
  /// The first of the rows that ask, and how many do.
  int64_t firstQuery;
  int64_t queries;
};

/// Values computed so far, the hooks and the arithmetic.
class Evaluation {
public:
  Evaluation(const SiteHooks &hooks, bool machine)
      : hooks(hooks), machine(machine) {}

  const Tensor &get(mlir::Value value) const {
    return values.find(value)->second;
  }
  void set(mlir::Value value, Tensor tensor) {
    values.insert_or_assign(value, std::move(tensor));
  }
  void drop(mlir::Value value) { values.erase(value); }

  /// True if floats are f32 by contract, false if they are double.
  bool isMachine() const { return machine; }

  /// Shows a site's value to the hooks, with what was rounded to it if that is
  /// at hand; returns it, or what they force. An empty name is no site.
  mlir::FailureOr<Tensor> site(mlir::Operation *op, llvm::StringRef name,
                               Tensor value, mlir::Type scheme,
                               const Tensor *real = nullptr);

  /// The same of the `index`-th sum inside of an op. Two ops that normalize one
  /// sum (tq-split-residual) both compute it, and the first has its site: what
  /// is forced there, the other goes on from, too, if it came to the same.
  mlir::FailureOr<Tensor> sumSite(mlir::Operation *op, unsigned index,
                                  llvm::StringRef name, Tensor value,
                                  mlir::Type scheme);

private:
  /// A sum of two operands, as it was and as it was forced.
  struct ForcedSum {
    mlir::Value a, b;
    unsigned index;
    Tensor computed, forced;
  };

  const SiteHooks &hooks;
  bool machine;
  llvm::DenseMap<mlir::Value, Tensor> values;
  std::vector<ForcedSum> sums;
};

/// Reads offsets: they start at 0, do not descend, and end at `tokens` if
/// that is not negative. Reports on `op`.
mlir::FailureOr<std::vector<Sequence>>
readSequences(mlir::Operation *op, const Tensor &offsets, int64_t tokens);

/// The same where only the first token of each sequence asks, as row s of the
/// queries; a sequence of no tokens is an error.
mlir::FailureOr<std::vector<Sequence>>
readFirstQueries(mlir::Operation *op, const Tensor &offsets, int64_t tokens);

/// One or the other.
inline mlir::FailureOr<std::vector<Sequence>> readQueries(mlir::Operation *op,
                                                          const Tensor &offsets,
                                                          int64_t tokens,
                                                          bool firstOnly) {
  return firstOnly ? readFirstQueries(op, offsets, tokens)
                   : readSequences(op, offsets, tokens);
}

/// Total number of scores of a head.
int64_t countScores(const std::vector<Sequence> &sequences);

/// Total number of rows that ask.
int64_t countQueries(const std::vector<Sequence> &sequences);

/// Fails if an index lies outside [0, rows).
mlir::LogicalResult checkIndices(mlir::Operation *op, llvm::StringRef name,
                                 const Tensor &index, int64_t rows);

/// A float result in the kind of the run: double, or f32.
template <typename R>
Tensor makeTensor(std::vector<R> values, int64_t rows, int64_t width) {
  return Tensor::of(std::move(values), {rows, width});
}

mlir::FailureOr<Tensor> evaluate(tq::EmbeddingOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::AddOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::ScaleShiftOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::ReorderOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::LayerNormOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::LinearOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::GeluOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::ReluOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::TanhOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::PoolOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::NormalizeOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::ObserveOp op, Evaluation &run);

mlir::FailureOr<Tensor> evaluate(tq::ScoresOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::SoftmaxOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::ContextOp op, Evaluation &run);

mlir::FailureOr<Tensor> evaluate(tq::ConstantOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QuantizeOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::DequantizeOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::RequantizeOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::DequantizeWeightOp op, Evaluation &run);

mlir::FailureOr<Tensor> evaluate(tq::QLinearOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QGroupLinearOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QPoolOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QAttentionOp op, Evaluation &run);
/// Shows columns [n * width, (n + 1) * width) of codes, the result of a
/// product, as the n-th of its sites.
mlir::LogicalResult showSites(mlir::Operation *op, mlir::ArrayAttr sites,
                              Evaluation &run, std::vector<int32_t> &codes,
                              int64_t tokens, int64_t outputs);

mlir::FailureOr<Tensor> evaluate(tq::QAddOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QAddNormOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QEmbedOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QShiftGeluOp op, Evaluation &run);
mlir::FailureOr<Tensor> evaluate(tq::QLimitOp op, Evaluation &run);

} // namespace quern

#endif // QUERN_LIB_INTERPRET_EVALUATION_H
