//===- Tiler.h - Graph ops to launches --------------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Walks the graph in order and appends the launches of each op. Float chains
// that one kernel does together (add and LayerNorm, scores and softmax and
// context, linear and activation) are recognized here; `tq.observe` names the
// sites on the way. Integer ops: TileInteger*.cpp; float ops: TileFloat*.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_TILER_H
#define QUERN_LIB_TILE_TILER_H

#include "dialects/TQ/TQOps.h"
#include "lib/Tile/ModuleTuning.h"
#include "lib/Tile/ProgramBuilder.h"
#include "lib/Tile/RealWeights.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace quern {

struct AttentionShape;
struct EmbedShape;

class Tiler {
public:
  Tiler(mlir::func::FuncOp function, ProgramBuilder &program)
      : function(function), program(program) {}

  /// Tiles the whole function. An op without a kernel is an error on the op.
  mlir::LogicalResult run();

private:
  mlir::LogicalResult tile(mlir::Operation *op);

  // TileInteger.cpp, TileGroups.cpp
  mlir::LogicalResult tileQLinear(tq::QLinearOp op);
  /// The name of a product: of its site, or of the three that it makes.
  /// The sites of a tq.qlimit behind an op, which name it, or what the values
  /// of a product are called that become codes behind it.
  static std::vector<std::string> sitesOfLimit(mlir::Operation *product);
  std::string productStep(mlir::Operation *op,
                          const std::vector<std::string> &sites, int64_t layer);
  /// Appends the constants of a product from the multiplier on; fixed ones say
  /// whether the shape is narrow.
  mlir::LogicalResult pushProductConstants(tq::QLinearOp op,
                                           llvm::StringRef step,
                                           llvm::ArrayRef<float> multiplier,
                                           llvm::ArrayRef<float> offset,
                                           GemmShape &shape,
                                           std::vector<std::string> &operands);
  /// Appends the launch that splits 16-bit codes into planes of bytes; gives
  /// their buffer.
  std::string planesOf(const Place &x, llvm::StringRef step);
  mlir::LogicalResult tileQAttention(tq::QAttentionOp op);
  /// The constants of an attention kernel, whose shape takes what of them is
  /// fixed when it is built.
  mlir::FailureOr<std::string> attentionConstants(tq::QAttentionOp op,
                                                  llvm::StringRef step,
                                                  llvm::ArrayRef<float> hi,
                                                  llvm::ArrayRef<float> lo,
                                                  AttentionShape &shape);
  mlir::LogicalResult tileQGroupLinear(tq::QGroupLinearOp op);

  // AddCodes.cpp
  mlir::LogicalResult tileQAdd(tq::QAddOp op);

  // TileIntegerNorm.cpp
  mlir::LogicalResult tileQAddNorm(tq::QAddNormOp op);

  // TileEmbed.cpp
  mlir::LogicalResult tileQEmbed(tq::QEmbedOp op);
  /// The launch of a fixed embedding; `operands` are the indices and tables.
  mlir::LogicalResult
  launchFixedEmbed(tq::QEmbedOp op, EmbedShape shape,
                   llvm::ArrayRef<std::vector<float>> scales,
                   llvm::ArrayRef<float> gamma, llvm::ArrayRef<float> beta,
                   std::vector<std::string> operands,
                   llvm::ArrayRef<std::string> results, const LaunchInfo &info);

  // TileIntegerRows.cpp
  mlir::LogicalResult tileQPool(tq::QPoolOp op);
  mlir::LogicalResult tileQuantize(tq::QuantizeOp op);
  mlir::LogicalResult tileDequantize(tq::DequantizeOp op);
  mlir::LogicalResult tileGroupDequantize(tq::DequantizeOp op);
  mlir::LogicalResult tileRequantize(tq::RequantizeOp op);
  mlir::LogicalResult tileQShiftGelu(tq::QShiftGeluOp op);
  mlir::LogicalResult tileQLimit(tq::QLimitOp op);

  // TileTokens.cpp
  mlir::LogicalResult tileTokenQuantize(tq::QuantizeOp op);
  mlir::LogicalResult tileTokenDequantize(tq::DequantizeOp op);
  mlir::LogicalResult tileTokenPool(tq::QPoolOp op);
  /// Declares rows of d codes with a range each.
  Place defineTokens(mlir::Value result, llvm::StringRef name, int64_t d,
                     RowsOf rows);

  // TileFloat.cpp
  mlir::LogicalResult tileLinear(tq::LinearOp op);
  mlir::LogicalResult tileQkv(tq::LinearOp first, tq::ContextOp context,
                              bool &matched);
  mlir::LogicalResult tilePool(tq::PoolOp op);
  mlir::LogicalResult tileNormalize(tq::NormalizeOp op);
  mlir::LogicalResult tileFunction(mlir::Operation *op);

  // TileFloatAttention.cpp
  mlir::LogicalResult tileContext(tq::ContextOp op);
  /// Float attention that one kernel does, with the quantizers on the way.
  struct AttentionChain {
    tq::ScoresOp scores;
    tq::SoftmaxOp softmax;
    tq::QuantizeOp scoreQuantizer, probQuantizer;
  };
  static std::optional<AttentionChain> matchAttention(tq::ContextOp op);
  /// True for the quantizers that such a kernel holds.
  static bool isWithinAttention(tq::QuantizeOp op);

  // TileFloatNorm.cpp
  struct EmbeddingSum;
  struct NormLaunch;
  static std::optional<EmbeddingSum> matchEmbeddings(tq::AddOp sum);
  mlir::LogicalResult tileLayerNorm(tq::LayerNormOp op);
  mlir::LogicalResult tileEmbeddings(tq::LayerNormOp op, tq::AddOp sum,
                                     EmbeddingSum match, NormLaunch &norm);
  mlir::LogicalResult tileAddNorm(tq::LayerNormOp op, tq::AddOp sum,
                                  NormLaunch &norm);
  mlir::LogicalResult tileNorm(tq::LayerNormOp op, NormLaunch &norm);
  mlir::LogicalResult tileAdd(tq::AddOp op);

  /// The value behind observe ops.
  static mlir::Value source(mlir::Value value);
  /// The only op that reads the value, looking through observe ops; null if
  /// several do.
  static mlir::Operation *onlyReader(mlir::Value value);
  /// Site named by an observe of the value, or "".
  static std::string observedSite(mlir::Value value);
  /// True if the value is the function's result, looking through observes.
  static bool isReturned(mlir::Value value);

  // TileLookup.cpp
  mlir::LogicalResult tileLookup(tq::EmbeddingOp op);
  /// Declares a table of a float op; rows of numbers are `stride` apart.
  std::string tableData(llvm::StringRef name, const RealWeights &table,
                        int64_t d, int64_t stride);

  /// Place of a value that was tiled; an error on `reader` if it was not.
  /// Tables are looked up alone only if somebody asks for their rows.
  mlir::FailureOr<Place> placeOf(mlir::Value value, mlir::Operation *reader);
  /// Declares the place of a result: the program's output if it is returned.
  Place define(mlir::Value result, llvm::StringRef name, int64_t d,
               Storage storage, RowsOf rows);
  /// Declares the rows of numbers that a vision model sees.
  void takePatches();
  /// Symbol of a graph argument's buffer (ids, types, positions, offsets).
  mlir::FailureOr<std::string> inputOf(mlir::Value value,
                                       mlir::Operation *reader);
  /// Elements of a constant operand.
  template <typename T>
  mlir::FailureOr<ConstantView<T>>
  constant(mlir::Value value, llvm::StringRef what, mlir::Operation *reader);
  /// Weights of a float op.
  mlir::FailureOr<RealWeights>
  realWeights(mlir::Value value, llvm::StringRef what, mlir::Operation *reader);
  /// A name for what the op makes: its site, or its kind and a number.
  std::string nameOf(mlir::Operation *op, llvm::StringRef site);

  mlir::func::FuncOp function;
  ProgramBuilder &program;
  /// What the module says of the machine.
  ModuleTuning tuning;
  llvm::DenseMap<mlir::Value, Place> places;
  llvm::DenseMap<mlir::Value, std::string> inputs;
  llvm::DenseSet<mlir::Operation *> done;
  llvm::StringMap<unsigned> counts;
};

/// Columns of a value: its last dimension.
int64_t widthOf(mlir::Value value);

/// How the elements of a value are kept, and the range of its codes. Fails for
/// element types that have no kernel.
mlir::FailureOr<Storage> storageOf(mlir::Value value, mlir::Operation *reader);
CodeRange rangeOf(mlir::Value value);

/// Sites of an op's attribute, as strings.
std::vector<std::string> siteNames(mlir::ArrayAttr sites);

/// Site i of an op, or `absent` where it has no name.
std::string siteOr(const std::vector<std::string> &sites, size_t i,
                   const std::string &absent);

/// The activation of an op as its kernel names it.
GemmActivation gemmActivation(tq::Activation activation);

/// A number or a range of codes in a kernel's name.
std::string rangeName(CodeRange range);

/// Short name of a storage for kernel names.
llvm::StringRef storageName(Storage storage);

} // namespace quern

#endif // QUERN_LIB_TILE_TILER_H
