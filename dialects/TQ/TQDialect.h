//===- TQDialect.h - The tq dialect -----------------------------*- C++ -*-===//
//
// Part of Quern. The dialect class, its enumerations and the small structs
// its types are made of. Ops are in TQOps.h, types in TQTypes.h.
//
//===----------------------------------------------------------------------===//

#ifndef QUERN_DIALECTS_TQ_TQDIALECT_H
#define QUERN_DIALECTS_TQ_TQDIALECT_H

#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/bit.h"

#include "dialects/TQ/TQDialect.h.inc"
#include "dialects/TQ/TQEnums.h.inc"

namespace quern::tq {

/// Scale and zero point (or reserved code) of one group or tensor. Equal if
/// the bits of the scale are.
struct UniformParams {
  double scale = 1.0;
  int64_t zero = 0;
};

/// The codes that one group may have, both ends included.
struct CodeLimits {
  int64_t lo = 0, hi = 0;
};
inline bool operator==(const CodeLimits &a, const CodeLimits &b) {
  return a.lo == b.lo && a.hi == b.hi;
}
inline llvm::hash_code hash_value(const CodeLimits &limits) {
  return llvm::hash_combine(limits.lo, limits.hi);
}

/// Scale and real offset.
struct RealParams {
  double scale = 1.0;
  double offset = 0.0;
};

inline bool operator==(const UniformParams &a, const UniformParams &b) {
  return llvm::bit_cast<uint64_t>(a.scale) ==
             llvm::bit_cast<uint64_t>(b.scale) &&
         a.zero == b.zero;
}
inline bool operator==(const RealParams &a, const RealParams &b) {
  return llvm::bit_cast<uint64_t>(a.scale) ==
             llvm::bit_cast<uint64_t>(b.scale) &&
         llvm::bit_cast<uint64_t>(a.offset) ==
             llvm::bit_cast<uint64_t>(b.offset);
}
inline llvm::hash_code hash_value(const UniformParams &p) {
  return llvm::hash_combine(llvm::bit_cast<uint64_t>(p.scale), p.zero);
}
inline llvm::hash_code hash_value(const RealParams &p) {
  return llvm::hash_combine(llvm::bit_cast<uint64_t>(p.scale),
                            llvm::bit_cast<uint64_t>(p.offset));
}

} // namespace quern::tq

#define GET_ATTRDEF_CLASSES
#include "dialects/TQ/TQAttrs.h.inc"

#endif // QUERN_DIALECTS_TQ_TQDIALECT_H
