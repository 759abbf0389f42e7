//===- FixedTerms.h - Terms of a residual sum, without floats ---*- C++ -*-===//
//
// A term is qi_at of a code: a product of 31 bits with an offset, rounded to
// the nearest integer, ties to even. What a code can be is known, so the
// compiler tries all of them: most columns have no tie, and those of byte codes
// have a product of 32 bits which gives the same 256 integers.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_FIXEDTERMS_H
#define QUERN_LIB_TILE_FIXEDTERMS_H

#include "lib/Tile/AddNorm.h"
#include "lib/Tile/FixedPoint.h"

#include <optional>
#include <vector>

namespace quern {

/// Whether n * factor + offset lies in the middle between two multiples of
/// 2^shift for some n in [lo, hi]; shift is 1 to 61, hi - lo below 2^62.
bool mayTie(int64_t factor, int64_t offset, int shift, int64_t lo, int64_t hi);

/// qi_at of codes up to 255 as (q * mantissa + offset) >> shift in 32 bits, one
/// shift for all columns.
struct ByteTerms {
  int shift = 0;
  std::vector<int32_t> mantissas, offsets;
};

/// Such constants, if every column has some; each is tried on all 256 codes.
std::optional<ByteTerms> makeByteTerms(llvm::ArrayRef<qi_affine> columns);

/// The constants of a term as a kernel reads them, and how it computes it.
struct TermConstants {
  FixedTerm form = FixedTerm::Any;
  /// packFixed of the columns; behind it, of FixedTerm::Bytes, the shift 16
  /// times (i32) and 16 mantissas and 16 offsets (i32) at a time.
  std::vector<int8_t> bytes;
};

/// `most` is the largest code that the term is taken of; `narrow` is that of
/// the kernel.
TermConstants packTerm(llvm::ArrayRef<qi_affine> columns, int64_t most,
                       bool narrow);

/// The term of one operand in a kernel over rows of d columns.
class TermLanes {
public:
  using Value = mlir::Value;

  TermLanes(KernelBuilder &k, FixedTerm form, bool narrow, int64_t d,
            Value constants);

  /// Loads the constants of columns [column, column + 16).
  void load(Value column);
  /// The terms of 16 codes: of FixedTerm::Bytes as i32, else in 64 bits.
  bool isByte() const { return form == FixedTerm::Bytes; }
  Value bytesAt(Value codes) const;
  WideLanes wideAt(Value codes) const;

private:
  KernelBuilder &k;
  FixedTerm form;
  bool narrow;
  int64_t smallAt;
  Value constants, shift, mantissa, offset;
  FixedLanes lanes;
};

/// The sum of two terms of 16 codes each, within the range: i32.
mlir::Value sumOfTerms(KernelBuilder &k, const TermLanes &a, mlir::Value aCodes,
                       const TermLanes &b, mlir::Value bCodes, bool narrow,
                       CodeRange range);

} // namespace quern

#endif // QUERN_LIB_TILE_FIXEDTERMS_H
