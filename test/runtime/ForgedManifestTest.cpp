//===- ForgedManifestTest.cpp - manifests with a number changed -----------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// A manifest may come from anyone, and whoever changes it can make its
// checksum right again. Each of its numbers is replaced by others, one after
// the other, and the module is opened, run and looked at in every way: the
// runtime refuses it with a sentence, or what it does stays in bounds. Kernels
// here do nothing, because real ones refuse every other manifest (see
// test/e2e/ForgedModuleTest.cpp). Worth most in a build with sanitizers.
//
//===----------------------------------------------------------------------===//

#include "quern/expand.h"
#include "test/runtime/TestModule.h"
#include "test/support/ManifestFields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace quern;
using namespace quern::manifest;
using namespace quern::test;
using testing::StartsWith;

namespace {

void noKernel(void *const *, int64_t, int64_t, int64_t, int64_t, int64_t,
              void *) {}

/// TestModule with a constant of every making and a part for GPUs.
class ForgedManifest : public testing::Test {
protected:
  ForgedManifest() {
    module.weights.resize((module.weights.size() + 63) / 64 * 64);
    uint32_t stored = addData("stored", Making::Stored, Element::I16, 64, {});
    module.weights.append(64, '\0');
    addData("widened", Making::Widened, Element::I32, 128, {stored});
    uint32_t index = addData("index", Making::Stored, Element::U8, 64, {});
    module.weights.append(64, '\0');
    addData("marked", Making::Marked, Element::I8, 256, {index});
    uint32_t floats = addData("floats", Making::Stored, Element::F32, 64, {});
    module.weights.append(64, '\0');
    addData("picked", Making::Picked, Element::F32, 256, {index, floats});
    addData("outer", Making::Outer, Element::F32, 1024, {floats, floats});
    uint32_t packed = addData("packed", Making::Stored, Element::I8, 256, {});
    module.weights.append(256, '\1');
    uint32_t factor = addData("factor", Making::Stored, Element::I32, 4, {});
    module.weights.append(64, '\0');
    addData("sums", Making::Sums, Element::I32, 4 * QUERN_PANEL,
            {packed, factor});
    module.manifest.data.back()->blocks = {4};
    addDevice();
  }

  void SetUp() override {
    setenv("QUERN_CUDA_DRIVER", QUERN_TEST_FAKE_CUDA, 1);
  }
  void TearDown() override { unsetenv("QUERN_CUDA_DRIVER"); }

  uint32_t addData(const char *name, Making making, Element element,
                   uint64_t bytes, std::vector<uint32_t> from) {
    auto data = std::make_unique<DataT>();
    data->name = name;
    data->making = making;
    data->element = element;
    data->bits = 8;
    data->bytes = bytes;
    data->offset = making == Making::Stored ? module.weights.size() : 0;
    data->from = std::move(from);
    module.manifest.data.push_back(std::move(data));
    return uint32_t(module.manifest.data.size() - 1);
  }

  void addDevice() {
    auto device = std::make_unique<DeviceT>();
    device->code.push_back(std::make_unique<DeviceCodeT>());
    device->code[0]->variant = "sm_80";
    device->code[0]->ptx = ".version 7.0\n.visible .entry count(...)";
    device->kernels.push_back(std::make_unique<DeviceKernelT>());
    device->kernels[0]->name = "count";
    device->kernels[0]->threads = 32;
    device->weights.push_back(std::make_unique<DeviceWeightsT>());
    device->weights[0]->data = 8;
    device->weights[0]->n = 4;
    device->weights[0]->k = 16;
    device->weights[0]->bits = 8;
    device->tables.push_back(std::make_unique<DeviceTableT>());
    device->tables[0]->values = {1, 2};
    for (size_t i = 0; i != module.manifest.steps.size(); ++i) {
      device->steps.push_back(std::make_unique<DeviceStepT>());
      DeviceStepT &step = *device->steps.back();
      step.x = std::make_unique<DeviceCount>(DeviceBase::Tokens, 4, 1);
      step.y = std::make_unique<DeviceCount>(DeviceBase::One, 1, 1);
      step.params = {{DeviceParamKind::Buffer, 4},
                     {DeviceParamKind::Data, 0},
                     {DeviceParamKind::Table, 0},
                     {DeviceParamKind::Keys, 0},
                     {DeviceParamKind::Number, 7}};
    }
    module.manifest.device = std::move(device);
  }

  /// The manifest with its defaults, too.
  std::string pack() {
    module.pack();
    flatbuffers::FlatBufferBuilder builder;
    builder.ForceDefaults(true);
    builder.Finish(Manifest::Pack(builder, &module.manifest),
                   ManifestIdentifier());
    return std::string(
        reinterpret_cast<const char *>(builder.GetBufferPointer()),
        builder.GetSize());
  }

  /// Opens and uses a module with this manifest; whether it was taken.
  bool use(const std::string &manifest) {
    // Exactly as long, so that a sanitizer sees what lies beyond.
    std::unique_ptr<char, void (*)(void *)> bytes(
        static_cast<char *>(
            aligned_alloc(64, (manifest.size() + 63) / 64 * 64)),
        free);
    memcpy(bytes.get(), manifest.data(), manifest.size());
    quern_linked_image image = module.image();
    image.manifest = bytes.get();
    image.manifest_bytes = manifest.size();
    std::vector<quern_kernel> kernels(module.manifest.kernels.size(), noKernel);
    quern_tier tier = {QUERN_TIER_SSE2, uint32_t(kernels.size()),
                       kernels.data()};
    quern_kernel_table table = {QUERN_ABI_VERSION, 1, &tier, 0, 0};
    image.table = &table;
    quern_module *opened = nullptr;
    quern_error error = {};
    if (quern_module_open_linked(&image, &opened, &error)) {
      EXPECT_THAT(error.message, StartsWith("linked module: "));
      return false;
    }
    describe(opened);
    for (quern_device device : {QUERN_DEVICE_CPU, QUERN_DEVICE_AUTO}) {
      quern_session *session = nullptr;
      if (!quern_session_create_on(opened, device, 2, &session, &error))
        run(opened, session);
      quern_session_destroy(session);
    }
    quern_module_close(opened);
    return true;
  }

  void describe(const quern_module *opened) {
    quern_description about = {};
    quern_module_describe(opened, &about);
    size_t length = strlen(about.name) + strlen(about.family) +
                    strlen(about.problem) + strlen(about.recipe);
    for (uint32_t i = 0; i <= about.label_count; ++i)
      if (const char *label = quern_module_label(opened, i))
        length += strlen(label);
    size_t bytes = 0;
    quern_module_token(opened, int32_t(about.vocabulary - 1), &bytes);
    if (about.image.mean)
      seen += about.image.mean[about.image.channels - 1];
    seen += float(length + bytes);
  }

  void run(const quern_module *opened, quern_session *session) {
    quern_error error = {};
    quern_output output = {};
    quern_text text = {"a b c", 5, "d", 1};
    int32_t ids[] = {3, 39, 4}, offsets[] = {0, 1, 3};
    std::vector<float> pixels(64);
    quern_description about = {};
    quern_module_describe(opened, &about);
    for (int capture : {0, 1}) {
      quern_session_set_capture(session, capture);
      quern_session_set_timing(session, capture);
      if (!quern_run_texts(session, &text, 1, 0, &output, &error))
        touch(output);
      if (!quern_run_ids(session, ids, nullptr, offsets, 2, &output, &error))
        touch(output);
      if (about.image.channels &&
          about.image.channels * about.image.width * about.image.height <= 64 &&
          !quern_run_images(session, pixels.data(), 1, &output, &error))
        touch(output);
    }
    for (uint32_t i = 0; i < quern_session_step_count(session); ++i) {
      quern_step_info info = {};
      if (!quern_session_step(session, i, &info, &error))
        seen += float(strlen(info.name) + strlen(info.kernel));
    }
    quern_view view = {};
    for (const auto &buffer : module.manifest.buffers)
      if (!quern_session_buffer(session, buffer->name.c_str(), &view, &error))
        touch(view);
    for (const auto &site : module.manifest.sites)
      if (!quern_session_site(session, site->name.c_str(), &view, &error))
        touch(view);
  }

  /// Reads the ends of what a run gave.
  void touch(const quern_output &output) {
    uint64_t count = uint64_t(output.rows) * output.columns;
    if (output.data && count)
      seen += output.data[0] + output.data[count - 1];
    if (output.sequences)
      seen += float(output.offsets[output.sequences]);
  }
  void touch(const quern_view &view) {
    static const uint32_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8};
    if (!view.rows || !view.columns || view.element > 7)
      return;
    auto *data = static_cast<const unsigned char *>(view.data);
    seen +=
        float(data[0]) + float(data[(view.rows - 1) * view.stride +
                                    view.columns * bytes[view.element] - 1]);
  }

  /// Uses the module with each number changed.
  void forgeAll() {
    std::string sound = pack();
    ASSERT_TRUE(use(sound));
    int taken = 0, refused = 0;
    for (const ManifestField &field : fieldsOf(sound))
      for (uint64_t value : forgeriesOf(field, sound)) {
        SCOPED_TRACE(field.name + " = " + std::to_string(value));
        ++(use(forge(sound, field, value)) ? taken : refused);
      }
    EXPECT_GT(taken, 0);
    EXPECT_GT(refused, taken);
  }

  TestModule module;
  /// So that what is read is used.
  volatile float seen = 0;
};

TEST_F(ForgedManifest, OfTexts) { forgeAll(); }

TEST_F(ForgedManifest, OfImages) {
  takeImages(module.manifest, 4, 2);
  module.tokenizer.clear();
  forgeAll();
}

} // namespace
