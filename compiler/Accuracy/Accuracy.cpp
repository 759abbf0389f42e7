//===- Accuracy.cpp - How far a module is from its float model ------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
// One batch at a time through both programs; sums by site.
//
//===----------------------------------------------------------------------===//
#include "compiler/Accuracy/Accuracy.h"

#include "compiler/Calibrate/SchemeTable.h"
#include "compiler/HostProgram.h"
#include "compiler/Import/Import.h"
#include "compiler/Import/TokenizerImport.h"
#include "compiler/Levels.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Quantize/GroupMap.h"
#include "lib/Quantize/Passes.h"
#include "lib/Quantize/SchemeAttr.h"
#include "runtime/src/manifest_generated.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;

namespace quern {

double SiteAccuracy::sqnr() const {
  if (noise == 0)
    return std::numeric_limits<double>::infinity();
  // A site that is zero throughout has no signal to lose.
  return 10 * std::log10(std::max(signal, 1e-300) / noise);
}

namespace {

/// Real values of the codes of a site, and the interval they cover.
class Dequantizer {
public:
  explicit Dequantizer(const SiteQuantizer &site) : site(site) {
    top = std::ldexp(1.0, static_cast<int>(site.bits)) - 1;
  }

  double real(double code, uint64_t channel) const {
    return inChannel(inGroup(code, channel), channel);
  }

  /// Takes what a row of codes with ranges of their own says.
  void enterRow(const quern_view &view, uint64_t row) {
    const char *at = static_cast<const char *>(view.ranges) + row * view.stride;
    std::memcpy(&rowScale, at, sizeof(rowScale));
    std::memcpy(&rowZero, at + sizeof(rowScale), sizeof(rowZero));
  }

  /// Half a step beyond the last code is still rounded, not clipped.
  bool clips(double value, uint64_t channel) const {
    // Small values have the code of zero, large ones the first.
    if (site.logBase)
      return value > real(-0.5, channel);
    return value < real(-0.5, channel) || value > real(top + 0.5, channel);
  }

private:
  /// By the scale of the row or the channel's group, or the only one.
  double inGroup(double code, uint64_t channel) const {
    if (site.logBase)
      return inLog(code);
    if (site.perToken)
      return (code - rowZero) * double(rowScale);
    if (channel >= site.groupOf.size())
      return (code - site.zero) * site.scale + site.offset;
    int64_t group = site.groupOf[channel];
    return (code - site.groupZeros[group]) * site.groupScales[group];
  }

  double inLog(double code) const {
    double perOctave = *site.logBase == tq::LogBase::Two ? 1 : 2;
    return code == double(site.zero)
               ? 0
               : site.scale * std::exp2(-code / perOctave);
  }

  double inChannel(double value, uint64_t channel) const {
    if (channel >= site.channelScale.size())
      return value;
    return value * site.channelScale[channel] + site.channelShift[channel];
  }

  const SiteQuantizer &site;
  double top;
  float rowScale = 0;
  int32_t rowZero = 0;
};

/// Compares the sites and outputs of runs.
class Measurement {
public:
  explicit Measurement(const AccuracyRequest &request) : request(request) {}

  Expected<AccuracyReport> run();

private:
  Error openModule();
  Error importFloat();
  Error runBatch(size_t from, size_t count);
  Error compareSite(const Site &site, const quern_output &run);
  Error compareOutputs(const quern_output &real, const quern_output &ours);
  void finish();

  const AccuracyRequest &request;
  LevelContext context;
  std::optional<HostProgram> module, reference;
  quern_description about = {};
  std::optional<SchemeAttr> scheme;
  std::vector<Site> sites;
  std::vector<std::optional<SiteQuantizer>> quantizers;
  /// Channel of each column of the module's codes; empty for the model's own.
  std::vector<Order> orders;
  std::vector<SiteAccuracy> found;
  uint64_t rows = 0, agreeing = 0;
  double cosines = 0;
  AccuracyReport report;
};

} // namespace

static const manifest::Manifest &manifestOf(const quern_module *module) {
  uint64_t bytes = 0;
  return *manifest::GetManifest(quern_module_manifest(module, &bytes));
}

/// The folder that a module says it was made from, or "".
static std::string folderOf(const manifest::Manifest &manifest) {
  if (const auto *properties = manifest.provenance())
    for (const manifest::Property *property : *properties)
      if (property->key()->str() == "model" && property->value())
        return property->value()->str();
  return "";
}

Error Measurement::openModule() {
  Expected<HostProgram> opened =
      HostProgram::open(request.module, request.threads);
  if (!opened)
    return opened.takeError();
  module.emplace(std::move(*opened));
  module->capture();
  quern_module_describe(module->getModule(), &about);
  report.module = request.module;
  report.recipe = about.recipe;
  report.modelFolder = request.modelFolder.empty()
                           ? folderOf(manifestOf(module->getModule()))
                           : request.modelFolder;
  if (about.image.channels)
    return Error::make(request.module,
                       ": found a vision model, expected a text model");
  if (!about.has_tokenizer)
    return Error::make(request.module, ": found no tokenizer in the module, "
                                       "expected one for the texts");
  if (!llvm::sys::fs::is_directory(report.modelFolder))
    return Error::make(request.module, ": the model folder ",
                       report.modelFolder,
                       " that it was made from is not there, expected "
                       "--model FOLDER");
  return Error::success();
}

Error Measurement::importFloat() {
  const std::string &folder = report.modelFolder;
  Expected<ImportedModel> model = importModel(*context, folder);
  if (!model)
    return context.firstError().empty()
               ? model.takeError()
               : context.failed(folder, model.message());
  Expected<ImportedTokenizer> tokenizer =
      importTokenizer(folder, model->info.vocab);
  if (!tokenizer)
    return tokenizer.takeError();
  Expected<HostProgram> compiled = HostProgram::compileFloat(
      *model->module,
      std::string(reinterpret_cast<const char *>(tokenizer->blob.data()),
                  tokenizer->blob.size()),
      request.threads);
  if (!compiled)
    return context.failed(folder, compiled.message());
  reference.emplace(std::move(*compiled));
  reference->capture();

  // Scales by site, also those by channel, stand in the module's scheme.
  const auto *bytes = manifestOf(module->getModule()).scheme();
  Attribute attr;
  if (bytes)
    attr = readScheme(*context, {reinterpret_cast<const char *>(bytes->data()),
                                 bytes->size()});
  if (attr)
    (*model->module)->setAttr(SchemeAttr::name, attr);
  scheme = attr ? SchemeAttr::read(*model->module) : std::nullopt;
  if (!scheme)
    return context.failed(request.module, "the module's scheme cannot be read");
  sites = collectSites(*model->module);
  // The compiler may have put channels of a group next to each other.
  PassManager passes(&*context);
  passes.addPass(createOrderChannels());
  if (failed(passes.run(*model->module)))
    return context.failed(request.module, "the order of channels is not known");
  model->module->walk([&](tq::ObserveOp op) {
    auto order = op->getAttrOfType<DenseI64ArrayAttr>(channelOrderName);
    orders.push_back(order ? Order(order.asArrayRef()) : Order());
  });
  for (const Site &site : sites) {
    quantizers.push_back(scheme->contains(site.name) ? scheme->site(site.name)
                                                     : std::nullopt);
    SiteAccuracy entry;
    entry.name = site.name;
    entry.key = site.key;
    entry.layer = site.layer;
    entry.bits = quantizers.back() ? unsigned(quantizers.back()->bits) : 0;
    entry.lo = std::numeric_limits<double>::infinity();
    entry.hi = -entry.lo;
    found.push_back(std::move(entry));
  }
  return Error::success();
}

/// An element of a view as a number; elements are u8, u16 or f32.
static double elementOf(const quern_view &view, uint64_t row, uint64_t column) {
  const char *at = static_cast<const char *>(view.data) + row * view.stride;
  switch (manifest::Element(view.element)) {
  case manifest::Element::U8:
    return reinterpret_cast<const uint8_t *>(at)[column];
  case manifest::Element::U16:
    return reinterpret_cast<const uint16_t *>(at)[column];
  default:
    return reinterpret_cast<const float *>(at)[column];
  }
}

/// Where the float model has what a module without unread rows has: of a site
/// of rows, those that begin a sequence; of scores, [heads][tokens] in place of
/// [heads][pairs], those of such a token.
class ModelRows {
public:
  ModelRows(const quern_view &real, const quern_view &ours,
            const quern_output &run, bool isScores)
      : run(run), isScores(isScores), heads(real.columns) {
    same = real.rows == ours.rows;
    uint64_t pairs = 0;
    for (uint64_t s = 0; s < run.sequences; ++s) {
      uint64_t length = run.offsets[s + 1] - run.offsets[s];
      for (uint64_t j = 0; isScores && !same && j < length; ++j)
        columns.push_back(pairs + j);
      pairs += length * length;
    }
    all = isScores ? pairs : run.tokens;
    few = isScores ? run.tokens : run.sequences;
    fits = same || (real.rows == all && ours.rows == few);
  }

  /// False where the two are not of one run.
  bool fit() const { return fits; }

  /// The row and column of the model for those of the module.
  std::pair<uint64_t, uint64_t> at(uint64_t row, uint64_t column) const {
    if (same)
      return {row, column};
    if (!isScores)
      return {run.offsets[row], column};
    // Both lie head after head, whatever a view calls a row.
    uint64_t place = row * heads + column;
    uint64_t there = place / few * all + columns[place % few];
    return {there / heads, there % heads};
  }

private:
  const quern_output &run;
  bool isScores, same, fits;
  uint64_t heads, all, few;
  std::vector<uint64_t> columns;
};

/// Adds one value of the float model and what the module has in its place.
static void addPair(SiteAccuracy &site, double real, double ours) {
  ++site.values;
  site.signal += real * real;
  site.noise += (real - ours) * (real - ours);
  site.lo = std::min(site.lo, real);
  site.hi = std::max(site.hi, real);
}

Error Measurement::compareSite(const Site &site, const quern_output &run) {
  size_t index = &site - sites.data();
  SiteAccuracy &entry = found[index];
  std::optional<quern_view> real = reference->site(site.name);
  std::optional<quern_view> ours = module->site(site.name);
  if (!real || !ours)
    return Error::success();
  // Scores and probabilities have a column per head, not per channel.
  bool channels = site.key != "s" && site.key != "p";
  ModelRows model(*real, *ours, run, !channels);
  if (!model.fit() || real->columns != ours->columns)
    return Error::make(request.module, ": site ", site.name, ": found ",
                       ours->rows, "x", ours->columns, " values, the model in ",
                       report.modelFolder, " has ", real->rows, "x",
                       real->columns);
  bool codes = manifest::Element(ours->element) != manifest::Element::F32;
  std::optional<Dequantizer> quantizer;
  if (codes && quantizers[index])
    quantizer.emplace(*quantizers[index]);
  if (codes && !quantizer)
    return Error::make(request.module, ": site ", site.name,
                       ": found codes without a scale");
  if (quantizer && quantizers[index]->perToken && !ours->ranges)
    return Error::make(request.module, ": site ", site.name,
                       ": found codes without the ranges of their tokens, "
                       "compile the model again with this version of quern");
  entry.perToken = quantizer && quantizers[index]->perToken;
  entry.bits = codes ? entry.bits : 0;
  if (channels)
    entry.channels.resize(real->columns);
  const Order &order = orders[index];
  for (uint64_t row = 0; row < ours->rows; ++row) {
    if (entry.perToken)
      quantizer->enterRow(*ours, row);
    for (uint64_t column = 0; column < ours->columns; ++column) {
      uint64_t j = column < order.size() ? order[column] : column;
      auto [modelRow, modelColumn] = model.at(row, j);
      double value = elementOf(*real, modelRow, modelColumn);
      double other = elementOf(*ours, row, column);
      if (quantizer) {
        // A token's range holds the values that it was found from.
        entry.clipped += !entry.perToken && quantizer->clips(value, j);
        other = quantizer->real(other, j);
      }
      addPair(entry, value, other);
      if (channels)
        entry.channels[j] =
            std::max(entry.channels[j], static_cast<float>(std::fabs(value)));
    }
  }
  return Error::success();
}

Error Measurement::compareOutputs(const quern_output &real,
                                  const quern_output &ours) {
  if (real.rows != ours.rows || real.columns != ours.columns)
    return Error::make(request.module, ": found outputs of ", ours.columns,
                       " values, the model in ", report.modelFolder, " has ",
                       real.columns);
  for (uint64_t row = 0; row < real.rows; ++row) {
    const float *a = real.data + row * real.columns;
    const float *b = ours.data + row * real.columns;
    double dot = 0, aa = 0, bb = 0;
    for (uint64_t j = 0; j < real.columns; ++j) {
      addPair(report.outputs, a[j], b[j]);
      dot += double(a[j]) * b[j];
      aa += double(a[j]) * a[j];
      bb += double(b[j]) * b[j];
    }
    cosines += dot / std::sqrt(std::max(aa * bb, 1e-300));
    agreeing += std::max_element(a, a + real.columns) - a ==
                std::max_element(b, b + real.columns) - b;
    ++rows;
  }
  return Error::success();
}

Error Measurement::runBatch(size_t from, size_t count) {
  Expected<quern_output> ours = module->run(&request.texts[from], count);
  if (!ours)
    return ours.takeError();
  Expected<quern_output> real = reference->runTokensOf(*ours);
  if (!real)
    return real.takeError();
  report.texts += ours->sequences;
  report.tokens += ours->tokens;
  for (const Site &site : sites)
    if (Error error = compareSite(site, *ours))
      return error;
  return compareOutputs(*real, *ours);
}

/// Median and outliers of a site's channels.
static void findOutliers(SiteAccuracy &site) {
  if (site.channels.size() < 8)
    return;
  std::vector<float> sorted = site.channels;
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2,
                   sorted.end());
  site.medianChannel = sorted[sorted.size() / 2];
  if (site.medianChannel <= 0)
    return;
  for (size_t j = 0; j < site.channels.size(); ++j)
    if (site.channels[j] > outlierRatio * site.medianChannel)
      site.outliers.push_back({static_cast<unsigned>(j), site.channels[j],
                               site.channels[j] / site.medianChannel});
  std::sort(site.outliers.begin(), site.outliers.end(),
            [](const OutlierChannel &a, const OutlierChannel &b) {
              return std::make_pair(-a.magnitude, a.channel) <
                     std::make_pair(-b.magnitude, b.channel);
            });
}

/// The sites of one layer together.
static LayerAccuracy layerOf(int layer,
                             const std::vector<SiteAccuracy> &sites) {
  LayerAccuracy result;
  result.layer = layer;
  result.worst = std::numeric_limits<double>::infinity();
  uint64_t values = 0, clipped = 0, counted = 0;
  for (const SiteAccuracy &site : sites) {
    if (site.layer != layer)
      continue;
    values += site.values;
    clipped += site.clipped;
    result.outliers += site.outliers.size();
    double sqnr = site.sqnr();
    if (!std::isfinite(sqnr))
      continue;
    result.mean += sqnr;
    ++counted;
    if (sqnr < result.worst) {
      result.worst = sqnr;
      result.worstSite = site.name;
    }
  }
  result.mean = counted ? result.mean / double(counted) : result.worst;
  result.clippedShare = values ? double(clipped) / double(values) : 0;
  return result;
}

void Measurement::finish() {
  for (SiteAccuracy &site : found) {
    if (site.values == 0) {
      report.notKept.push_back(site.name);
      continue;
    }
    findOutliers(site);
    report.sites.push_back(std::move(site));
  }
  int last = -1;
  for (const SiteAccuracy &site : report.sites)
    last = std::max(last, site.layer);
  for (int layer = -1; layer <= last; ++layer)
    report.layers.push_back(layerOf(layer, report.sites));
  report.outputs.name = "output";
  bool classifies = about.head == QUERN_HEAD_CLASSIFICATION ||
                    about.head == QUERN_HEAD_TOKEN_CLASSIFICATION;
  if (classifies && about.columns > 1)
    report.agreement = double(agreeing) / double(rows);
  if (about.head == QUERN_HEAD_EMBEDDING)
    report.cosine = cosines / double(rows);
}

Expected<AccuracyReport> Measurement::run() {
  if (request.texts.empty())
    return Error::make(request.module, ": found no text, expected a line for "
                                       "each text");
  if (Error error = openModule())
    return error;
  if (Error error = importFloat())
    return error;
  // Captured sites of a batch take memory with the square of text lengths.
  constexpr size_t batch = 8;
  for (size_t from = 0; from < request.texts.size(); from += batch) {
    size_t count = std::min(batch, request.texts.size() - from);
    if (Error error = runBatch(from, count))
      return error;
    if (request.progress)
      request.progress(double(from + count) / request.texts.size());
  }
  finish();
  return std::move(report);
}

Expected<AccuracyReport> measureAccuracy(const AccuracyRequest &request) {
  return Measurement(request).run();
}

} // namespace quern
