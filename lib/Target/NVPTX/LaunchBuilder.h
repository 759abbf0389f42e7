//===- LaunchBuilder.h - One launch on a GPU, in writing --------*- C++ -*-===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// What the launches of all kinds of kernels are made of: the numbers that the
// CPU's kernel was built with, kernels by name, parameters one by one.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_TARGET_NVPTX_LAUNCHBUILDER_H
#define QUERN_LIB_TARGET_NVPTX_LAUNCHBUILDER_H

#include "dialects/TK/TKDialect.h"
#include "lib/Target/NVPTX/Codes.h"
#include "lib/Target/NVPTX/DeviceProgram.h"
#include "lib/Target/NVPTX/SecondForm.h"

#include "llvm/ADT/StringMap.h"

#include <initializer_list>

namespace quern::nvptx {

/// The attribute `form` of a CPU kernel (lib/Tile/KernelForms.h); remembers
/// what it lacks.
class KernelForm {
public:
  explicit KernelForm(mlir::DictionaryAttr entries) : entries(entries) {}

  std::string text(llvm::StringRef name);
  int64_t number(llvm::StringRef name);
  float real(llvm::StringRef name) { return float(number(name)); }
  Storage storage(llvm::StringRef name);
  /// Empty where everything was there.
  std::string problem;

private:
  std::string missing(llvm::StringRef name);
  mlir::DictionaryAttr entries;
};

class LaunchBuilder {
public:
  /// With `hopper`, launches may have kernels of warpgroups, too.
  LaunchBuilder(mlir::ModuleOp tiles, mlir::ModuleOp portable,
                mlir::ModuleOp hopper)
      : tiles(tiles), portable(portable), hopper(hopper) {}

  /// Begins the launch that stands for one of the CPU's.
  void begin(tk::LaunchOp launch) {
    op = launch;
    now = DeviceLaunch();
    second = tk::LaunchOp();
  }
  /// The same of one that the launch before stands for, too; false if it does
  /// not.
  bool join(tk::LaunchOp launch);
  void end() { program.launches.push_back(std::move(now)); }

  /// Appends a kernel to a module of one variant.
  using Build = llvm::function_ref<void(mlir::ModuleOp)>;
  /// The kernel of this name, made by `build` in each of these modules where it
  /// is not yet.
  uint32_t kernelIndex(const std::string &name, int64_t threads,
                       int64_t sharedBytes, int64_t sharedPerKey,
                       llvm::ArrayRef<mlir::ModuleOp> modules, Build build);
  /// The launch has a kernel that both variants have.
  void kernel(const std::string &name, int64_t threads, int64_t sharedBytes,
              int64_t sharedPerKey, Build build) {
    now.kernel = kernelIndex(name, threads, sharedBytes, sharedPerKey,
                             {portable, hopper}, build);
  }
  /// The same of kernels with a warp for each row.
  void rowKernel(const std::string &name, Build build);

  size_t operandCount() { return op.getBuffers().size(); }
  llvm::StringRef symbolOf(size_t operand);
  /// What the program has under that name.
  mlir::Operation *target(size_t operand) {
    return tiles.lookupSymbol(symbolOf(operand));
  }

  /// What the next launch makes of this operand, if that is something which one
  /// kernel can store beside it: then this launch stands for both.
  SecondForm takeSecond(size_t operand);
  /// The parameters of SecondRows, if there is something.
  void secondParams();

  // Parameters of the launch, one after the other.
  void pointer(size_t operand);
  void pointers(size_t first, size_t end) {
    for (size_t i = first; i != end; ++i)
      pointer(i);
  }
  /// Weights by rows; see DeviceWeights.
  void weights(size_t operand, int64_t n, int64_t k, int64_t bits,
               std::vector<int32_t> blocks = {});
  void table(std::vector<int32_t> values);
  void param(DeviceParam::Kind kind, uint32_t value = 0) {
    now.params.push_back({kind, "", value});
  }
  void integers(std::initializer_list<int64_t> values) {
    for (int64_t value : values)
      param(DeviceParam::Number, uint32_t(value));
  }
  void reals(std::initializer_list<float> values);
  /// Numbers of the form, as f32 or, if fixed, as i32.
  void numbers(KernelForm &form, std::initializer_list<const char *> names,
               bool fixed);
  /// The number of rows; `perBlock` of them go to a block of grid dimension
  /// `grid`.
  void rows(KernelForm &form, DeviceCount &grid, int64_t perBlock);
  /// Of the model, in tokens; 0 if it does not say.
  int64_t longestSequence();
  /// An error where sequences of the model may be longer than this.
  Error checkLength(int64_t longest);

  mlir::ModuleOp tiles, portable, hopper;
  /// All that was made so far, and the launch that is being made.
  DeviceProgram program;
  DeviceLaunch now;

private:
  void pointerTo(llvm::StringRef symbol);
  tk::LaunchOp op;
  /// The next one, if this one stands for it.
  tk::LaunchOp second;
  llvm::StringMap<uint32_t> kernels, weightIndex;
};

/// Makes a launch of one kind of form.
using LaunchKind = Error (*)(LaunchBuilder &, KernelForm &);
Error launchLinear(LaunchBuilder &l, KernelForm &form);
Error launchGroupLinear(LaunchBuilder &l, KernelForm &form);
Error launchAttention(LaunchBuilder &l, KernelForm &form);
Error launchAddCodes(LaunchBuilder &l, KernelForm &form);
Error launchAddNorm(LaunchBuilder &l, KernelForm &form);
Error launchFixedAddNorm(LaunchBuilder &l, KernelForm &form);
Error launchGroupNorm(LaunchBuilder &l, KernelForm &form);
Error launchEmbed(LaunchBuilder &l, KernelForm &form);
Error launchLookup(LaunchBuilder &l, KernelForm &form);
Error launchQuantizeTokens(LaunchBuilder &l, KernelForm &form);
Error launchDequantizeTokens(LaunchBuilder &l, KernelForm &form);
Error launchShiftGelu(LaunchBuilder &l, KernelForm &form);
Error launchRealLinear(LaunchBuilder &l, KernelForm &form);
Error launchRealAttention(LaunchBuilder &l, KernelForm &form);
Error launchRealNorm(LaunchBuilder &l, KernelForm &form);
Error launchRealEmbed(LaunchBuilder &l, KernelForm &form);
/// Of all functions of RealRows.h.
Error launchRealFunction(LaunchBuilder &l, KernelForm &form);
/// Of all functions of Elements.h, whose names are kinds.
Error launchElements(LaunchBuilder &l, KernelForm &form);

} // namespace quern::nvptx

#endif // QUERN_LIB_TARGET_NVPTX_LAUNCHBUILDER_H
