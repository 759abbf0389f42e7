//===- Passes.td - Passes from L0 to L1 -----------------------*- tablegen -*-//
//
// Summaries, descriptions and options; the examples are the lit tests.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_PASSES
#define QUERN_LIB_QUANTIZE_PASSES

include "mlir/Pass/PassBase.td"

def Quantize : Pass<"tq-quantize", "::mlir::ModuleOp"> {
  let summary = "write the quantizers of a scheme into the float model";
  let description = [{
    L0 to L1. Reads the module attribute `tq.scheme`:

    ```mlir
    tq.scheme = {
      sites = {L0.x = {bits = 8 : i64, scale = 0.1 : f32, zero = 3 : i64},
               C = "fp32"},
      weights = {linear = {bits = 8 : i64, granularity = "channel",
                           estimator = "mse"},
                 norms = "fp32"}}
    ```

    A site whose channels are in groups has
    `{bits, group_of, scales, zeros}`: the group of each channel, and scale and
    zero point of each group. With `form = "folded"` beside them, or with
    `channel_scale` and `channel_shift`, a LayerNorm output gets one scale and
    zero point; tq-reparameterize has moved those of its channels elsewhere,
    and what it has not done is an error.
    A site with a range for each token, found at run time, has
    `{bits, range = "token", symmetric}` and codes of type
    `!tq.dynamic<u8, token>`.
    A third dictionary, `scales`, may give the scales
    of weights by their names (`array<f32: 0.01>`, or one for each row), and a
    fourth, `unsigned_scales`, those of LayerNorm gains that were quantized to
    0..2^bits - 1, which become f32 values. A weight without an entry is then
    an error.

    Every `tq.observe` becomes `tq.quantize` and `tq.dequantize` with the scale
    and zero point of its site, or disappears where the scheme says "fp32". A
    site the scheme lacks is an error.

    Every constant that is a matrix of `tq.linear`, a table of `tq.embedding` or
    a gain of `tq.layer_norm` becomes codes under `tq.dequantize_weight`:
    symmetric, scale = clip / (2^(bits-1) - 1), codes clamped to
    [-2^(bits-1), 2^(bits-1) - 1]. The clip is the largest magnitude, or the
    value of least squared error. `granularity = "channel"` gives each row its
    own. The roles are `linear`, `pooler` (the linear under site P),
    `classifier` (the linear under site C), `word_table` (the table indexed by
    the first argument), `table`, `norms`. Biases stay f32.

    Before:
    ```mlir
    %0 = tq.linear %x, %w, %b
    %1 = tq.observe %0 {key = "g", layer = 0 : i64, site = "L0.g"}
    ```
    After:
    ```mlir
    %w8 = tq.dequantize_weight %codes, %scales {bits = 8 : i64}
    %0 = tq.linear %x, %w8, %b
    %1 = tq.quantize %0 {site = "L0.g"} : ... !quant.uniform<u8:f32, 0.1:3>
    %2 = tq.dequantize %1
    ```
  }];
  let dependentDialects = ["::quern::tq::TQDialect",
                           "::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"sitesQuantized", "sites-quantized", "Sites given a quantizer">,
    Statistic<"sitesFloat", "sites-float", "Sites left in f32">,
    Statistic<"weightsQuantized", "weights-quantized", "Weights given codes">,
  ];
}

def CorrectBias : Pass<"tq-correct-bias", "::mlir::ModuleOp"> {
  let summary = "add what quantization takes from the means of linear layers";
  let description = [{
    L0 to L0. Where `tq.scheme` has an entry `biases = {SITE = dense<...>}`, the
    vector is added to the bias of the tq.linear whose output goes to the site
    (perhaps through an activation). The driver finds it as the mean, over
    calibration tokens, of W x - Q(W) Q(x), by output channel: codes that round
    most of a skewed tensor the same way, as those of GELU outputs below one
    step do, otherwise move every output of the next layer. (Nagel et al.,
    Data-Free Quantization, ICCV 2019, section 4.2.)

    Preserves nothing by itself: it changes the function on purpose.

    Before, with `biases = {C = dense<[0.5, -0.25]> : tensor<2xf32>}`:
    ```mlir
    %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
    %y = tq.linear %x, %w, %b : ...
    %o = tq.observe %y site "C" ...
    ```
    After:
    ```mlir
    %b = arith.constant dense<[1.5, 1.75]> : tensor<2xf32>
    %y = tq.linear %x, %w, %b : ...
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"biasesCorrected", "biases-corrected", "Biases changed">,
  ];
}

def OrderChannels : Pass<"tq-order-channels", "::mlir::ModuleOp"> {
  let summary = "put the channels of each group next to each other";
  let description = [{
    L0 to L0. Where `tq.scheme` groups the channels of an encoder layer's x (or
    h, or y) otherwise than in their order, everything between the second
    LayerNorm of the layer before and that of the layer itself is put in the
    order of the groups: columns of the Q, K, V and first FFN matrix, rows of
    the attention output and second FFN matrix, their biases, both LayerNorms.
    Where the groups of x are folded the layer keeps its order: no product
    reads groups then.
    One tq.reorder between layers goes from order to order, or back to the
    model's at the end; the embedding's tables take the order of layer 0. The
    rewrites make the tq.reorder an indexed store of the LayerNorm.

    Nothing but the order changes: no weight gets other codes when its scale
    does not depend on the order of its elements, and sums of codes are exact
    integers, so the outputs are the same bit for bit.

    Each tq.observe whose columns moved gets `tq.order`, an array with the
    imported model's channel of each column; maps and channel vectors of the
    scheme go by the imported model's channels.

    Before:
    ```mlir
    %1 = tq.layer_norm %0, %gamma, %beta
    %2 = tq.observe %1 {site = "L0.z", ...}
    ```
    After:
    ```mlir
    %1 = tq.layer_norm %0, %ordered_gamma, %ordered_beta
    %2 = tq.reorder %1 {order = array<i64: 1, 0, 2, 3>}
    %3 = tq.observe %2 {site = "L0.z", ...}
    ```
  }];
  let dependentDialects = ["::quern::tq::TQDialect",
                           "::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"ordered", "ordered", "Layers put in the order of groups">,
    Statistic<"reorders", "reorders", "Changes of order between layers">,
  ];
}

def SplitResidual : Pass<"tq-split-residual", "::mlir::ModuleOp"> {
  let summary = "give residual sums a LayerNorm output of their own";
  let description = [{
    L0 to L0. Where `tq.scheme` gives a LayerNorm output codes of its own for
    residual sums (`residual`), these read a copy of the LayerNorm, observed as
    the site NAME.residual. The function stays the same.

    Before:
    ```mlir
    %0 = tq.layer_norm %u, %gamma, %beta
    %1 = tq.observe %0 {site = "L0.x", ...}
    %2 = tq.linear %1, %w, %b
    %3 = tq.add %2, %1
    ```
    After:
    ```mlir
    %0 = tq.layer_norm %u, %gamma, %beta
    %1 = tq.observe %0 {site = "L0.x", ...}
    %2 = tq.layer_norm %u, %gamma, %beta
    %3 = tq.observe %2 {site = "L0.x.residual", ...}
    %4 = tq.linear %1, %w, %b
    %5 = tq.add %4, %3
    ```
  }];
  let dependentDialects = ["::quern::tq::TQDialect"];
  let statistics = [
    Statistic<"sitesSplit", "sites", "Sites with codes for residual sums">,
  ];
}

def Reparameterize : Pass<"tq-reparameterize", "::mlir::ModuleOp"> {
  let summary = "move the scales of channels into LayerNorm and weights";
  let description = [{
    L0 to L0; RepQuant's rewrite. Where `tq.scheme` gives the channels of a
    LayerNorm output scales s and shifts t (`channel_scale`, `channel_shift`, or
    groups with `form = "folded"`), the site becomes x~ = (x - t) / s, which one
    scale and zero point serve with the same codes:

        gamma~ = gamma / s      beta~ = (beta - t) / s
        W~ = W diag(s)          b~ = b + W t

    for every linear that reads it. A residual sum reads x~ through a
    tq.scale_shift. Each new constant is computed in double and rounded once to
    f32; otherwise the function is the same in real numbers, which
    `--tq-validate` proves for the constants at hand.

    The tq.observe gets `tq.channel_scale` and `tq.channel_shift`, by column.
    The codes of x~ are those of x; weights, and the gain where it gets codes,
    are quantized afterwards and get others.

    Refused: a site that is no LayerNorm output, or that something else than
    linears with constant weights and sums reads.

    Before:
    ```mlir
    %0 = tq.layer_norm %u, %gamma, %beta
    %1 = tq.observe %0 {site = "L0.x", ...}
    %2 = tq.linear %1, %w, %b
    %3 = tq.add %2, %1
    ```
    After:
    ```mlir
    %0 = tq.layer_norm %u, %scaled_gamma, %scaled_beta
    %1 = tq.observe %0 {site = "L0.x", tq.channel_scale = array<f32: ...>, ...}
    %2 = tq.linear %1, %scaled_w, %scaled_b
    %3 = tq.scale_shift %1, %s, %t
    %4 = tq.add %2, %3
    ```
  }];
  let dependentDialects = ["::quern::tq::TQDialect",
                           "::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"sitesReparameterized", "sites", "Sites given one range">,
    Statistic<"groupsFolded", "groups-folded", "Sites whose groups were folded">,
  ];
}

def SliceRows : Pass<"tq-slice-rows", "::mlir::ModuleOp"> {
  let summary = "compute only the rows that the head reads";
  let description = [{
    L1 to L1. Where the head reads the first row of each sequence (a tq.pool of
    kind cls), the pool moves back through all of the last layer that goes row
    by row: LayerNorm, FFN, sums, quantizers, the attention's output and its
    queries. Keys and values are still those of all tokens; scores, softmax and
    context get `first_query`, one row for each sequence. Of BERT-base at 128
    tokens that leaves out 7 % of the operations.

    Every row that is left is computed as it was before, so its bits are the
    same. Sites of the layer hold a row for each sequence, scores and
    probabilities one for each token. Ranges, rounding and bias corrections were
    found before, on all rows.

    A pool goes in front of a tq.linear, a sum or the scores only: what makes
    codes stays with what rounds them. Heads that read all rows (means, labels
    of tokens, answers) keep them all. So does a module whose `tq.scheme` has
    `rows = "all"`.

    Before:
    ```mlir
    %q = tq.linear %x, %wq, %bq
    %k = tq.linear %x, %wk, %bk
    %s = tq.scores %q, %k, %offsets
    %p = tq.softmax %s, %offsets
    %c = tq.context %p, %v, %offsets
    %u = tq.add %c, %x
    %y = tq.pool %u, %offsets {kind = #tq.pool_kind<cls>}
    ```
    After:
    ```mlir
    %first = tq.pool %x, %offsets {kind = #tq.pool_kind<cls>}
    %q = tq.linear %first, %wq, %bq
    %k = tq.linear %x, %wk, %bk
    %s = tq.scores %q, %k, %offsets {first_query}
    %p = tq.softmax %s, %offsets {first_query}
    %c = tq.context %p, %v, %offsets {first_query}
    %u = tq.add %c, %first
    ```
  }];
  let dependentDialects = ["::quern::tq::TQDialect"];
  let statistics = [
    Statistic<"sliced", "sliced", "Operations on fewer rows">,
    Statistic<"pools", "pools", "Values of all tokens that are pooled">,
  ];
}

def CheckStage : Pass<"tq-check-stage", "::mlir::ModuleOp"> {
  let summary = "hold a module against the contract of its level";
  let description = [{
    Fails, naming the operation, when the module holds something its level
    must not hold:

    - `import` (L0): float ops and `tq.observe`; no quantizer, no codes.
    - `simulate` (L1): no `tq.observe`, no integer op; every `tq.quantize` has
      a site of its own and is read only by `tq.dequantize`.
    - `integer` (L2): no `tq.observe`, no `tq.dequantize_weight`; every weight
      of an integer op is a constant. Float ops are islands and stay legal.
  }];
  let options = [
    Option<"stage", "stage", "std::string", "\"integer\"",
           "The level to check: import, simulate or integer">,
  ];
}

#endif // QUERN_LIB_QUANTIZE_PASSES
