//===- DeviceModule.h - A tiny model that only a GPU can run --------------===//
//
// The module that the compiler would write with --target nvptx, linked into the
// test, without code for CPUs, which takes long to make and is not what is
// tested: whoever runs a kernel of the CPU aborts. Beside it the graph of L2.
// Its PTX goes through NVIDIA's assembler, where that is installed.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_TEST_E2E_DEVICEMODULE_H
#define QUERN_TEST_E2E_DEVICEMODULE_H

#include "compiler/Compiler.h"
#include "compiler/Emit/Manifest.h"
#include "compiler/Levels.h"
#include "runtime/include/quern/introspect.h"
#include "test/e2e/DeviceAssembly.h"
#include "test/support/TempFolder.h"
#include "test/support/TinyModel.h"
#include "test/support/TinyVision.h"

#include "mlir/Parser/Parser.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

namespace quern::test {

class DeviceModule {
public:
  using Variants = std::vector<nvptx::PtxVariant>;

  /// A failure is a failure of the test; get() is null then.
  DeviceModule(const TinyModelOptions &options, const std::string &recipe,
               const std::vector<std::string> &overrides = {},
               Variants variants = {nvptx::PtxVariant::Sm80})
      : variants(std::move(variants)), takesLearned(options.learned),
        calibration({{"the first film was a great story", std::nullopt},
                     {"two people, 3 dogs and a cat", "they like it"}}) {
    TempFolder folder;
    fail(writeTinyModel(folder.file("model"), options));
    fail(make(folder, recipe, overrides));
  }
  /// A vision model, which has its LayerNorms in front.
  DeviceModule(const TinyVisionOptions &options, const std::string &recipe,
               const std::vector<std::string> &overrides = {},
               Variants variants = {nvptx::PtxVariant::Sm80})
      : variants(std::move(variants)), calibration(3) {
    for (size_t i = 0; i != calibration.size(); ++i)
      calibration[i].pixels = std::make_shared<const std::vector<float>>(
          tinyPixels(options, int64_t(i) + 1));
    TempFolder folder;
    fail(writeTinyVision(folder.file("model"), options));
    fail(make(folder, recipe, overrides));
  }
  ~DeviceModule() { quern_module_close(module); }
  DeviceModule(const DeviceModule &) = delete;
  DeviceModule &operator=(const DeviceModule &) = delete;

  const quern_module *get() const { return module; }
  mlir::ModuleOp integer() { return *levelTwo; }
  /// What it was calibrated on: texts, or three images.
  const std::vector<CalibrationText> &inputs() const { return calibration; }
  /// Names of the kernels, one a line.
  const std::string &kernelNames() const { return names; }

private:
  static void noKernel(void *const *, int64_t, int64_t, int64_t, int64_t,
                       int64_t, void *) {
    std::abort();
  }

  static void fail(const Error &error) {
    if (error)
      ADD_FAILURE() << error.message();
  }

  Error make(const TempFolder &folder, const std::string &recipe,
             const std::vector<std::string> &overrides) {
    CompileRequest request;
    request.modelFolder = folder.file("model");
    request.output = folder.file("tiles.mlir");
    request.saveTemps = folder.file("levels");
    request.emit = EmitKind::Mlir;
    request.recipe = recipe;
    request.overrides = overrides;
    request.threads = 1;
    request.calibration = calibration;
    if (takesLearned)
      request.rangesIn = folder.file("model/model.safetensors");
    Expected<CompileResult> result = compile(request);
    if (!result)
      return result.takeError();
    // Of large models that is a summary; the whole stands beside it.
    std::string dump = request.saveTemps + "/20-integer.mlir";
    if (std::filesystem::exists(dump + "bc"))
      dump += "bc";
    levelTwo = mlir::parseSourceFile<mlir::ModuleOp>(dump, &*context);
    if (!levelTwo)
      return context.failed("20-integer.mlir", "cannot be read");
    tiles = levelTwo->clone();
    if (!lowerTo(Level::Tiles, *tiles))
      return context.failed("20-integer.mlir", "cannot be tiled");
    return link();
  }

  Error link() {
    ManifestRequest about;
    about.tiers = {{QUERN_TIER_SSE2, "sse2", "none", ""}};
    Expected<nvptx::DeviceProgram> device =
        nvptx::buildDeviceProgram(*tiles, variants);
    if (!device)
      return device.takeError();
    for (const nvptx::DeviceKernel &kernel : device->kernels)
      names += kernel.name + "\n";
    std::string assembler = findAssembler();
    auto model = (*tiles)->getAttrOfType<mlir::DictionaryAttr>("tq.model");
    if (!assembler.empty())
      DeviceAssembly(assembler).check(
          *device, model.getAs<mlir::IntegerAttr>("max_length").getInt());
    about.device = std::move(*device);
    mlir::FailureOr<ManifestResult> built = buildManifest(*tiles, about);
    if (mlir::failed(built))
      return Error("the program cannot be described");
    manifest = std::move(*built);
    weights.reset(std::aligned_alloc(QUERN_DATA_ALIGN, manifest.weightBytes));
    for (const DataPiece &piece : manifest.data)
      std::memcpy(static_cast<char *>(weights.get()) + piece.offset,
                  piece.bytes.data(), piece.bytes.size());
    kernels.assign(manifest.kernels.size(), &noKernel);
    tier = {QUERN_TIER_SSE2, uint32_t(kernels.size()), kernels.data()};
    table = {QUERN_ABI_VERSION, 1, &tier, 0, 0};
    image.abi_version = QUERN_ABI_VERSION;
    image.table = &table;
    image.manifest = manifest.bytes.data();
    image.manifest_bytes = manifest.bytes.size();
    image.weights = weights.get();
    image.weights_bytes = manifest.weightBytes;
    quern_error error = {};
    if (quern_module_open_linked(&image, &module, &error))
      return Error(error.message);
    return Error::success();
  }

  Variants variants;
  /// Ranges are those of the checkpoint.
  bool takesLearned = false;
  std::vector<CalibrationText> calibration;
  LevelContext context;
  mlir::OwningOpRef<mlir::ModuleOp> levelTwo, tiles;
  std::string names;
  ManifestResult manifest;
  std::unique_ptr<void, void (*)(void *)> weights{nullptr, std::free};
  std::vector<quern_kernel> kernels;
  quern_tier tier = {};
  quern_kernel_table table = {};
  quern_linked_image image = {};
  quern_module *module = nullptr;
};

} // namespace quern::test

#endif // QUERN_TEST_E2E_DEVICEMODULE_H
