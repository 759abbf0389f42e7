//===- Compiler.h - A model in, a module out --------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// All that a tool needs: compile(request).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_COMPILER_H
#define QUERN_COMPILER_COMPILER_H

#include "compiler/FloatParts.h"
#include "compiler/Validate/PassClass.h"
#include "compiler/Validate/Summary.h"
#include "lib/Support/Status.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlir {
class PassManager;
} // namespace mlir

namespace quern {

/// What compile() writes.
enum class EmitKind { Module, Object, Executable, Mlir, Llvm, Assembly };

/// A text, a pair of texts, or an image to calibrate on.
struct CalibrationText {
  std::string text;
  std::optional<std::string> pair = std::nullopt;
  /// Of a vision model: the numbers that quern_run_images takes.
  std::shared_ptr<const std::vector<float>> pixels = nullptr;
};

/// What to compile and how.
struct CompileRequest {
  std::string modelFolder;
  std::string output;
  /// Preset name or path of a recipe file.
  std::string recipe = "default";
  /// A dictionary of the published code that changes the recipe, or "".
  std::string quantDict;
  /// `SITE=SCHEME` overrides, in order.
  std::vector<std::string> overrides;
  /// Calibration texts; empty means the built-in ones. A vision model takes
  /// images, of which there are none built in.
  std::vector<CalibrationText> calibration;
  /// Where the texts came from, for the report.
  std::string calibrationName = "built-in text";
  /// A ranges.json to use instead of calibrating, and one to write.
  std::string rangesIn, rangesOut;
  /// File that keeps the codes of layers rounded by AdaRound, or "".
  std::string roundingCache;
  /// Instruction tiers, none meaning those of the target `x86`, and "nvptx" for
  /// GPUs beside them.
  std::vector<std::string> targets;
  /// Tuning table, or "" for the one that comes with the program, and the
  /// machine of it to compile for; "" for the one that this machine is like.
  std::string tuning, tunedFor;
  EmitKind emit = EmitKind::Module;
  /// Folder for the dumps of all levels and for PTX, or "".
  std::string saveTemps;
  /// File for the report (.json, .html, otherwise text), or "".
  std::string report;
  /// Files that the caller writes itself, before the compilation or after it;
  /// they are checked with the outputs.
  std::vector<std::string> alsoWritten;
  /// Hold every pass against what it promises, on the first calibration texts
  /// and on adversarial codes.
  bool validate = false;
  /// Compute all rows of the last layer, also those that the head does not
  /// read, so that its sites can be looked at whole.
  bool allRows = false;
  /// Adds passes behind those of a stage ("quantize", "rewrite", "tile"), and
  /// what these promise.
  std::function<void(const std::string &stage, mlir::PassManager &)> extend;
  std::vector<PassPromise> promises;
  /// Threads of the calibration run; 0 is one per CPU.
  unsigned threads = 0;
  /// Told what is being done and how far it is (0 to 1).
  std::function<void(const std::string &stage, double fraction)> progress;
  /// Told what was decided and why, line by line.
  std::function<void(const std::string &line)> note;
};

/// What came of it.
struct CompileResult {
  std::string recipe;
  uint64_t bytes = 0;
  unsigned kernels = 0, launches = 0, quantizedSites = 0, floatSites = 0;
  /// What the recipe leaves in f32.
  FloatParts floatParts;
  /// What the validation did, where one was asked for.
  std::optional<ValidationSummary> validation;
  /// What was chosen by cost and error, a line each.
  std::vector<std::string> decisions;
  /// What in the model's folder may be damaged.
  std::vector<std::string> warnings;
  /// Seconds by stage, in order.
  std::vector<std::pair<std::string, double>> seconds;
};

/// Tries every output of a request, so that a path that cannot be written is
/// found before minutes of work and not after.
Error checkOutputs(const CompileRequest &request);

/// Compiles. On failure no output file is left behind; the message names the
/// file, tensor or op, what was found and what was expected.
Expected<CompileResult> compile(const CompileRequest &request);

} // namespace quern

#endif // QUERN_COMPILER_COMPILER_H
