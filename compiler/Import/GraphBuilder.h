//===- GraphBuilder.h - Pieces of encoder graphs --------------------------===//
//
// What the graphs of all families are made of: weights of a checkpoint as
// resources, quantizer sites, linear layers, attention, pooling. A family's
// builder derives from it and puts the pieces together.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_IMPORT_GRAPHBUILDER_H
#define QUERN_COMPILER_IMPORT_GRAPHBUILDER_H

#include "compiler/Import/Checkpoint.h"
#include "compiler/Import/ModelInfo.h"
#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern {

/// Emits the function @forward. The first weight that cannot be read stops the
/// import; until then `failure` is a success.
class GraphBuilder {
public:
  virtual ~GraphBuilder() = default;

  /// Builds the module. Weights that the checkpoint stores as f32 are not
  /// copied: their resources point into the mapped file, which stays mapped
  /// until the context is destroyed.
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> build();

protected:
  using Value = mlir::Value;

  GraphBuilder(mlir::MLIRContext &context, const ModelInfo &info,
               Checkpoint &checkpoint);

  /// Types of the function's arguments; the last one are the offsets.
  virtual llvm::SmallVector<mlir::Type> inputs() = 0;
  /// The function's body: from its arguments to its result.
  virtual Value body(mlir::Block::BlockArgListType arguments) = 0;

  mlir::RankedTensorType rows(int64_t width);
  mlir::RankedTensorType scores();
  /// One i32 a token, or a sequence and one more.
  mlir::RankedTensorType indices();

  /// The weight of a canonical name, of shape `stored` (default: `shape`) in
  /// the checkpoint.
  Value weight(const std::string &name, llvm::ArrayRef<int64_t> shape,
               llvm::ArrayRef<int64_t> stored = {});
  /// A constant that no tensor of the checkpoint is.
  Value constant(const std::string &name, llvm::ArrayRef<int64_t> shape,
                 std::vector<float> values);
  /// What keeps a module well formed that a failure throws away.
  Value standIn(llvm::ArrayRef<int64_t> shape);
  /// The values of a weight, none after a failure.
  std::vector<float> values(const std::string &name,
                            llvm::ArrayRef<int64_t> shape);
  Value observe(Value x, llvm::StringRef key, llvm::StringRef site,
                int64_t layer = -1);
  Value linear(Value x, const std::string &name, int64_t outputs,
               bool hasBias = true);
  Value layerNorm(Value x, const std::string &name);
  Value activation(Value x);
  /// Attention with its output layer; `projections` is what the names of
  /// query, key and value begin with.
  Value attention(Value x, Value offsets, int64_t layer,
                  const std::string &projections, const std::string &output,
                  bool hasBias = true);
  /// From the FFN's input to its output, sites `f` and `h`.
  Value feedForward(Value x, int64_t layer, const std::string &name);
  /// One vector per sequence.
  Value pooled(Value x, Value offsets);

  mlir::ImplicitLocOpBuilder b;
  const ModelInfo &info;
  Checkpoint &checkpoint;
  Error failure = Error::success();
};

/// The value of tq.model for these facts.
mlir::DictionaryAttr modelAttribute(mlir::MLIRContext &context,
                                    const ModelInfo &info);

} // namespace quern

#endif // QUERN_COMPILER_IMPORT_GRAPHBUILDER_H
