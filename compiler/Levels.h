//===- Levels.h - The levels of a model, one from the other -----*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What `compile` does between import and emit, for whoever needs a level and
// not a file: from L0 down, or again from what a finished module says.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_LEVELS_H
#define QUERN_COMPILER_LEVELS_H

#include "lib/Support/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <memory>
#include <string>

namespace mlir {
class PassManager;
} // namespace mlir

namespace quern {

class Validator;

/// A context that knows every dialect, and the first error reported in it.
class LevelContext {
public:
  /// `note` is told of warnings and remarks.
  explicit LevelContext(std::function<void(const std::string &)> note = {});
  LevelContext(const LevelContext &) = delete;
  LevelContext &operator=(const LevelContext &) = delete;

  mlir::MLIRContext &operator*() { return *context; }

  /// The first error, or "".
  const std::string &firstError() const { return error; }

  /// `where: what: the first error`.
  Error failed(const std::string &where, const std::string &what) const;

private:
  std::unique_ptr<mlir::MLIRContext> context;
  std::string error;
  mlir::ScopedDiagnosticHandler handler;
};

/// The levels below L0, each made from the one before.
enum class Level { Simulation, Integer, Tiles };

/// Name of the stage that makes a level: "quantize", "rewrite", "tile".
const char *stageName(Level level);

/// Turns a module of the level before into `level`. False if that fails; why
/// is in the context. Each pass is held against its promise by `validator`, if
/// one is given; `extend` may add passes behind those of the level.
bool lowerTo(Level level, mlir::ModuleOp module, Validator *validator = nullptr,
             const std::function<void(mlir::PassManager &)> &extend = {});

/// The levels of a module that was compiled before.
struct RebuiltLevels {
  mlir::OwningOpRef<mlir::ModuleOp> simulation; ///< L1
  mlir::OwningOpRef<mlir::ModuleOp> integer;    ///< L2
};

/// The attribute `tq.scheme` of a module as bytecode, where its vectors take
/// half of what they do in text; nothing for none.
std::string writeScheme(mlir::ModuleOp module);

/// The attribute again; null if the bytes are none.
mlir::Attribute readScheme(mlir::MLIRContext &context, llvm::StringRef bytes);

/// Puts learned codes into L1, in place of the nearest ones it was made with;
/// L2 is made from the same.
using TakeCodes =
    std::function<Error(mlir::ModuleOp simulation, mlir::ModuleOp integer)>;

/// Imports the model folder again and quantizes it by a written scheme
/// instead of a recipe and ranges. `takeCodes` is called where rounding was
/// learned, which the scheme alone does not give again.
Expected<RebuiltLevels> rebuildLevels(LevelContext &context,
                                      const std::string &modelFolder,
                                      const std::string &scheme,
                                      const TakeCodes &takeCodes);

} // namespace quern

#endif // QUERN_COMPILER_LEVELS_H
