//===- WideGemmCase.h - Operands and reference of a 16-bit GEMM -----------===//
//
// As GemmCase, for the kernel over 16-bit codes and the one before it, which
// splits the codes into planes. The reference sums in 64 bits. Used by
// benchmark and test.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_WIDEGEMMCASE_H
#define QUERN_COMPILER_BENCH_WIDEGEMMCASE_H

#include "compiler/Bench/GemmCase.h"
#include "lib/Tile/GemmWide.h"

namespace quern {

/// Codes and weights of one product.
struct WideData {
  int64_t zero = 0;
  std::vector<uint16_t> x;
  std::vector<int8_t> w;
};

/// Codes and weights of any size around a zero point of 40000.
WideData randomWideData(int64_t rows, const GemmShape &shape);

/// Two kernels with their operands.
class WideGemmCase : public ProductCase {
public:
  WideGemmCase(const GemmShape &shape, int64_t rows, const WideData &data,
               float multiplier = 1);

  /// Names under which build() makes the kernels.
  std::string planesName() const;
  std::string name() const { return getWideGemmName(shape); }
  void build(mlir::ModuleOp module) const;

  /// Buffer operands of the first kernel, and of the second.
  std::vector<void *> planesOperands();
  std::vector<void *> operands() override;
  /// Does what the first kernel does.
  void fillPlanes();
  /// Chunks of each kernel that cover all rows.
  int64_t planesChunks() const {
    return (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  }
  int64_t chunks() const;

  int64_t countWrong() override;

private:
  void makeReference(const WideData &data);

  GemmShape shape;
  int64_t rows, columns;
  AlignedBytes x, planes, w, correction, multiplier, offset, post, y;
  std::vector<unsigned char> expected;
};

} // namespace quern

#endif // QUERN_COMPILER_BENCH_WIDEGEMMCASE_H
