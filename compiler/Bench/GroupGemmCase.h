//===- GroupGemmCase.h - Operands and reference of a grouped GEMM ---------===//
//
// As GemmCase, for the kernel whose input has groups of columns: every third
// group is as wide as an outlier. Used by benchmark and test.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_GROUPGEMMCASE_H
#define QUERN_COMPILER_BENCH_GROUPGEMMCASE_H

#include "compiler/Bench/GemmCase.h"
#include "lib/Tile/GemmGroup.h"

namespace quern {

/// Ends of `groups` groups of neighbouring columns, of nearly equal size.
std::vector<int64_t> equalGroupEnds(int64_t k, int64_t groups);

/// One kernel with its operands.
class GroupGemmCase : public ProductCase {
public:
  GroupGemmCase(const GroupGemmShape &shape, int64_t rows);

  /// Name under which build() makes the kernel.
  std::string name() const { return getGroupGemmName(shape); }
  void build(mlir::ModuleOp module) const;

  std::vector<void *> operands() override;
  /// Chunks that cover all rows.
  int64_t chunks() const;

  int64_t countWrong() override;

private:
  void fill();
  void makeReference();

  GroupGemmShape shape;
  int64_t rows, columns;
  AlignedBytes x, w, steps, correction, multiplier, offset, post, y;
  std::vector<int8_t> weights;
  std::vector<unsigned char> expected;
};

} // namespace quern

#endif // QUERN_COMPILER_BENCH_GROUPGEMMCASE_H
