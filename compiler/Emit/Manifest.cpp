//===- Manifest.cpp - What a module says about itself ---------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Emit/Manifest.h"

#include "compiler/Emit/ConstantTable.h"
#include "compiler/Emit/DeviceTable.h"
#include "compiler/Emit/SiteCodes.h"
#include "dialects/TK/TKDialect.h"
#include "runtime/include/quern/module_abi.h"
#include "runtime/src/manifest_generated.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
namespace fb = quern::manifest;

namespace quern {

static int64_t intAttr(DictionaryAttr dict, StringRef name,
                       int64_t absent = 0) {
  if (auto attr = dict ? dict.getAs<IntegerAttr>(name) : nullptr)
    return attr.getValue().getSExtValue();
  return absent;
}

static std::string strAttr(DictionaryAttr dict, StringRef name) {
  if (auto attr = dict ? dict.getAs<StringAttr>(name) : nullptr)
    return attr.str();
  return "";
}

static bool boolAttr(DictionaryAttr dict, StringRef name) {
  auto attr = dict ? dict.getAs<BoolAttr>(name) : nullptr;
  return attr && attr.getValue();
}

static SmallVector<int64_t> ints(Attribute attr) {
  SmallVector<int64_t> values;
  if (auto array = dyn_cast_or_null<DenseI64ArrayAttr>(attr))
    llvm::append_range(values, array.asArrayRef());
  return values;
}

/// Types are signless: codes of activations are unsigned, weights signed.
static fb::Element elementOf(Type type, bool isSigned = true) {
  if (type.isF32())
    return fb::Element::F32;
  if (type.isF64())
    return fb::Element::F64;
  switch (type.getIntOrFloatBitWidth()) {
  case 8:
    return isSigned ? fb::Element::I8 : fb::Element::U8;
  case 16:
    return isSigned ? fb::Element::I16 : fb::Element::U16;
  case 64:
    return fb::Element::I64;
  default:
    return fb::Element::I32;
  }
}

static fb::Extent extentOf(Attribute attr) {
  SmallVector<int64_t> parts = ints(attr);
  parts.resize(3, 0);
  return fb::Extent(parts[0], parts[1], parts[2]);
}

namespace {
class ManifestBuilder {
public:
  ManifestBuilder(ModuleOp module, const ManifestRequest &request)
      : module(module), request(request) {}

  FailureOr<ManifestResult> build();

private:
  flatbuffers::Offset<fb::Model> model();
  flatbuffers::Offset<fb::Image> image(DictionaryAttr info);
  LogicalResult buffers();
  LogicalResult data();
  void kernels();
  LogicalResult steps(tk::ProgramOp program);
  LogicalResult step(tk::LaunchOp launch, unsigned index);
  FailureOr<uint32_t> site(DictionaryAttr described, tk::LaunchOp launch,
                           unsigned step);

  flatbuffers::Offset<flatbuffers::String> text(StringRef value) {
    // One string for all that are equal.
    return builder.CreateSharedString(value.data(), value.size());
  }

  ModuleOp module;
  const ManifestRequest &request;
  ManifestResult result;
  flatbuffers::FlatBufferBuilder builder{1 << 16};
  ConstantTable constants;
  llvm::StringMap<unsigned> bufferIndex, kernelIndex;
  llvm::StringMap<bool> isTap;
  std::vector<flatbuffers::Offset<fb::Buffer>> bufferTable;
  std::vector<flatbuffers::Offset<fb::Data>> dataTable;
  std::vector<flatbuffers::Offset<fb::Kernel>> kernelTable;
  std::vector<flatbuffers::Offset<fb::Site>> siteTable;
  std::vector<flatbuffers::Offset<fb::Step>> stepTable;
};
} // namespace

static std::vector<float> floats(DictionaryAttr dict, StringRef name) {
  auto array = dict.getAs<DenseF32ArrayAttr>(name);
  return array ? array.asArrayRef().vec() : std::vector<float>();
}

/// What a vision model sees; nothing of others.
flatbuffers::Offset<fb::Image> ManifestBuilder::image(DictionaryAttr info) {
  if (!info || !info.contains("image_size"))
    return {};
  auto rescale = info.getAs<FloatAttr>("pixel_rescale");
  auto mean = builder.CreateVector(floats(info, "pixel_mean"));
  auto deviation = builder.CreateVector(floats(info, "pixel_deviation"));
  return fb::CreateImage(
      builder, intAttr(info, "image_size"), intAttr(info, "patch_size"),
      intAttr(info, "channels"), intAttr(info, "special_tokens", 1),
      rescale ? rescale.getValueAsDouble() : 1, mean, deviation);
}

flatbuffers::Offset<fb::Model> ManifestBuilder::model() {
  auto info = module->getAttrOfType<DictionaryAttr>("tq.model");
  std::vector<flatbuffers::Offset<flatbuffers::String>> labels;
  if (auto array = info ? info.getAs<ArrayAttr>("labels") : nullptr)
    for (Attribute label : array)
      labels.push_back(text(cast<StringAttr>(label).getValue()));
  std::string head = strAttr(info, "head");
  fb::Head kind = head == "classification" ? fb::Head::Classification
                  : head == "regression"   ? fb::Head::Regression
                  : head == "token_classification"
                      ? fb::Head::TokenClassification
                  : head == "question_answering" ? fb::Head::QuestionAnswering
                                                 : fb::Head::Embedding;
  bool byToken = kind == fb::Head::TokenClassification ||
                 kind == fb::Head::QuestionAnswering;
  std::string pooling = strAttr(info, "pooling");
  auto family = text(strAttr(info, "family"));
  auto labelVector = builder.CreateVector(labels);
  auto problem = text(strAttr(info, "problem"));
  auto name = text(request.modelName);
  int64_t columns = 0;
  for (auto buffer : module.getOps<tk::BufferOp>())
    if (buffer.getKind() == tk::BufferKind::Output)
      columns = intAttr(buffer->getAttrDictionary(), "columns");
  auto imageTable = image(info);
  fb::ModelBuilder out(builder);
  out.add_family(family);
  out.add_head(kind);
  out.add_labels(labelVector);
  out.add_hidden(intAttr(info, "hidden"));
  out.add_layers(intAttr(info, "layers"));
  out.add_heads(intAttr(info, "heads"));
  out.add_intermediate(intAttr(info, "intermediate"));
  out.add_vocab(intAttr(info, "vocab"));
  out.add_max_length(intAttr(info, "max_length"));
  out.add_type_vocab(intAttr(info, "type_vocab", 2));
  out.add_pooling(pooling == "mean"  ? fb::Pooling::Mean
                  : pooling == "cls" ? fb::Pooling::Cls
                                     : fb::Pooling::None);
  out.add_normalize(boolAttr(info, "normalize"));
  out.add_problem(problem);
  out.add_columns(columns);
  out.add_rows(byToken ? fb::Unit::Tokens : fb::Unit::Sequences);
  out.add_name(name);
  if (!imageTable.IsNull())
    out.add_image(imageTable);
  return out.Finish();
}

LogicalResult ManifestBuilder::buffers() {
  for (auto buffer : module.getOps<tk::BufferOp>()) {
    fb::Unit unit = fb::Unit::Tokens;
    fb::Role role = fb::Role::Arena;
    tk::BufferKind kind = buffer.getKind();
    if (kind == tk::BufferKind::Sequences)
      unit = fb::Unit::Sequences;
    if (kind == tk::BufferKind::Pairs)
      unit = fb::Unit::Pairs;
    if (buffer.getUnit() == tk::Base::Sequences)
      unit = fb::Unit::Sequences;
    bool tap = buffer->hasAttr("tap") || kind == tk::BufferKind::Pairs;
    if (tap)
      role = fb::Role::Tap;
    if (kind == tk::BufferKind::Output)
      role = fb::Role::Output;
    if (kind == tk::BufferKind::Input) {
      auto name = buffer->getAttrOfType<StringAttr>("role");
      if (!name)
        return buffer.emitOpError("input without a role");
      role = llvm::StringSwitch<fb::Role>(name.getValue())
                 .Case("ids", fb::Role::Ids)
                 .Case("types", fb::Role::Types)
                 .Case("positions", fb::Role::Positions)
                 .Case("patches", fb::Role::Patches)
                 .Default(fb::Role::Offsets);
      if (role == fb::Role::Offsets)
        unit = fb::Unit::Offsets;
    }
    fb::Extent arena = extentOf(buffer->getAttr("arena"));
    auto name = text(buffer.getSymName());
    fb::BufferBuilder out(builder);
    out.add_name(name);
    out.add_unit(unit);
    out.add_role(role);
    out.add_element(elementOf(buffer.getElement(), /*isSigned=*/false));
    out.add_bytes_per_unit(buffer.getBytes());
    out.add_columns(intAttr(buffer->getAttrDictionary(), "columns"));
    out.add_arena(&arena);
    isTap[buffer.getSymName()] = tap;
    bufferIndex[buffer.getSymName()] = bufferTable.size();
    bufferTable.push_back(out.Finish());
  }
  return success();
}

LogicalResult ManifestBuilder::data() {
  for (auto data : module.getOps<tk::DataOp>())
    if (failed(constants.add(data)))
      return failure();
  for (const ConstantEntry &entry : constants.entries()) {
    bool isStored = entry.making == fb::Making::Stored;
    if (isStored) {
      result.weightBytes = llvm::alignTo(result.weightBytes, QUERN_DATA_ALIGN);
      result.data.push_back({entry.name, result.weightBytes, entry.stored});
    }
    auto name = text(entry.name);
    auto scheme = text(entry.scheme);
    flatbuffers::Offset<flatbuffers::Vector<uint32_t>> from, blocks;
    if (!entry.from.empty())
      from = builder.CreateVector(entry.from);
    if (!entry.blocks.empty())
      blocks = builder.CreateVector(entry.blocks);
    fb::DataBuilder out(builder);
    out.add_name(name);
    out.add_offset(isStored ? result.weightBytes : 0);
    out.add_bytes(entry.bytes);
    out.add_bits(entry.bits);
    out.add_element(entry.element);
    out.add_parameters(entry.parameters);
    out.add_scheme(scheme);
    out.add_making(entry.making);
    if (!entry.from.empty())
      out.add_from(from);
    if (!entry.blocks.empty())
      out.add_blocks(blocks);
    dataTable.push_back(out.Finish());
    if (isStored)
      result.weightBytes += entry.bytes;
  }
  result.owned = constants.ownedBytes();
  // Kernels read whole vectors past the end of a constant.
  result.weightBytes =
      llvm::alignTo(result.weightBytes + QUERN_SLACK_BYTES, QUERN_DATA_ALIGN);
  return success();
}

void ManifestBuilder::kernels() {
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!tk::isKernel(function) || tk::getVariantOf(function))
      continue;
    std::vector<flatbuffers::Offset<fb::KernelTier>> tiers;
    for (const TierInfo &tier : request.tiers) {
      auto own = tier.kernels.find(function.getSymName().str());
      bool isOwn = own != tier.kernels.end();
      auto family = text(isOwn ? own->second.family : tier.family);
      auto reason = text(tier.reason);
      auto tile = text(isOwn ? own->second.tile : "");
      tiers.push_back(
          fb::CreateKernelTier(builder, tier.id, family, reason, tile));
    }
    auto name = text(function.getSymName());
    auto tierVector = builder.CreateVector(tiers);
    auto notes = function->getAttrOfType<DictionaryAttr>("notes");
    auto tile = text(strAttr(notes, "tile"));
    auto layout = text(strAttr(notes, "layout"));
    std::vector<flatbuffers::Offset<flatbuffers::String>> reasons;
    if (auto list = notes ? notes.getAs<ArrayAttr>("reasons") : ArrayAttr())
      for (auto reason : list.getAsRange<StringAttr>())
        reasons.push_back(text(reason.getValue()));
    auto reasonVector = builder.CreateVector(reasons);
    auto number = [&](StringRef key) {
      auto found = notes ? notes.getAs<IntegerAttr>(key) : IntegerAttr();
      return found ? uint16_t(found.getInt()) : uint16_t(0);
    };
    kernelIndex[function.getSymName()] = kernelTable.size();
    kernelTable.push_back(
        fb::CreateKernel(builder, name, tierVector, tile, layout, reasonVector,
                         number("predicted"), number("rows")));
    result.kernels.push_back(function.getSymName().str());
  }
}

FailureOr<uint32_t> ManifestBuilder::site(DictionaryAttr described,
                                          tk::LaunchOp launch, unsigned step) {
  std::string siteName = strAttr(described, "name");
  int32_t buffer = -1;
  if (auto ref = described.getAs<FlatSymbolRefAttr>("buffer")) {
    auto found = bufferIndex.find(ref.getValue());
    if (found == bufferIndex.end())
      return launch.emitOpError("site ")
             << siteName << " lies in unknown buffer " << ref;
    buffer = found->second;
  }
  SiteCodes codes = siteCodes(module, siteName);
  auto name = text(siteName);
  auto key = text(strAttr(described, "key"));
  auto schemeText = text(codes.text);
  auto scaleVector = builder.CreateVector(codes.scales);
  auto zeroVector = builder.CreateVector(codes.zeros);
  auto groupVector = builder.CreateVector(codes.groups);
  fb::SiteBuilder out(builder);
  out.add_name(name);
  out.add_key(key);
  out.add_layer(intAttr(described, "layer", -1));
  out.add_bits(codes.bits);
  out.add_scheme(schemeText);
  out.add_scale(scaleVector);
  out.add_zero(zeroVector);
  if (!codes.groups.empty())
    out.add_group(groupVector);
  out.add_buffer(buffer);
  out.add_step(step);
  out.add_column(intAttr(described, "column"));
  out.add_columns(intAttr(described, "columns"));
  out.add_range(intAttr(described, "range"));
  out.add_element(codes.element);
  siteTable.push_back(out.Finish());
  return siteTable.size() - 1;
}

LogicalResult ManifestBuilder::step(tk::LaunchOp launch, unsigned index) {
  std::vector<fb::Operand> operands;
  for (Attribute ref : launch.getBuffers()) {
    StringRef symbol = cast<FlatSymbolRefAttr>(ref).getValue();
    if (auto found = bufferIndex.find(symbol); found != bufferIndex.end()) {
      operands.emplace_back(isTap[symbol] ? fb::OperandKind::Tap
                                          : fb::OperandKind::Buffer,
                            found->second);
      continue;
    }
    std::optional<uint32_t> found = constants.find(symbol);
    if (!found)
      return launch.emitOpError("operand ") << ref << " is no buffer or data";
    operands.emplace_back(fb::OperandKind::Data, *found);
  }
  DictionaryAttr attrs = launch->getAttrDictionary();
  std::vector<uint32_t> sites;
  if (auto array = attrs.getAs<ArrayAttr>("sites"))
    for (Attribute described : array) {
      FailureOr<uint32_t> added =
          site(cast<DictionaryAttr>(described), launch, index);
      if (failed(added))
        return failure();
      sites.push_back(*added);
    }
  SmallVector<int64_t> gemm = ints(attrs.get("gemm"));
  gemm.resize(2, 0);
  SmallVector<int64_t> macs = ints(attrs.get("macs"));
  macs.resize(3, 0);
  std::string op = strAttr(attrs, "op");
  std::string stepName = strAttr(attrs, "step");
  auto name = text(stepName.empty() ? op : stepName);
  auto opName = text(op);
  auto operandVector = builder.CreateVectorOfStructs(operands);
  auto siteVector = builder.CreateVector(sites);
  fb::StepBuilder out(builder);
  out.add_kernel(kernelIndex.lookup(launch.getKernel()));
  out.add_name(name);
  out.add_op(opName);
  out.add_layer(intAttr(attrs, "layer", -1));
  out.add_operands(operandVector);
  out.add_base(launch.getBase() == tk::Base::Tokens ? fb::ChunkBase::Tokens
               : launch.getBase() == tk::Base::Sequences
                   ? fb::ChunkBase::Sequences
                   : fb::ChunkBase::One);
  out.add_divide(launch.getDivide());
  out.add_multiply(launch.getMultiply());
  out.add_grain(intAttr(attrs, "grain", 1));
  out.add_sites(siteVector);
  out.add_gemm_n(gemm[0]);
  out.add_gemm_k(gemm[1]);
  out.add_macs_per_token(macs[0]);
  out.add_macs_per_pair(macs[1]);
  out.add_macs_per_sequence(macs[2]);
  stepTable.push_back(out.Finish());
  return success();
}

LogicalResult ManifestBuilder::steps(tk::ProgramOp program) {
  for (auto [index, launch] :
       llvm::enumerate(program.getBody().getOps<tk::LaunchOp>()))
    if (failed(step(launch, index)))
      return failure();
  return success();
}

FailureOr<ManifestResult> ManifestBuilder::build() {
  auto programs = llvm::to_vector(module.getOps<tk::ProgramOp>());
  if (programs.size() != 1)
    return module.emitError("has ")
           << programs.size() << " programs, expected one";
  kernels();
  if (failed(buffers()) || failed(data()) || failed(steps(programs.front())))
    return failure();

  auto modelTable = model();
  auto siteVector = builder.CreateVector(siteTable);
  auto bufferVector = builder.CreateVector(bufferTable);
  auto dataVector = builder.CreateVector(dataTable);
  auto kernelVector = builder.CreateVector(kernelTable);
  auto stepVector = builder.CreateVector(stepTable);
  std::vector<uint16_t> tiers;
  for (const TierInfo &tier : request.tiers)
    tiers.push_back(tier.id);
  auto tierVector = builder.CreateVector(tiers);
  auto target = text(request.target);
  auto recipeName = text(request.recipeName);
  auto recipeJson = text(request.recipeJson);
  auto scheme = builder.CreateVector(
      reinterpret_cast<const uint8_t *>(request.scheme.data()),
      request.scheme.size());
  std::vector<flatbuffers::Offset<fb::Property>> properties;
  for (const auto &[key, value] : request.provenance)
    properties.push_back(fb::CreateProperty(builder, text(key), text(value)));
  auto provenance = builder.CreateVector(properties);
  fb::Extent arena = extentOf(module->getAttr("tk.arena"));
  flatbuffers::Offset<fb::Device> device;
  if (request.device)
    device = writeDevice(builder, *request.device, [&](StringRef symbol) {
      auto found = bufferIndex.find(symbol);
      return found != bufferIndex.end() ? found->second
                                        : *constants.find(symbol);
    });

  fb::ManifestBuilder out(builder);
  out.add_abi_version(QUERN_ABI_VERSION);
  out.add_model(modelTable);
  out.add_sites(siteVector);
  out.add_buffers(bufferVector);
  out.add_data(dataVector);
  out.add_kernels(kernelVector);
  out.add_steps(stepVector);
  out.add_arena(&arena);
  out.add_scratch_bytes(
      intAttr(module->getAttrDictionary(), "tk.scratch_bytes"));
  out.add_tiers(tierVector);
  out.add_target(target);
  out.add_recipe_name(recipeName);
  out.add_recipe_json(recipeJson);
  out.add_provenance(provenance);
  out.add_scheme(scheme);
  if (request.device)
    out.add_device(device);
  fb::FinishManifestBuffer(builder, out.Finish());
  result.bytes.assign(
      reinterpret_cast<const char *>(builder.GetBufferPointer()),
      builder.GetSize());
  return std::move(result);
}

FailureOr<ManifestResult> buildManifest(ModuleOp module,
                                        const ManifestRequest &request) {
  return ManifestBuilder(module, request).build();
}

} // namespace quern
