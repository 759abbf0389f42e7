//===- GemmCase.h - Operands and reference of one GEMM kernel -------------===//
//
// Random operands with extreme rows and columns, buffers as the run time
// allocates them, and the outputs by quant_math.h. Used by benchmark and test.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_GEMMCASE_H
#define QUERN_COMPILER_BENCH_GEMMCASE_H

#include "lib/Tile/Gemm.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace quern {

/// A linear layer of k to n channels with codes in and out, weights of `bits`.
GemmShape linearShape(int64_t k, int64_t n, GemmActivation activation,
                      int64_t bits);

/// Bytes on a 64-byte boundary.
class AlignedBytes {
public:
  explicit AlignedBytes(size_t size, unsigned char fill = 0);
  template <typename T> T *as() { return reinterpret_cast<T *>(bytes.get()); }
  size_t size() const { return count; }

private:
  struct Free {
    void operator()(unsigned char *p) const { std::free(p); }
  };
  std::unique_ptr<unsigned char, Free> bytes;
  size_t count;
};

/// The activation by quant_math.h.
float referenceActivation(GemmActivation activation, float v);

/// Writes an output as bytes: `value` for f32, else `code`.
void putReference(unsigned char *at, Storage storage, float value,
                  int32_t code);

/// Operands of one kernel of a product, and what it must make of them.
class ProductCase {
public:
  virtual ~ProductCase() = default;

  /// Buffer operands in the kernel's order: rows, weights, ..., outputs.
  virtual std::vector<void *> operands() = 0;

  /// Outputs (of the first rows and columns) that differ from the reference.
  virtual int64_t countWrong() = 0;
};

/// One kernel with its operands.
class GemmCase : public ProductCase {
public:
  /// `real` chooses the f32 kernel.
  GemmCase(const GemmShape &shape, int64_t rows, bool real = false);

  /// Name under which build() makes the kernel.
  const std::string &name() const { return kernel; }
  void build(mlir::ModuleOp module) const;

  std::vector<void *> operands() override;
  /// Chunks that cover all rows.
  int64_t chunks() const;

  /// If the shape is exact, bytes changed beyond the outputs count, too.
  int64_t countWrong() override;

private:
  void makeReference();

  GemmShape shape;
  int64_t rows;
  bool real;
  std::string kernel;
  AlignedBytes x, w, correction, zeros, multiplier, offset, post, y;
  std::vector<int8_t> weights;
  std::vector<float> floatWeights;
  std::vector<unsigned char> expected;
};

} // namespace quern

#endif // QUERN_COMPILER_BENCH_GEMMCASE_H
