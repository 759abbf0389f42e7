//===- Manifest.h - What a module says about itself -------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Turns the kernel program of a tiled module (L3, arena planned) into the
// FlatBuffer of runtime/src/manifest.fbs and the layout of the weights section.
//
// Read from the IR, beside the operands that the tk ops define:
//   module         tq.model, tq.scheme, tk.arena, tk.scratch_bytes
//   tk.buffer      columns, role ("ids", "types", "positions", "offsets",
//                  "patches"), tap (unit), arena = [per token, per sequence,
//                  constant]
//   tk.data        bits, parameters, scheme, and those of ConstantTable.h
//   tk.launch      step, op, layer, gemm = [n, k], macs = [per token, per pair,
//                  per sequence], sites = [{name, key, layer, buffer, column,
//                  columns}]
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_EMIT_MANIFEST_H
#define QUERN_COMPILER_EMIT_MANIFEST_H

#include "compiler/Emit/ModuleFile.h"
#include "lib/Target/NVPTX/DeviceProgram.h"

#include "mlir/IR/BuiltinOps.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// The code of a kernel on a tier.
struct KernelCodeInfo {
  std::string family; ///< "vpdpbusd zmm", "x86-64".
  std::string tile;   ///< "4 rows x 16 columns", or empty: the kernel's.
};

/// The instruction tier that a module carries code for.
struct TierInfo {
  uint32_t id = 0;    ///< quern_tier_id
  std::string name;   ///< Suffix of the kernel symbols.
  std::string family; ///< "vpdpbusd zmm", "x86-64".
  std::string reason; ///< Why this tier's kernels are not better ones.
  /// By name, kernels whose code is another's than the tier's or the kernel's.
  std::map<std::string, KernelCodeInfo> kernels = {};
};

/// What the manifest holds that is not in the IR.
struct ManifestRequest {
  std::string modelName;
  std::string target;
  std::string recipeName;
  std::string recipeJson;
  /// The attribute tq.scheme in bytecode: what the levels can be rebuilt from.
  std::string scheme;
  std::vector<TierInfo> tiers;
  /// Versions, options, calibration: for people.
  std::vector<std::pair<std::string, std::string>> provenance;
  /// The program on GPUs from sm_80 on, if the module is for them, too.
  std::optional<nvptx::DeviceProgram> device;
};

/// The manifest and what it describes.
struct ManifestResult {
  std::string bytes;
  std::vector<std::string> kernels; ///< Names in index order.
  /// Point into the module's attributes or into `owned`.
  std::vector<DataPiece> data;
  std::shared_ptr<const std::deque<std::string>> owned;
  uint64_t weightBytes = 0;
};

/// Builds the manifest. The module must stay alive while `data` is used.
/// Fails, with a message on the op, where the IR lacks what the manifest needs.
mlir::FailureOr<ManifestResult> buildManifest(mlir::ModuleOp module,
                                              const ManifestRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_EMIT_MANIFEST_H
