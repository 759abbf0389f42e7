//===- GemmGroup.h - Kernel of linear layers of grouped codes -------------===//
//
// The u8 x s8 product whose input has groups of neighbouring columns, each of
// its own scale: per group an exact i32 accumulator, scaled into an f32 one.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_GEMMGROUP_H
#define QUERN_LIB_TILE_GEMMGROUP_H

#include "dialects/TQ/TQOps.h"
#include "lib/Tile/Gemm.h"

#include <vector>

namespace quern {

/// A linear layer and where the groups of its input end: the last end is k.
/// Groups may have any size.
struct GroupGemmShape {
  GemmShape gemm;
  std::vector<int64_t> ends;

  int64_t groups() const { return int64_t(ends.size()); }
};

/// Where the groups of a product end; none if their channels are not
/// neighbours.
std::vector<int64_t> groupEnds(tq::QGroupLinearOp op);

/// A part of the inner loop: steps of four columns of x, in whole turns. A step
/// that holds columns of several groups is done for each, every time with zeros
/// as the weights of the others.
struct GroupSteps {
  /// First column of x and number of steps, both multiples of 4.
  int32_t column, count;
};
std::vector<GroupSteps> getGroupSteps(const GroupGemmShape &shape);
/// The steps of all groups.
int64_t getTotalGroupSteps(const GroupGemmShape &shape);

/// Names differ wherever kernels do; the ends of the groups are data.
std::string getGroupGemmName(const GroupGemmShape &shape);
int64_t getGroupGemmScratchBytes(const GroupGemmShape &shape);

/// Buffers, in order:
///   x          i8   [rows][xStride], u8 codes
///   w          i8   packed as by packGroupGemmWeights
///   steps      i32  [groups][2], getGroupSteps
///   correction i32  [groups][n up to 16]
///   multiplier f32  [groups][n up to 16]
///   offset, post, y as in buildGemm
/// v = f32(acc_0) * multiplier_0, then v = v + f32(acc_g) * multiplier_g in
/// ascending g, then v + offset; from there on as buildGemm.
mlir::func::FuncOp buildGroupGemm(mlir::ModuleOp module, llvm::StringRef name,
                                  const GroupGemmShape &shape);

/// Bytes of [ceil(n / 16)][steps of all groups][16 n][4 k], in weightBits as
/// those of packedGemmBytes.
int64_t packedGroupGemmBytes(const GroupGemmShape &shape);
void packGroupGemmWeights(const int8_t *w, const GroupGemmShape &shape,
                          int8_t *packed);

} // namespace quern

#endif // QUERN_LIB_TILE_GEMMGROUP_H
