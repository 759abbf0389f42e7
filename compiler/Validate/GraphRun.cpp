//===- GraphRun.cpp - One interpretation of a level -----------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "compiler/Validate/GraphRun.h"

#include "dialects/TQ/TQDialect.h"
#include "dialects/TQ/TQOps.h"
#include "lib/Interpret/ProgramInterpreter.h"
#include "lib/Quantize/GroupMap.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace quern {

bool canInterpret(func::FuncOp function) {
  if (function.isExternal() || !function.getBody().hasOneBlock() ||
      function.getNumResults() != 1)
    return false;
  Block &block = function.getBody().front();
  return llvm::all_of(block.without_terminator(), [](Operation &op) {
    return op.getNumResults() == 1 &&
           (isa<arith::ConstantOp>(op) ||
            isa_and_nonnull<tq::TQDialect>(op.getDialect()));
  });
}

namespace {
/// Where tq-order-channels and tq-reparameterize have been, a site sees other
/// columns and numbers than before. It is shown, and forced, as the imported
/// model has it: channel order[i] is column i times scale[i] plus shift[i].
class ModelChannels {
public:
  explicit ModelChannels(Operation *op) {
    if (!isa_and_nonnull<tq::ObserveOp>(op))
      return;
    if (auto attr = op->getAttrOfType<DenseI64ArrayAttr>(channelOrderName))
      order = attr.asArrayRef();
    if (auto attr = op->getAttrOfType<DenseF32ArrayAttr>(channelScaleName))
      scale = attr.asArrayRef();
    if (auto attr = op->getAttrOfType<DenseF32ArrayAttr>(channelShiftName))
      shift = attr.asArrayRef();
  }

  Tensor show(const Tensor &columns) const {
    return convert(columns, [&](const double *in, double *out, size_t width) {
      for (size_t i = 0; i < width; ++i)
        out[channel(i)] =
            scale.empty() ? in[i] : in[i] * scale[i] + double(shift[i]);
    });
  }

  Tensor force(const Tensor &channels) const {
    return convert(channels, [&](const double *in, double *out, size_t width) {
      for (size_t i = 0; i < width; ++i) {
        double value = in[channel(i)];
        out[i] = scale.empty() ? value : (value - shift[i]) / scale[i];
      }
    });
  }

private:
  size_t channel(size_t column) const {
    return order.empty() ? column : size_t(order[column]);
  }

  template <typename F> Tensor convert(const Tensor &from, F row) const {
    size_t width = from.width();
    auto fits = [&](size_t size) { return size == 0 || size == width; };
    if ((order.empty() && scale.empty()) ||
        from.getKind() != Tensor::Kind::F64 || !fits(order.size()) ||
        !fits(scale.size()) || scale.size() != shift.size())
      return from;
    std::vector<double> in = from.toVector<double>(), out(in.size());
    for (size_t at = 0; at < in.size(); at += width)
      row(in.data() + at, out.data() + at, width);
    return Tensor::of(std::move(out), from.getShape());
  }

  ArrayRef<int64_t> order;
  ArrayRef<float> scale, shift;
};
} // namespace

/// The same elements in the shape of the site; ranks may differ.
static std::optional<Tensor> fitting(const Tensor &forced,
                                     const Tensor &value) {
  if (forced.size() != value.size() || forced.getKind() != value.getKind())
    return std::nullopt;
  if (forced.getShape() == value.getShape())
    return forced;
  if (forced.getKind() != Tensor::Kind::I32)
    return std::nullopt;
  Tensor result = Tensor::of(forced.toVector<int32_t>(), value.getShape());
  result.ranges = forced.ranges;
  return result;
}

/// Records sites in `run`, and in `taken` which were forced.
static SiteHooks hooksFor(GraphRun &run, const ForcedSites &forced,
                          std::set<std::string> *taken) {
  SiteHooks hooks;
  hooks.observe = [&run](const SiteValue &site) {
    std::string name = site.name.str();
    SiteRecord record{ModelChannels(site.op).show(site.value), std::nullopt,
                      site.scheme, site.op};
    if (site.real)
      record.real = *site.real;
    if (run.sites.emplace(name, std::move(record)).second)
      run.order.push_back(name);
  };
  hooks.force = [&forced, taken](const SiteValue &site) {
    std::optional<Tensor> value;
    StringRef name = site.name;
    auto found = forced.find(name.str());
    // Before tq-split-residual a sum reads the codes of the site itself.
    if (found == forced.end() && name.consume_back(".residual"))
      found = forced.find(name.str());
    if (found != forced.end())
      value = fitting(found->second, site.value);
    if (!value)
      return value;
    if (taken)
      taken->insert(site.name.str());
    return std::optional(ModelChannels(site.op).force(*value));
  };
  return hooks;
}

FailureOr<GraphRun> runFunction(func::FuncOp function, ArrayRef<Tensor> inputs,
                                Arithmetic arithmetic,
                                const ForcedSites &forced) {
  GraphRun run;
  FailureOr<Tensor> output = Interpreter(function->getParentOfType<ModuleOp>())
                                 .run(inputs, hooksFor(run, forced, nullptr),
                                      arithmetic, function.getSymName());
  if (failed(output))
    return failure();
  run.output = std::move(*output);
  return run;
}

FailureOr<GraphRun> runProgram(ModuleOp module, ArrayRef<Tensor> inputs,
                               const ForcedSites &forced,
                               std::set<std::string> &taken) {
  GraphRun run;
  FailureOr<Tensor> output =
      ProgramInterpreter(module).run(inputs, hooksFor(run, forced, &taken));
  if (failed(output))
    return failure();
  run.output = std::move(*output);
  return run;
}

} // namespace quern
