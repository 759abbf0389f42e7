//===- HostProgram.h - Programs that run in this process --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A module with a session: for calibration, and for measuring how far a
// quantized program is from the float one.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_COMPILER_HOSTPROGRAM_H
#define QUERN_COMPILER_HOSTPROGRAM_H

#include "compiler/Compiler.h"
#include "compiler/Emit/Toolchain.h"
#include "runtime/include/quern/introspect.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>

namespace quern {

class HostProgram {
public:
  /// Opens a module file.
  static Expected<HostProgram> open(const std::string &path, unsigned threads);

  /// Compiles a module of tiles for the best tier of this machine only.
  static Expected<HostProgram> compileTiles(mlir::ModuleOp tiles,
                                            const std::string &tokenizer,
                                            unsigned threads);

  /// Compiles an L0 module, which is not changed and whose scheme does not
  /// matter, to f32 code.
  static Expected<HostProgram> compileFloat(mlir::ModuleOp module,
                                            const std::string &tokenizer,
                                            unsigned threads);

  /// Gives the buffers and threads of runs back, and has them again.
  void rest() { session.reset(); }
  Error wake(unsigned threads);

  /// Keeps every site of a run.
  void capture() { quern_session_set_capture(session.get(), 1); }

  /// Runs texts, or images, as one batch; what it gives is valid until the next
  /// run.
  Expected<quern_output> run(const CalibrationText *texts, size_t count);

  /// Runs the tokens of another program's run.
  Expected<quern_output> runTokensOf(const quern_output &other);

  /// What a site held in the last run, or nothing if it is not kept.
  std::optional<quern_view> site(const std::string &name) const;

  const quern_module *getModule() const { return module.get(); }

  /// Size of the module file.
  uint64_t bytes() const { return fileBytes; }

private:
  HostProgram() = default;
  Expected<quern_output> runImages(const CalibrationText *images, size_t count);

  /// Goes away last.
  std::optional<TemporaryFolder> folder;
  std::unique_ptr<quern_module, void (*)(quern_module *)> module{
      nullptr, quern_module_close};
  std::unique_ptr<quern_session, void (*)(quern_session *)> session{
      nullptr, quern_session_destroy};
  uint64_t fileBytes = 0;
};

} // namespace quern

#endif // QUERN_COMPILER_HOSTPROGRAM_H
