//===- TunedKernel.cpp - A kernel of a product that is tuned --------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Tune/TunedKernel.h"

#include "compiler/Bench/GroupGemmCase.h"
#include "compiler/Bench/WideGemmCase.h"

#include <algorithm>

namespace quern {

/// Groups of a tuned product: those of the preset peg6. What wins hardly
/// depends on their number.
static constexpr int64_t kGroups = 6;

static GroupGemmShape groupsOf(const GemmShape &gemm) {
  return {gemm, equalGroupEnds(gemm.k, std::min(kGroups, gemm.k))};
}

std::string TunedKernel::name() const {
  switch (input) {
  case TunedInput::Groups:
    return getGroupGemmName(groupsOf(gemm));
  case TunedInput::Planes:
    return getWideGemmName(gemm);
  case TunedInput::Codes:
    break;
  }
  return getGemmName(gemm);
}

void TunedKernel::build(mlir::ModuleOp module, const std::string &as) const {
  switch (input) {
  case TunedInput::Codes:
    buildGemm(module, as, gemm);
    return;
  case TunedInput::Groups:
    buildGroupGemm(module, as, groupsOf(gemm));
    return;
  case TunedInput::Planes:
    buildWideGemm(module, as, gemm);
    return;
  }
}

int64_t TunedKernel::scratchBytes() const {
  switch (input) {
  case TunedInput::Groups:
    return getGroupGemmScratchBytes(groupsOf(gemm));
  case TunedInput::Planes:
    return getWideGemmScratchBytes(gemm);
  case TunedInput::Codes:
    break;
  }
  return getGemmScratchBytes(gemm);
}

int64_t TunedKernel::weightBytes() const {
  return input == TunedInput::Groups
             ? packedGroupGemmBytes(groupsOf(gemm))
             : packedGemmBytes(gemm.n, gemm.k, gemm.weightBits);
}

std::unique_ptr<ProductCase> TunedKernel::makeCase(int64_t rows) const {
  switch (input) {
  case TunedInput::Groups:
    return std::make_unique<GroupGemmCase>(groupsOf(gemm), rows);
  case TunedInput::Planes: {
    auto wide = std::make_unique<WideGemmCase>(
        gemm, rows, randomWideData(rows, gemm), 1e-7f);
    wide->fillPlanes();
    return wide;
  }
  case TunedInput::Codes:
    break;
  }
  return std::make_unique<GemmCase>(gemm, rows);
}

} // namespace quern
