//===- Overhead.h - What groups, 16 bits and few bits cost a product ------===//
//
// Row E48 of quantization.md: FFN1 of BERT-base (768 to 3072, GELU, u8 codes)
// in the forms that recipes give it, each timed in turns with the plain u8 x s8
// product, beside what counting operations predicts (quantization.md 9.2, 9.4
// and 9.5). Every output is checked bit for bit against a plain reference.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_BENCH_OVERHEAD_H
#define QUERN_COMPILER_BENCH_OVERHEAD_H

#include "compiler/Emit/KernelJit.h"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace quern {

/// What to time.
struct OverheadOptions {
  Tier tier = bestHostTier();
  int64_t tokens = 128;
  /// Timings of each pair of kernels; the median of their ratios counts.
  unsigned repeats = 30;
};

/// One form of the product.
struct OverheadRow {
  std::string form, kernel;
  /// What it adds to the plain product: by operations, and in time.
  double predicted = 0, measured = 0;
  double milliseconds = 0;
  /// Outputs that differ from the reference.
  int64_t wrong = 0;
};

/// A scaled sum for each group and output, over the multiply-adds of the
/// plain product: groups / k.
double predictedGroupOverhead(int64_t groups, int64_t k);

/// Runs all forms on the calling thread; the plain product is the first row.
/// Fails only where kernels cannot be made; wrong outputs are counted.
Expected<std::vector<OverheadRow>> runOverhead(const OverheadOptions &options);

/// As a table in Markdown, and as JSON.
void printOverhead(const OverheadOptions &options,
                   const std::vector<OverheadRow> &rows, std::ostream &out);
std::string overheadJson(const OverheadOptions &options,
                         const std::vector<OverheadRow> &rows);

} // namespace quern

#endif // QUERN_COMPILER_BENCH_OVERHEAD_H
