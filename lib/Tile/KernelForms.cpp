//===- KernelForms.cpp - What a kernel computes, as data ------------------===//
//
// Part of Quern, under the Apache License v2.0; see LICENSE.
//
//===----------------------------------------------------------------------===//
#include "lib/Tile/KernelForms.h"

#include "lib/Tile/GemmWeights.h"
#include "lib/Tile/Tiler.h"

using namespace mlir;

namespace quern {

namespace {
/// Collects the entries of a form.
class Form {
public:
  Form(ModuleOp module, StringRef kernel, StringRef kind)
      : b(module.getContext()), kernel(module.lookupSymbol(kernel)) {
    text("kind", kind);
  }

  /// Gives them to the kernel.
  ~Form() { kernel->setAttr(kFormAttr, entries.getDictionary(b.getContext())); }

  void text(StringRef name, StringRef value) {
    entries.set(name, b.getStringAttr(value));
  }
  void number(StringRef name, int64_t value) {
    entries.set(name, b.getI64IntegerAttr(value));
  }
  void storage(StringRef name, Storage value) {
    text(name, storageName(value));
  }
  void range(StringRef prefix, CodeRange range) {
    number((prefix + "lo").str(), int64_t(range.lo));
    number((prefix + "hi").str(), int64_t(range.hi));
  }
  void rows(RowsOf rows) {
    text("rows", rows == RowsOf::Tokens ? "tokens" : "sequences");
  }

private:
  Builder b;
  Operation *kernel;
  NamedAttrList entries;
};
} // namespace

static void fillGemm(Form &form, const GemmShape &shape, LinearInput input) {
  form.number("k", shape.k);
  form.number("n", shape.n);
  form.number("x_stride", shape.xStride);
  form.number("out_stride", shape.outStride);
  form.text("activation", activationName(shape.activation));
  form.storage("out", shape.out);
  form.range("", shape.range);
  form.rows(shape.rows);
  form.number("zeros", shape.hasZeros);
  form.number("bits", shape.weightBits);
  form.number("fixed", shape.fixed);
  form.number("wide", input == LinearInput::Planes);
  form.number("tokens", input == LinearInput::Tokens);
}

void describeGemm(ModuleOp module, StringRef kernel, const GemmShape &shape,
                  LinearInput input) {
  Form form(module, kernel, "linear");
  fillGemm(form, shape, input);
}

void describeRealGemm(ModuleOp module, StringRef kernel, const GemmShape &shape,
                      int64_t bits) {
  Form form(module, kernel, "real_linear");
  form.number("k", shape.k);
  form.number("n", shape.n);
  form.number("x_stride", shape.xStride);
  form.number("out_stride", shape.outStride);
  form.text("activation", activationName(shape.activation));
  form.number("bits", bits);
  form.rows(shape.rows);
}

void describeGroupGemm(ModuleOp module, StringRef kernel,
                       const GroupGemmShape &shape) {
  Form form(module, kernel, "group_linear");
  fillGemm(form, shape.gemm, LinearInput::Codes);
}

void describePlanes(ModuleOp module, StringRef kernel,
                    const PlanesShape &shape) {
  RowShape rows{shape.d,      shape.inStride, 0,         planeStride(shape.d),
                Storage::U16, Storage::U8,    shape.rows};
  describeRows(module, kernel, "planes", rows);
}

void describeAttention(ModuleOp module, StringRef kernel,
                       const AttentionShape &shape) {
  Form form(module, kernel, "attention");
  form.number("heads", shape.heads);
  form.number("head_dim", shape.headDim);
  form.number("qkv_stride", shape.qkvStride);
  form.number("q_column", shape.qColumn);
  form.number("k_column", shape.kColumn);
  form.number("v_column", shape.vColumn);
  form.number("first", shape.firstQuery);
  form.number("query_stride", shape.queryStride);
  form.number("context_stride", shape.contextStride);
  form.storage("out", shape.context);
  form.range("", shape.contextRange);
  form.number("score_hi", int64_t(shape.scoreRange.hi));
  form.number("prob_hi", int64_t(shape.probRange.hi));
  form.number("log_bits", shape.log.bits);
  form.number("per_octave", shape.log.per_octave);
  form.number("fixed", shape.fixed);
  form.number("nearest", shape.roundProbs);
  form.number("per_head", shape.perHead);
}

void describeRealAttention(ModuleOp module, StringRef kernel,
                           const AttentionShape &shape) {
  Form form(module, kernel, "real_attention");
  form.number("heads", shape.heads);
  form.number("head_dim", shape.headDim);
  form.number("query_stride", shape.queryStride);
  form.number("qkv_stride", shape.qkvStride);
  form.number("context_stride", shape.contextStride);
  form.number("q_column", shape.qColumn);
  form.number("k_column", shape.kColumn);
  form.number("v_column", shape.vColumn);
  form.number("first", shape.firstQuery);
  form.number("quantize_scores", shape.quantizeScores);
  form.number("quantize_probs", shape.quantizeProbs);
}

static void fillStrides(Form &form, const AddNormShape &shape) {
  form.number("d", shape.d);
  form.number("a_stride", shape.aStride);
  form.number("b_stride", shape.bStride);
  form.number("out_stride", shape.outStride);
}

static void fillAdd(Form &form, const AddNormShape &shape) {
  fillStrides(form, shape);
  form.storage("a", shape.a);
  form.storage("b", shape.b);
  form.storage("out", shape.out);
  form.range("", shape.outRange);
  form.rows(shape.rows);
}

void describeAdd(ModuleOp module, StringRef kernel, const AddNormShape &shape,
                 bool fixed) {
  Form form(module, kernel, "add");
  fillAdd(form, shape);
  form.number("fixed", fixed);
}

static void fillAddNorm(Form &form, const AddNormShape &shape) {
  fillAdd(form, shape);
  form.number("tap_stride", shape.tapStride);
  form.storage("sum", shape.sum);
  form.range("sum_", shape.sumRange);
}

void describeAddNorm(ModuleOp module, StringRef kernel,
                     const AddNormShape &shape) {
  Form form(module, kernel, "add_norm");
  fillAddNorm(form, shape);
}

void describeFixedAddNorm(ModuleOp module, StringRef kernel,
                          const AddNormShape &shape, bool byChannel) {
  Form form(module, kernel, "fixed_add_norm");
  fillAddNorm(form, shape);
  form.number("by_channel", byChannel);
}

void describeRealNorm(ModuleOp module, StringRef kernel, StringRef kind,
                      const AddNormShape &shape) {
  Form form(module, kernel, kind);
  fillStrides(form, shape);
  form.number("tap_stride", shape.tapStride);
  form.rows(shape.rows);
}

void describeGroupNorm(ModuleOp module, StringRef kernel,
                       const GroupNormShape &shape) {
  Form form(module, kernel, "group_norm");
  fillAddNorm(form, shape.norm);
  form.number("groups", shape.groups);
  form.number("ordered", shape.ordered);
  form.number("each", shape.each);
}

/// Rows and the three tables of embeddings, of `bits` each.
static void fillTables(Form &form, const EmbedShape &shape,
                       ArrayRef<int64_t> bits) {
  form.number("d", shape.d);
  form.number("table_stride", shape.tableStride);
  form.number("out_stride", shape.outStride);
  form.number("tap_stride", shape.tapStride);
  form.number("word_bits", bits[0]);
  form.number("type_bits", bits[1]);
  form.number("position_bits", bits[2]);
  form.number("word_scales", shape.wordScales);
  form.number("type_scales", shape.typeScales);
  form.number("position_scales", shape.positionScales);
}

void describeEmbed(ModuleOp module, StringRef kernel, const EmbedShape &shape,
                   bool fixed) {
  Form form(module, kernel, "embed");
  fillTables(form, shape, shape.tableBits);
  form.number("e1_zero", shape.e1Zero);
  form.number("e2_zero", shape.e2Zero);
  form.number("fixed", fixed);
  form.number("factors", shape.factors);
  form.storage("e1", shape.e1);
  form.storage("e2", shape.e2);
  form.storage("out", shape.out);
  form.range("e1_", shape.e1Range);
  form.range("e2_", shape.e2Range);
  form.range("", shape.outRange);
}

void describeRealEmbed(ModuleOp module, StringRef kernel,
                       const EmbedShape &shape) {
  Form form(module, kernel, "embed_f32");
  fillTables(form, shape, shape.realBits);
}

void describeLookup(ModuleOp module, StringRef kernel,
                    const LookupShape &shape) {
  Form form(module, kernel, "lookup");
  form.number("d", shape.d);
  form.number("row_bytes", shape.bits == 32 ? 4 * shape.tableStride
                           : shape.bits == 8
                               ? shape.tableStride
                               : tableRowBytes(shape.d, shape.bits));
  form.number("out_stride", shape.outStride);
  form.number("table_bits", shape.bits);
  form.number("row_scales", shape.rowScales);
}

void describeRows(ModuleOp module, StringRef kernel, StringRef kind,
                  const RowShape &shape) {
  Form form(module, kernel, kind);
  form.number("d", shape.d);
  form.number("x_stride", shape.inStride);
  form.number("b_stride", shape.bStride);
  form.number("out_stride", shape.outStride);
  form.storage("in", shape.in);
  form.storage("out", shape.out);
  form.rows(shape.rows);
}

void describeTokens(ModuleOp module, StringRef kernel, StringRef kind,
                    const TokenShape &shape) {
  Form form(module, kernel, kind);
  form.number("d", shape.d);
  form.number("real_stride", shape.realStride);
  form.number("code_bits", shape.bits);
  form.number("centred", shape.centred);
  form.rows(shape.rows);
}

void describePool(ModuleOp module, StringRef kernel, const PoolShape &shape) {
  Form form(module, kernel, shape.mean ? "pool_mean" : "pool_first");
  form.number("d", shape.d);
  form.number("x_stride", shape.inStride);
  form.number("out_stride", shape.outStride);
  form.storage("in", shape.in);
  form.storage("out", shape.mean ? Storage::F32 : shape.in);
  form.number("offset", shape.offset);
}

} // namespace quern
