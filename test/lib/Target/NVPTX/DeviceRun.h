//===- DeviceRun.h - GPU kernels in a test ----------------------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// Builds kernels into a module, makes PTX of it, and reads that back for the
// emulator.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H
#define QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H

#include "lib/Target/NVPTX/CodeNorm.h"
#include "lib/Target/NVPTX/Ptx.h"
#include "test/support/ptx/Machine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"

#include "gtest/gtest.h"

#include <optional>

namespace quern::nvptx::test {

/// The PTX of what `build` appends to an empty module; empty, with a failure of
/// the test, if there is none.
inline std::string makePtx(llvm::function_ref<void(mlir::ModuleOp)> build,
                           PtxVariant variant = PtxVariant::Sm80) {
  mlir::MLIRContext context;
  context.disableMultithreading();
  context.loadDialect<mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect,
                      mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect,
                      mlir::scf::SCFDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  build(*module);
  if (failed(mlir::verify(*module))) {
    ADD_FAILURE() << "the kernel does not verify";
    return "";
  }
  auto text = emitPtx(*module, variant);
  if (!text) {
    ADD_FAILURE() << text.message();
    return "";
  }
  return *text;
}

/// The bits of an argument.
inline uint64_t argument(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// A launch with its arguments, wherever it is done.
struct DeviceCall {
  std::string kernel;
  int64_t gridX = 1, gridY = 1, threads = 32, sharedBytes = 0;

  struct Argument {
    const char *name = nullptr;
    /// Memory of the host, which an output is written back to; null for
    /// numbers.
    void *data = nullptr;
    size_t bytes = 4;
    bool isOutput = false;
    uint64_t value = 0;
    /// What is passed is a tensor map of the memory.
    std::optional<ptx::TensorMap> map = std::nullopt;
  };
  std::vector<Argument> arguments;

  /// The grid and the block of a kernel that computes them, as GemmLaunch.
  template <typename Launch> void launchAs(const Launch &launch) {
    gridX = launch.gridX;
    gridY = launch.gridY;
    threads = launch.threads;
    sharedBytes = launch.sharedBytes;
  }
  /// Those of a kernel with a warp for each of `rows` rows.
  void launchRows(int64_t rows) {
    gridX = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
    threads = kRowsPerBlock * 32;
  }

  template <typename T> void input(const char *name, std::vector<T> &data) {
    arguments.push_back({name, data.data(), data.size() * sizeof(T), false, 0});
  }
  template <typename T> void output(const char *name, std::vector<T> &data) {
    arguments.push_back({name, data.data(), data.size() * sizeof(T), true, 0});
  }
  /// The tensor map of an input with rows of bytes, in tiles of `boxRows` rows
  /// and 128 columns.
  template <typename T>
  void map(const char *name, std::vector<T> &data, int64_t rows,
           int64_t columns, int64_t stride, int64_t boxRows) {
    input(name, data);
    ptx::TensorMap map;
    map.rank = 2;
    map.extents[0] = uint64_t(columns);
    map.extents[1] = uint64_t(rows);
    map.strides[0] = uint64_t(stride);
    map.box[0] = 128;
    map.box[1] = uint32_t(boxRows);
    map.swizzle = 3;
    arguments.back().map = map;
  }
  void integers(std::initializer_list<int64_t> values) {
    for (int64_t value : values)
      arguments.push_back({nullptr, nullptr, 4, false, uint64_t(value)});
  }
  void reals(std::initializer_list<float> values) {
    for (float value : values)
      arguments.push_back({nullptr, nullptr, 4, false, argument(value)});
  }
};

/// What runs kernels.
class Runner {
public:
  virtual ~Runner() = default;
  /// Takes the kernels that `build` appends to a module.
  virtual void load(llvm::function_ref<void(mlir::ModuleOp)> build) = 0;
  /// Runs one of them; empty, or what went wrong.
  virtual std::string run(const DeviceCall &call) = 0;
};

/// Runs PTX on the CPU.
class Emulator : public Runner {
public:
  explicit Emulator(PtxVariant variant = PtxVariant::Sm80) : variant(variant) {}

  void load(llvm::function_ref<void(mlir::ModuleOp)> build) override {
    loadText(makePtx(build, variant));
  }
  void loadText(const std::string &text) {
    auto parsed = ptx::parseProgram(text);
    if (parsed)
      program = std::move(*parsed);
    else
      ADD_FAILURE() << parsed.message();
  }

  /// As if the kernel before were still running.
  bool early = false;

  std::string run(const DeviceCall &call) override {
    ptx::Machine machine;
    std::vector<uint64_t> arguments;
    for (const DeviceCall::Argument &a : call.arguments) {
      arguments.push_back(
          a.data ? machine.memory.add(a.name, a.data, a.bytes, a.isOutput)
                 : a.value);
      if (!a.map)
        continue;
      ptx::TensorMap map = *a.map;
      map.address = arguments.back();
      std::string problem = map.check();
      if (!problem.empty())
        return problem;
      arguments.back() = machine.addMap(map);
    }
    Error error = machine.run(program, call.kernel,
                              {call.gridX, call.gridY, call.sharedBytes, early},
                              arguments);
    return error ? error.message() : "";
  }

private:
  PtxVariant variant;
  ptx::Program program;
};

} // namespace quern::nvptx::test

#endif // QUERN_TEST_LIB_TARGET_NVPTX_DEVICERUN_H
