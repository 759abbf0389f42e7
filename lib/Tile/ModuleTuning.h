//===- ModuleTuning.h - The attribute tk.tuning -----------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// {machine = "sapphire-rapids-class",
//  gemm = [{k = 768 : i64, n = 768 : i64, bits = 8 : i64, rows = 4 : i64,
//           why = "1.05 times the default"}]}
//
// Numbers that are absent are those of GemmTuning; `input` is "codes" where it
// is.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TILE_MODULETUNING_H
#define QUERN_LIB_TILE_MODULETUNING_H

#include "lib/Tile/GemmTuning.h"

#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace quern {

struct GemmShape;

/// A choice for products of one shape.
struct TunedGemm {
  int64_t k = 0, n = 0, bits = 8;
  GemmTuning tuning;
  /// What it won.
  std::string why;
  TunedInput input = TunedInput::Codes;

  bool hasShapeOf(const TunedGemm &other) const {
    return k == other.k && n == other.n && bits == other.bits &&
           input == other.input;
  }
};

/// The choices of a module.
struct ModuleTuning {
  std::string machine;
  std::vector<TunedGemm> gemm;

  /// The choice for a product: that of its shape, or of the nearest one that is
  /// within twice its width either way; null if there is none. Weights of other
  /// bits and other inputs do not count.
  const TunedGemm *choose(int64_t k, int64_t n, int64_t bits,
                          TunedInput input = TunedInput::Codes) const;

  /// Gives `shape`, of a kernel of this input, its choice, and says in words
  /// what it was and why; "" if there is none.
  std::string apply(GemmShape &shape,
                    TunedInput input = TunedInput::Codes) const;

  /// Writes the attribute; without choices there is none.
  void write(mlir::ModuleOp module) const;

  /// Reads it. What is wrong with it is an error on the module.
  static mlir::FailureOr<ModuleTuning> read(mlir::ModuleOp module);
};

} // namespace quern

#endif // QUERN_LIB_TILE_MODULETUNING_H
